"""Places of rows, (offset, index), as a short text: offsets by their difference, neighbours as one."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

Places = tuple[tuple[int, int], ...]

# More than a worker holds, whose places take a hundred bytes each: a few characters could name any number.
PLACES_MAX: Final = 16 << 20


def encode_places(places: Places) -> str:
    """Ascending places as words `difference[xcount][:indexes]`: `5 1x3 2:0-7,9`.

    A word names `count` offsets (1 where left out) that follow each other and have rows at the same indexes
    (0 where left out); the first is `difference` beyond the last one of the word before.
    """
    words: list[str] = []
    last = 0
    for first, count, indexes in _stretches(places):
        times = f"x{count}" if count > 1 else ""
        rows = f":{indexes}" if indexes != "0" else ""
        words.append(f"{first - last}{times}{rows}")
        last = first + count - 1
    return " ".join(words)


def decode_places(text: str) -> Places:
    """Places from text that `encode_places` wrote; raises ValueError where it did not."""
    places: list[tuple[int, int]] = []
    last = 0
    for word in text.split():
        stretch, _, indexes = word.partition(":")
        difference, _, count = stretch.partition("x")
        first = last + int(difference)
        last = first + int(count or 1) - 1
        ends = [run.partition("-") for run in (indexes or "0").split(",")]
        runs = [range(int(lower), int(upper or lower) + 1) for lower, _, upper in ends]
        of_offset = sum(max(0, run.stop - run.start) for run in runs)
        if len(places) + max(0, last + 1 - first) * of_offset > PLACES_MAX:
            raise ValueError(f"more than {PLACES_MAX:,} places")
        for offset in range(first, last + 1):
            for run in runs:
                places += [(offset, index) for index in run]
    return tuple(places)


def _stretches(places: Places) -> Iterator[tuple[int, int, str]]:
    """Offsets that follow each other with the same indexes: the first, how many, the indexes."""
    first, count, rows = 0, 0, ""
    for offset, of_offset in groupby(places, key=lambda place: place[0]):
        indexes = ",".join(_runs(index for _, index in of_offset))
        if count and indexes == rows and offset == first + count:
            count += 1
            continue
        if count:
            yield first, count, rows
        first, count, rows = offset, 1, indexes
    if count:
        yield first, count, rows


def _runs(indexes: Iterable[int]) -> Iterator[str]:
    for _, run in groupby(enumerate(indexes), key=lambda place: place[1] - place[0]):
        run_indexes = [index for _, index in run]
        lower, upper = run_indexes[0], run_indexes[-1]
        yield str(lower) if lower == upper else f"{lower}-{upper}"
