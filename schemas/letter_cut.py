"""What a letter leaves out of its original where the whole would not fit its topic, as headers."""

from dataclasses import dataclass
from typing import Final

Headers = list[tuple[str, bytes | None]]

CUT_VALUE: Final = "tidemark-value-cut"
CUT_KEY: Final = "tidemark-key-cut"
CUT_HEADERS: Final = "tidemark-headers-cut"
CUT_NAMES: Final = (CUT_VALUE, CUT_KEY, CUT_HEADERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What is not whole: the full figure of each such part, None for a part that is as it was.

    `value_size`   bytes of the original's value, of which the letter has the beginning.
    `key_size`     the same of its key.
    `header_count` headers of the original, of which the letter has none.

    The whole lies where the letter says it came from, as long as that topic keeps it.
    """

    value_size: int | None = None
    key_size: int | None = None
    header_count: int | None = None

    def __bool__(self) -> bool:
        return not (self.value_size is self.key_size is self.header_count is None)

    def to_kafka(self) -> Headers:
        """The headers as a Kafka client takes them; none where nothing was cut."""
        figures = zip(CUT_NAMES, (self.value_size, self.key_size, self.header_count), strict=True)
        return [(name, str(figure).encode()) for name, figure in figures if figure is not None]

    @classmethod
    def from_kafka(cls, headers: Headers, first: str) -> "Cut":
        """Read the headers from the last one named `first` on, with which a letter's own begin.

        What lies before belongs to the original, which may be a letter itself.  Raises ValueError.
        """
        own = dict(headers[own_begin(headers, first) :])
        figures = [None if (text := own.get(name)) is None else int(text) for name in CUT_NAMES]
        return cls(value_size=figures[0], key_size=figures[1], header_count=figures[2])


WHOLE: Final = Cut()


def own_begin(headers: Headers, first: str) -> int:
    """Where the headers of the letter itself begin, after those of its original; their count without any."""
    places = [place for place, (name, _) in enumerate(headers) if name == first]
    return places[-1] if places else len(headers)
