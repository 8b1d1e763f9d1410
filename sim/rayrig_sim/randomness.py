"""One seed, many named streams: adding an actor does not shift another's draws."""

from __future__ import annotations

from hashlib import blake2b
from random import Random


class Streams:
    """Random streams by name, each a function of (seed, name) only."""

    __slots__ = ("_streams", "seed")

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._streams: dict[str, Random] = {}

    def stream(self, name: str) -> Random:
        """The stream of that name; the same object at each call."""
        found = self._streams.get(name)
        if found is None:
            digest = blake2b(f"{self.seed}/{name}".encode(), digest_size=16).digest()
            found = self._streams[name] = Random(int.from_bytes(digest, "big"))
        return found
