"""Where the keys and values of a TOML text stand, which `tomllib` does not say.

The text is one that `tomllib` has read: what stands where is found without checking it again.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
SPACE: Final = re.compile(r"[ \t]*")
BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
BARE_VALUE: Final = re.compile(r"[^,\]}#\n]*")
BASIC: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"')
LITERAL: Final = re.compile(r"'[^'\n]*'")
LONG_BASIC: Final = re.compile(r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})', re.DOTALL)
LONG_LITERAL: Final = re.compile(r"'''.*?'''(?:'{0,2})", re.DOTALL)
ESCAPE: Final = re.compile(r"\\(?:u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)", re.DOTALL)
LINE_END_ESCAPE: Final = re.compile(r"\\[ \t]*\n[ \t\n]*")


class Entry(NamedTuple):
    """A key with its value, or a table's header; offsets into the text.

    `path`   all keys from the top of the file on: `("graph", "tick", "from")`.
    `start`  of the key or the header.
    `value`  start and end of the value as it is written; empty at the start of a header.
    """

    path: tuple[str, ...]
    start: int
    value: tuple[int, int]


def entries(text: str) -> list[Entry]:
    """Every key and header of a text, in order; keys in inline tables and with dots as any other."""
    scanner = _Scanner(text)
    return list(scanner.document())


def string_offsets(raw: str) -> list[int] | None:
    """For each character of a string and its end, where it is written in `raw`; None for another value."""
    quote = next((quote for quote in ('"""', "'''", '"', "'") if raw.startswith(quote)), None)
    if quote is None:
        return None
    place, end = len(quote), len(raw) - len(quote)
    if len(quote) == 3 and raw.startswith("\n", place):
        place += 1
    offsets = []
    while place < end:
        skipped = LINE_END_ESCAPE.match(raw, place) if quote == '"""' else None
        if skipped:
            place = skipped.end()
            continue
        offsets.append(place)
        escape = ESCAPE.match(raw, place) if quote[0] == '"' else None
        place = escape.end() if escape else place + 1
    return [*offsets, end]


def elements(raw: str) -> list[tuple[int, int]] | None:
    """Start and end in `raw` of each element of an array; None for another value."""
    return list(_Scanner(raw).elements()) if raw.startswith("[") else None


class _Scanner:
    """Walks over a text; `place` is the offset of what comes next."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0

    def document(self) -> Iterator[Entry]:
        table: tuple[str, ...] = ()
        self._skip(BLANK)
        while self._place < len(self._text):
            start = self._place
            if self._next() == "[":
                self._skip(re.compile(r"\[\[?"))
                table = self._key()
                self._skip(re.compile(r"\]\]?"))
                yield Entry(table, start, (start, start))
            else:
                yield from self._pair(table)
            self._skip(BLANK)

    def elements(self) -> Iterator[tuple[int, int]]:
        """Where the elements of the array begin and end that the whole text is."""
        self._place += 1
        self._skip(BLANK)
        while self._next() != "]":
            start = self._place
            for _ in self._value(()):  # keys of an inline table
                pass
            yield start, start + len(self._text[start : self._place].rstrip())
            self._skip(BLANK)
            if self._next() == ",":
                self._place += 1
                self._skip(BLANK)

    def _pair(self, table: tuple[str, ...]) -> Iterator[Entry]:
        start = self._place
        path = table + self._key()
        self._place += 1  # the equals sign
        self._skip(SPACE)
        begin = self._place
        inside = list(self._value(path))
        yield Entry(path, start, (begin, self._place))
        yield from inside

    def _key(self) -> tuple[str, ...]:
        """A key with its dots, and the space around it."""
        parts = []
        while True:
            self._skip(SPACE)
            if self._next() in "\"'":
                raw = self._skip(BASIC if self._next() == '"' else LITERAL)
                parts.append(_text_of(raw))
            else:
                parts.append(self._skip(BARE_KEY))
            self._skip(SPACE)
            if self._next() != ".":
                return tuple(parts)
            self._place += 1

    def _value(self, path: tuple[str, ...]) -> Iterator[Entry]:
        """Walk over a value; the keys of an inline table come out."""
        if self._next() == "{":
            yield from self._several(path, "}")
        elif self._next() == "[":
            yield from self._several(path, "]")
        else:
            for start, pattern in (('"""', LONG_BASIC), ("'''", LONG_LITERAL), ('"', BASIC), ("'", LITERAL)):
                if self._text.startswith(start, self._place):
                    self._skip(pattern)
                    return
            self._skip(BARE_VALUE)

    def _several(self, path: tuple[str, ...], close: str) -> Iterator[Entry]:
        """The values of an array, or the pairs of an inline table."""
        self._place += 1
        self._skip(BLANK)
        while self._next() != close:
            yield from self._pair(path) if close == "}" else self._value(path)
            self._skip(BLANK)
            if self._next() == ",":
                self._place += 1
                self._skip(BLANK)
        self._place += 1

    def _next(self) -> str:
        """The next character; a text that ends inside a value was never read by `tomllib`."""
        assert self._place < len(self._text), "the text is TOML"
        return self._text[self._place]

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._place)
        assert match, "the text is TOML"
        self._place = match.end()
        return match[0]


def _text_of(raw: str) -> str:
    """A quoted key as it is meant."""
    if raw[0] == "'":
        return raw[1:-1]
    return ESCAPE.sub(lambda escape: _character(escape[0]), raw[1:-1])


def _character(escape: str) -> str:
    if escape[1] in "uU":
        return chr(int(escape[2:], 16))
    return {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}.get(escape[1], escape[1])
