"""Applications whose start goes wrong: in the constructor, in the builder, at the first health check."""

from ray import serve


@serve.deployment(graceful_shutdown_wait_loop_s=0.1, ray_actor_options={"num_cpus": 0})
class Refuser:
    def __init__(self):
        raise RuntimeError("no")

    async def __call__(self, request):
        return "never"


@serve.deployment(graceful_shutdown_wait_loop_s=0.1, ray_actor_options={"num_cpus": 0})
class Ill:
    def check_health(self):
        raise RuntimeError("ill")

    async def __call__(self, request):
        return "never"


app = Refuser.bind()
ill = Ill.bind()
unbound = Refuser


def build(args):
    raise LookupError(f"nothing for {sorted(args)}")
