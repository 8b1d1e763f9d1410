"""Two deployments: "Front" (ingress) calls "Back".

Import paths
    gold_pair.app        Front answers 200, text "front(<back>)", where <back> is Back's word: "b1",
                         or user_config {"word": w} of Back: w
    gold_pair.app_v2     the same names, Front answers "front2(<back>)"
    gold_pair.app_three  adds a third deployment "Extra" that Front also calls: "front3(<back>,extra)"
A JSON body {"raise": text} makes Back raise ValueError(text); {"sleep": s} makes Back sleep s seconds first.
"""

import asyncio
import json

from ray import serve


@serve.deployment(name="Back", user_config={"word": "b1"})
class Back:
    def __init__(self):
        self.word = "unset"

    def reconfigure(self, config):
        self.word = config["word"]

    async def answer(self, cmd):
        if "sleep" in cmd:
            await asyncio.sleep(cmd["sleep"])
        if "raise" in cmd:
            raise ValueError(cmd["raise"])
        return self.word


@serve.deployment(name="Extra")
class Extra:
    async def answer(self, cmd):
        return "extra"


@serve.deployment(name="Front")
class Front:
    def __init__(self, name, *others):
        self.name = name
        self.others = others

    async def __call__(self, request):
        raw = await request.body()
        cmd = json.loads(raw) if raw else {}
        words = [await o.answer.remote(cmd) for o in self.others]
        return f"{self.name}({','.join(words)})"


app = Front.bind("front", Back.bind())
app_v2 = Front.bind("front2", Back.bind())
app_three = Front.bind("front3", Back.bind(), Extra.bind())
