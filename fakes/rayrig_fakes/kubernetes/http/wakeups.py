"""When the watchers of a server on wall time are woken."""

from __future__ import annotations

import asyncio
import logging
import time

from rayrig_fakes.kubernetes.storage.feeds import Feed

_log = logging.getLogger("rayrig.kubernetes")
#: Of the processor's time, watchers get a quarter when writers want the rest.
_PAUSE_FOR_WORK = 3.0
#: However long the last round took, nobody waits longer than this for the next event.
_LONGEST_PAUSE_S = 0.05


class Wakeups:
    """Wakes watchers together. After a round took some time, the next one begins no sooner than three times that much later.

    So an event reaches an idle server's watchers at once, and under load writers keep most of the time, whatever the number of
    watchers: events come in larger chunks instead. A write does no more than note that there was one.
    """

    __slots__ = ("_feeds", "_is_planned", "_loop", "_next_s")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._feeds: dict[Feed, None] = {}
        self._is_planned = False
        self._next_s = 0.0

    def changed(self, feed: Feed) -> None:
        """What `Store.on_change` is set to."""
        self._feeds[feed] = None
        if not self._is_planned:
            self._plan()

    def _plan(self) -> None:
        self._is_planned = True
        wait_s = self._next_s - self._loop.time()
        if wait_s > 0:
            self._loop.call_later(wait_s, self._round)
        else:
            self._loop.call_soon(self._round)

    def _round(self) -> None:
        began_s = time.thread_time()
        feeds, self._feeds = self._feeds, {}
        for feed in feeds:
            for cursor in feed.publish():
                try:
                    cursor.wake()
                except Exception:
                    # Whatever is wrong with one watcher, the others are to be woken.
                    _log.exception("waking a watcher")
        # Runs after the first step of everyone who was woken: callbacks are processed in order.
        self._loop.call_soon(self._stepped, began_s)

    def _stepped(self, began_s: float) -> None:
        # What was written is sent at the end of this turn of the loop.
        self._loop.call_soon(self._ended, began_s)

    def _ended(self, began_s: float) -> None:
        took_s = time.thread_time() - began_s
        self._next_s = self._loop.time() + min(took_s * _PAUSE_FOR_WORK, _LONGEST_PAUSE_S)
        self._is_planned = False
        if self._feeds:
            self._plan()
