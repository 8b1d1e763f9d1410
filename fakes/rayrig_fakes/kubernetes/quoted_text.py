"""Text in double quotes as the real server's messages write it: control and unprintable characters escaped, the rest as it is."""

from __future__ import annotations

import re

_PLAIN = re.compile(r'[^\\"\x00-\x1f\x7f-\uffff\U00010000-\U0010ffff]*')
_SHORT = {"\a": "a", "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t", "\v": "v", "\\": "\\", '"': '"'}


def quoted_text(text: str) -> str:
    """`"text"`, with escapes."""
    if _PLAIN.fullmatch(text):
        return f'"{text}"'
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(letter: str) -> str:
    short = _SHORT.get(letter)
    if short is not None:
        return f"\\{short}"
    if letter.isprintable():
        return letter
    number = ord(letter)
    if number < 0x80:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
