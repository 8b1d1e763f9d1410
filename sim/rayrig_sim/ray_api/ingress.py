"""`@serve.ingress(app)`: a class whose methods are endpoints of a FastAPI or another ASGI application (ray-serve.md 9)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from rayrig_sim.serve.asyncio_code.http_calls import ASGI_APP
from rayrig_sim.serve.asyncio_code.instance import INSTANCE

C = TypeVar("C", bound=type)


def ingress(app: Any) -> Callable[[C], C]:
    """The class gets its requests through `app`. Its FastAPI endpoints find the replica's object as `self`.

    `app` may be a function that makes the application. Raises `ValueError` for what is no class.
    """

    def decorate(cls: C) -> C:
        if not inspect.isclass(cls):
            raise ValueError("@serve.ingress must be used with a class.")
        asgi = app() if inspect.isfunction(app) and not inspect.signature(app).parameters else app
        if hasattr(asgi, "routes") and hasattr(asgi, "router"):
            _bind_methods(asgi, cls)
        made = type(cls.__name__, (cls,), {ASGI_APP: staticmethod(asgi), "__module__": cls.__module__})
        made.__qualname__, made.__doc__ = cls.__qualname__, cls.__doc__
        return made  # type: ignore[return-value]

    return decorate


async def _servable_object() -> Any:
    """Whose replica it is."""
    instance = INSTANCE.get()
    assert instance is not None, "an endpoint runs in a replica"
    return instance.object


def _bind_methods(app: Any, cls: type) -> None:
    """FastAPI took `self` for a parameter of the query: from now on it depends on the replica."""
    from fastapi import Depends
    from fastapi.routing import APIRoute

    methods = [function for _, function in inspect.getmembers(cls, inspect.isfunction)]
    routes = app.router.routes
    for index, route in enumerate(routes):
        if not isinstance(route, APIRoute) or route.endpoint not in methods:
            continue
        signature = inspect.signature(route.endpoint)
        first, *rest = signature.parameters.values()
        replaced = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in rest]
        parameters = [first.replace(default=Depends(_servable_object), annotation=Any), *replaced]
        route.endpoint.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        # The same route, read anew.
        known = inspect.signature(APIRoute.__init__).parameters
        given = {name: vars(route)[name] for name in known if name in vars(route) and name not in ("path", "endpoint")}
        routes[index] = APIRoute(route.path, route.endpoint, **given)
