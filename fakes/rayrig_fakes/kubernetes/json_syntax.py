"""What is wrong with a text that is no JSON, in the words of the real server's scanner."""

from __future__ import annotations

import re

from rayrig_fakes.kubernetes.quoted_text import quoted_text

_LITERALS = {"t": "true", "f": "false", "n": "null"}
_DIGITS = "0123456789"
_END = "unexpected end of JSON input"
#: Inside strings, up to something that needs a look.
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
_BLANK = re.compile(r"[ \t\r\n]*")


class _Bad(Exception):
    """The message."""


def syntax_error(text: str, *, in_letters: bool = False) -> str:
    """The first thing that cannot be; the end of the text reads as a blank, as far as that explains something.

    What is not ASCII is named as a byte, or (`in_letters`) as the letter it is.
    """
    try:
        _Scanner(text, in_letters).scan()
    except _Bad as bad:
        return str(bad)
    return _END


class _Scanner:
    def __init__(self, text: str, in_letters: bool) -> None:
        self._text = text
        self._in_letters = in_letters
        self._place = 0

    def scan(self) -> None:
        self._value()
        if self._peek():
            self._refuse("after top-level value")

    def _peek(self) -> str:
        """The next character that is not blank; "" at the end."""
        found = _BLANK.match(self._text, self._place)
        assert found is not None
        self._place = found.end()
        return self._text[self._place : self._place + 1]

    def _refuse(self, where: str) -> None:
        letter = self._text[self._place : self._place + 1] or " "
        # Bytes are looked at one by one.
        first = letter.encode("utf-8", "surrogateescape")[0]
        if first >= 0x80 and not self._in_letters:
            shown = f"'\\x{first:02x}'"
        else:
            shown = "'\\''" if letter == "'" else "'\"'" if letter == '"' else f"'{quoted_text(letter)[1:-1]}'"
        raise _Bad(f"invalid character {shown} {where}")

    def _value(self) -> None:
        first = self._peek()
        if not first:
            raise _Bad(_END)
        if first == "{":
            self._object()
        elif first == "[":
            self._list()
        elif first == '"':
            self._string()
        elif first in _LITERALS:
            self._literal(_LITERALS[first])
        elif first == "-" or first in _DIGITS:
            self._number()
        else:
            self._refuse("looking for beginning of value")

    def _object(self) -> None:
        self._place += 1
        if self._peek() == "}":
            self._place += 1
            return
        while True:
            if (next_one := self._peek()) != '"':
                self._expect(next_one, "looking for beginning of object key string")
            self._string()
            if (next_one := self._peek()) != ":":
                self._expect(next_one, "after object key")
            self._place += 1
            self._value()
            if (next_one := self._peek()) == "}":
                self._place += 1
                return
            if next_one != ",":
                self._expect(next_one, "after object key:value pair")
            self._place += 1

    def _list(self) -> None:
        self._place += 1
        if self._peek() == "]":
            self._place += 1
            return
        while True:
            self._value()
            if (next_one := self._peek()) == "]":
                self._place += 1
                return
            if next_one != ",":
                self._expect(next_one, "after array element")
            self._place += 1

    def _expect(self, found: str, where: str) -> None:
        """What was found is not what should be there."""
        if not found:
            raise _Bad(_END)
        self._refuse(where)

    def _string(self) -> None:
        self._place += 1
        while True:
            found = _PLAIN.match(self._text, self._place)
            assert found is not None
            self._place = found.end()
            letter = self._text[self._place : self._place + 1]
            if letter == '"':
                self._place += 1
                return
            if not letter:
                raise _Bad(_END)
            if letter != "\\":
                self._refuse("in string literal")
            self._place += 1
            self._escape()

    def _escape(self) -> None:
        letter = self._text[self._place : self._place + 1]
        if not letter:
            raise _Bad(_END)
        if letter != "u":
            if letter not in 'bfnrt\\/"':
                self._refuse("in string escape code")
            self._place += 1
            return
        for _ in range(4):
            self._place += 1
            letter = self._text[self._place : self._place + 1]
            if not letter:
                raise _Bad(_END)
            if letter not in "0123456789abcdefABCDEF":
                self._refuse("in \\u hexadecimal character escape")
        self._place += 1

    def _literal(self, word: str) -> None:
        for letter in word:
            if self._text[self._place : self._place + 1] != letter:
                self._refuse(f"in literal {word} (expecting '{letter}')")
            self._place += 1

    def _number(self) -> None:
        if self._at("-"):
            self._place += 1
            if not self._at(_DIGITS):
                self._refuse("in numeric literal")
        if self._at("0"):
            self._place += 1
        else:
            self._digits()
        if self._at("."):
            self._place += 1
            if not self._at(_DIGITS):
                self._refuse("after decimal point in numeric literal")
            self._digits()
        if self._at("eE"):
            self._place += 1
            if self._at("+-"):
                self._place += 1
            if not self._at(_DIGITS):
                self._refuse("in exponent of numeric literal")
            self._digits()

    def _at(self, letters: str) -> bool:
        letter = self._text[self._place : self._place + 1]
        return bool(letter) and letter in letters

    def _digits(self) -> None:
        while self._at(_DIGITS):
            self._place += 1
