"""Applications that start and stop quickly.

app: "Word" answers {"word": ..., "pid": the same or not}. pair: "Front" asks "Word". build: "Word" with args {"word", "replicas"}.
"""

from ray import serve


@serve.deployment(name="Word", graceful_shutdown_wait_loop_s=0.1, ray_actor_options={"num_cpus": 0.1})
class Word:
    def __init__(self, word="plain"):
        self.word = word

    def reconfigure(self, config):
        if "fail" in config:
            raise RuntimeError(config["fail"])
        self.word = config.get("word", self.word)

    async def __call__(self, request):
        if request.url.path.endswith("/raise"):
            raise ValueError("asked to")
        return {"word": self.word, "path": request.url.path, "method": request.method}

    async def tell(self):
        return self.word


@serve.deployment(name="Front", graceful_shutdown_wait_loop_s=0.1, ray_actor_options={"num_cpus": 0})
class Front:
    def __init__(self, word):
        self.word = word

    async def __call__(self, request):
        return f"front of {await self.word.tell.remote()}"


app = Word.bind()
other = Word.bind("other")
pair = Front.bind(Word.bind())
TEXT = "no application"


def build(args):
    return Word.options(num_replicas=int(args.get("replicas", 1))).bind(args["word"])
