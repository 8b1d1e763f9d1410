"""What user code imports as `ray` and `ray.serve`, over the simulation: deployments, handles, batches, multiplexing, ASGI.

    from rayrig_sim.ray_api import serve      in place of `from ray import serve`, or
    with ray_modules(): import my_application     which finds `ray` and `ray.serve` without Ray being installed

`serve.deployment(...)` and `bind` describe an application; `built` makes it one that the model runs (`ApplicationCode`). The code
itself runs for real, on virtual time (`rayrig_sim.serve.asyncio_code`). Deploying is not here: see `rayrig_backends.local_ray`.
"""
