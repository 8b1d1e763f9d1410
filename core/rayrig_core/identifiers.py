"""Random identifiers, drawn from a stream that is handed in."""

from __future__ import annotations

from random import Random

#: Alphabet of generated suffixes: no vowels, no 0, 1, 3, so that no words arise.
SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"

#: The 13th digit of a UUID is its version, the first two bits of the 17th are its variant.
_VERSION_4 = 4 << 76 | 2 << 62
_RANDOM_BITS = (1 << 128) - 1 & ~(15 << 76 | 3 << 62)


def random_uuid(rng: Random) -> str:
    """A version 4 UUID, as uids of objects (K8-082) and request ids are."""
    digits = f"{rng.getrandbits(128) & _RANDOM_BITS | _VERSION_4:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
