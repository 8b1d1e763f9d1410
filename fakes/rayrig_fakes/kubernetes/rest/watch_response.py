"""An open watch as a response: events as lines of JSON, in the form that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rayrig_core.errors import ApiError
from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes.rest.requests import JSON, Target
from rayrig_fakes.kubernetes.storage.event_lines import CHUNK_BYTES, EventChunks, EventForm, event_line, framed
from rayrig_fakes.kubernetes.storage.revisions import Change
from rayrig_fakes.kubernetes.storage.watch import WatchCursor


class WatchResponse:
    """An open watch: status 200, one JSON object a line. Whoever serves it pulls lines or chunks and keeps the time.

    `timeout_s` is what the client asked for (None: the server's choice); before it ends the stream with `close`, it sends
    `bookmark` when `bookmarks` is set.
    """

    __slots__ = (
        "_chunks",
        "_closing",
        "_ended",
        "_first",
        "_form",
        "_held",
        "bookmarks",
        "cursor",
        "target",
        "timeout_s",
        "warnings",
    )

    def __init__(
        self,
        target: Target,
        cursor: WatchCursor,
        form: EventForm,
        chunks: EventChunks,
        *,
        first: EventForm | None = None,
        timeout_s: float | None,
        bookmarks: bool,
        warnings: tuple[str, ...],
        closing: JsonObject | None = None,
    ) -> None:
        """`form` makes lines of events (`first` that of the first one), `chunks` are the server's; `closing` is the bookmark
        that ends the initial events."""
        self.target = target
        self.cursor = cursor
        self.timeout_s = timeout_s
        self.bookmarks = bookmarks
        self.warnings = warnings
        self._form = form
        self._first = first
        self._chunks = chunks
        self._ended = False
        self._closing = closing
        #: Taken, and not yet sent because the closing bookmark came before it.
        self._held: Change | None = None

    status = 200

    @property
    def headers(self) -> list[tuple[str, str]]:
        return [("content-type", JSON), *(("warning", text) for text in self.warnings)]

    @property
    def is_ended(self) -> bool:
        """Nothing more will come."""
        return self._ended

    def lines(self) -> Iterator[bytes]:
        """What can be sent now. After a compaction the last line is an ERROR event and the stream has ended.

        Whoever stops in between finds the rest the next time.
        """
        while not self._ended:
            change, self._held = self._held, None
            if change is None:
                initial = self.cursor.has_initial
                try:
                    change = self.cursor.take()
                except ApiError as gone:
                    self._ended = True
                    yield event_line("ERROR", gone.status)
                    return
                if not initial and self._closing is not None:
                    closing, self._closing, self._held = self._closing, None, change
                    yield event_line("BOOKMARK", closing)
                    continue
            if change is None:
                self._ended = self.cursor.closed
                return
            form, self._first = self._first or self._form, None
            yield form(change)

    def chunk(self, is_framed: bool) -> bytes:
        """The next lines that can be sent now, about 64 KiB; empty when there are none. `is_framed`: each as a chunk of HTTP's
        chunked encoding. Watchers in step with each other get the same bytes."""
        cursor = self.cursor
        if (
            self._closing is None
            and self._first is None
            and self._held is None
            and not cursor.closed
            and not self._ended
        ):
            changes = cursor.changes
            if changes is not None:
                if cursor.place == changes.end:
                    return b""
                made, cursor.place = self._chunks.chunk(changes, cursor.place, self._form, is_framed)
                return made
        lines: list[bytes] = []
        size = 0
        for line in self.lines():
            lines.append(framed(line) if is_framed else line)
            size += len(line)
            if size >= CHUNK_BYTES:
                break
        return b"".join(lines)

    def call_when_ready(self, ready: Callable[[], None]) -> None:
        """Call `ready` once when there is more."""
        self.cursor.call_when_ready(ready)

    def close(self) -> None:
        self._ended = True
        self.cursor.close()
