"""What a server of pages answers with, apart from how it listens."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

PLAIN: Final = "text/plain; charset=utf-8"


class Answer(NamedTuple):
    """What a page answers."""

    status: int
    text: bytes
    content_type: str = PLAIN


@dataclass(frozen=True, slots=True)
class Page:
    """What answers for a path, given the `Accept` header; `open` pages are answered without a token."""

    answer: Callable[[str], Answer]
    is_open: bool = False


def health_page(wrong: Callable[[], str]) -> Page:
    """A page of health, open to all: 200 where nothing is `wrong`, else 503 with what is."""

    def answer(_accept: str) -> Answer:
        words = wrong()
        return Answer(503, f"{words}\n".encode()) if words else Answer(200, b"ok\n")

    return Page(answer, is_open=True)
