"""Late rows and dead letters carry their story in headers that come back as they were."""

import tracemalloc

import pytest

from schemas.letters import INDEXES_MAX, DeadLetter, LateLetter, LetterError
from topics.values import DecodeLimits

LATE = LateLetter(
    stream="trade", topic="trades", partition=3, offset=17, indexes=(0, 4), lateness_ns=5, frontier_ns=-9
)
DEAD = DeadLetter(topic="trades", partition=0, offset=2**40, reason="null key — ü", error="DeadRow")


def test_a_late_letter_comes_back_from_its_headers() -> None:
    assert LateLetter.from_kafka([("trace", None), *LATE.to_kafka()]) == LATE


def test_a_dead_letter_comes_back_from_its_headers() -> None:
    assert DeadLetter.from_kafka([("trace", b"1"), *DEAD.to_kafka()]) == DEAD


def test_a_letter_written_twice_tells_the_last_story() -> None:
    first = LateLetter(stream="t", topic="t", partition=0, offset=0, indexes=(), lateness_ns=1, frontier_ns=1)
    assert LateLetter.from_kafka([*first.to_kafka(), *LATE.to_kafka()]) == LATE


def test_a_dead_letter_has_the_names_of_kafka_connect() -> None:
    names = [name for name, _ in DEAD.to_kafka()]
    assert "__connect.errors.exception.message" in names
    assert "__connect.errors.topic" in names


@pytest.mark.parametrize("value", [None, b"", b"x", b"\xff", b"9223372036854775808", b"9" * 5_000])
def test_a_malformed_header_is_named(value: bytes | None) -> None:
    headers = [(name, value if name == "tidemark-offset" else kept) for name, kept in LATE.to_kafka()]
    with pytest.raises(LetterError, match="tidemark-offset"):
        LateLetter.from_kafka(headers)
    with pytest.raises(LetterError, match=r"__connect\.errors\.offset"):
        DeadLetter.from_kafka([pair for pair in DEAD.to_kafka() if pair[0] != "__connect.errors.offset"])


@pytest.mark.parametrize(
    "text", ["1-", "5-3", "0-1048576", "0-99999999999", "0-4294967295", "a", "1,,2", "-1"]
)
def test_indexes_that_are_none_are_refused(text: str) -> None:
    headers = [
        (name, text.encode() if name == "tidemark-indexes" else kept) for name, kept in LATE.to_kafka()
    ]
    with pytest.raises(LetterError, match="tidemark-indexes"):
        LateLetter.from_kafka(headers)


def test_a_letter_about_a_million_rows_costs_no_more_than_its_header() -> None:
    text = b"0-5,6-400000,400001-1048575"
    headers = [(name, text if name == "tidemark-indexes" else kept) for name, kept in LATE.to_kafka()]
    tracemalloc.start()
    letters = [LateLetter.from_kafka(headers) for _ in range(100)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20
    assert {len(letter.indexes) for letter in letters} == {INDEXES_MAX}
    assert DecodeLimits().rows_max == INDEXES_MAX
    assert dict(letters[0].to_kafka())["tidemark-indexes"] == b"0-1048575"


def test_a_cut_that_is_no_number_is_refused() -> None:
    with pytest.raises(LetterError, match="tidemark-value-cut"):
        DeadLetter.from_kafka([*DEAD.to_kafka(), ("tidemark-value-cut", b"many")])
