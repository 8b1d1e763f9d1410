"""Work by object: at most one actor for each key, and only while there is something to do for it.

What touches a key while its actor is at work lets the actor look again. What the API server refuses is tried again after 5 ms,
doubling up to 1000 s, as the queues of the real controllers do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from rayrig_core.errors import ApiError
from rayrig_core.objects import JsonObject, key_of
from rayrig_core.ports import Runtime, Task, WatchType
from rayrig_core.timestamps import NS
from rayrig_sim.kubernetes.object_cache import Key, ObjectCache, ObjectCaches

_FIRST_RETRY_S, _LAST_RETRY_S = 0.005, 1000.0


class _Entry:
    __slots__ = ("cause", "is_dirty")

    def __init__(self, cause: int | None) -> None:
        self.cause = cause
        self.is_dirty = True


class KeyedWork:
    """`sync` brings one object to where it should be; it may raise `ApiError`."""

    def __init__(
        self, runtime: Runtime, caches: ObjectCaches, component: str, sync: Callable[[Key], Awaitable[None]]
    ) -> None:
        self._runtime = runtime
        self._caches = caches
        self._component = component
        self._sync = sync
        self._entries: dict[Key, _Entry] = {}
        self._timers: dict[Key, tuple[int, Task[None]]] = {}

    def touch(self, key: Key, cause: int | None = None) -> None:
        """Something about the object may have changed."""
        entry = self._entries.get(key)
        if entry is not None:
            entry.is_dirty, entry.cause = True, cause
            return
        entry = self._entries[key] = _Entry(cause)
        self._runtime.spawn("/".join((self._component, *filter(None, key))), self._work(key, entry))

    def follow(self, cache: ObjectCache) -> None:
        """Touch each object of the cache when it appears or changes."""

        def on_change(type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
            if type_ is not WatchType.DELETED:
                self.touch(key_of(new), cause)

        cache.on_change(on_change)

    def touch_after(self, key: Key, delay_s: float) -> None:
        """Look at it then, if nothing makes it look earlier; the earliest of several times holds."""
        due_ns = self._runtime.monotonic_ns() + round(delay_s * NS)
        timer = self._timers.get(key)
        if timer is not None:
            if timer[0] <= due_ns:
                return
            timer[1].cancel()
        name = "/".join((self._component, *filter(None, key), "later"))
        self._timers[key] = (due_ns, self._runtime.spawn(name, self._later(key, delay_s)))

    async def _later(self, key: Key, delay_s: float) -> None:
        await self._runtime.sleep(delay_s)
        self._timers.pop(key, None)
        self.touch(key)

    async def _work(self, key: Key, entry: _Entry) -> None:
        failures = 0
        await self._caches.wait_synced()
        try:
            while entry.is_dirty:
                entry.is_dirty = False
                self._runtime.cause = entry.cause
                try:
                    await self._sync(key)
                    failures = 0
                except ApiError:
                    await self._runtime.sleep(min(_FIRST_RETRY_S * 2**failures, _LAST_RETRY_S))
                    failures += 1
                    entry.is_dirty = True
        finally:
            del self._entries[key]
