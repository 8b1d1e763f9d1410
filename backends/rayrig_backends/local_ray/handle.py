"""A deployment's handle as a script outside of the cluster has it: `handle.predict.remote(1).result()`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rayrig_backends.local_ray.machines import Machines
from rayrig_sim.serve.handles import DeploymentHandle, DeploymentResponseGenerator


class DriverHandle:
    """Time passes when a result is asked for. Options are those of `DeploymentHandle.options`."""

    def __init__(self, ray: Machines, handle: DeploymentHandle, *, is_stream: bool = False) -> None:
        self._ray = ray
        self._handle = handle
        self._is_stream = is_stream

    def options(self, *, stream: bool | None = None, **options: Any) -> DriverHandle:
        is_stream = self._is_stream if stream is None else stream
        return DriverHandle(self._ray, self._handle.options(stream=is_stream, **options), is_stream=is_stream)

    def __getattr__(self, method: str) -> DriverHandle:
        if method.startswith("__"):
            raise AttributeError(method)
        return self.options(method_name=method)

    def remote(self, *args: Any, **kwargs: Any) -> Any:
        """Begin a call: a `Pending`, or with `stream` an iterator over what it yields. Both raise what the call raises."""
        if self._is_stream:
            return self._yielded(self._ray.run(_begun, self._handle, args, kwargs))
        return self._ray.begin(_awaited, self._handle, args, kwargs)

    def _yielded(self, stream: DeploymentResponseGenerator) -> Iterator[Any]:
        try:
            while True:
                try:
                    yield self._ray.run(stream.__anext__)
                except StopAsyncIteration:
                    return
        finally:
            # Nothing when it has ended.
            stream.cancel()


async def _begun(handle: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return handle.remote(*args, **kwargs)


async def _awaited(handle: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return await handle.remote(*args, **kwargs)
