"""User code as it is written for Ray: asyncio, blocking calls, Starlette and FastAPI, on virtual time.

Each replica has an event loop of its own whose time is the kernel's (`virtual_loop`); what blocks, as `time.sleep`, blocks only its
thread of control (`blocking`). `instance` runs constructor, methods and streams of a deployment's object so; `http_calls` turns
requests into what the code expects, and answers back. Which functions of Python mean virtual time is in `patches`.

Code that awaits only what `rayrig_sim.serve.user_code` offers needs none of this and is faster (`user_instance`).
"""
