"""Deployments whose start goes wrong or takes long.

Import paths
    gold_ctor.raises        deployment "Refuser", constructor raises RuntimeError("constructor refused")
    gold_ctor.hangs         deployment "Hanger", constructor never returns
    gold_ctor.slow          builder; args {"seconds": s} -> deployment "Sleeper", constructor takes s seconds;
                            answers 200 "awake"
    gold_ctor.unready       deployment "Unready", constructor is fine, check_health always raises
                            RuntimeError("never healthy")
    gold_ctor.half          deployments "Good" (ingress, calls Bad) and "Bad" (constructor raises
                            RuntimeError("bad half"))
    gold_ctor.builder_raises   builder that raises ValueError("builder refused")
    gold_ctor.unbound       a deployment that was not bound
"""

import time

from ray import serve


@serve.deployment
class Refuser:
    def __init__(self):
        raise RuntimeError("constructor refused")

    async def __call__(self, request):
        return "never"


@serve.deployment
class Hanger:
    def __init__(self):
        time.sleep(1000000)

    async def __call__(self, request):
        return "never"


@serve.deployment
class Sleeper:
    def __init__(self, seconds):
        time.sleep(seconds)

    async def __call__(self, request):
        return "awake"


@serve.deployment
class Unready:
    def check_health(self):
        raise RuntimeError("never healthy")

    async def __call__(self, request):
        return "never"


@serve.deployment
class Bad:
    def __init__(self):
        raise RuntimeError("bad half")


@serve.deployment
class Good:
    def __init__(self, bad):
        self.bad = bad

    async def __call__(self, request):
        return "good"


raises = Refuser.bind()
hangs = Hanger.bind()
unready = Unready.bind()
half = Good.bind(Bad.bind())
unbound = Refuser


def slow(args):
    return Sleeper.bind(float(args["seconds"]))


def builder_raises(args):
    raise ValueError("builder refused")
