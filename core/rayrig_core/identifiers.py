"""Random identifiers, drawn from a stream that is handed in."""

from __future__ import annotations

from random import Random

#: Alphabet of generated suffixes: no vowels, no 0, 1, 3, so that no words arise.
SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def random_uuid(rng: Random) -> str:
    """A version 4 UUID, as uids of objects (K8-082) and request ids are."""
    digits = f"{rng.getrandbits(128):032x}"
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
