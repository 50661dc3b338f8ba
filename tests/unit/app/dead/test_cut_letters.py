"""Messages too large for their letters: the worker goes on, and the whole is fetched from its topic."""

import io
from contextlib import closing
from pathlib import Path

import pytest
from rich.console import Console

from app.audit.topics import audit
from app.dead.replay import replay
from app.dead.view import as_json, in_full
from app.reading.dead import Wanted, read_letters
from app.reading.late import late_places
from app.reading.letters import StoredLetter, with_original
from schemas.letter_cut import Cut
from schemas.letters import REPLAYED_FROM, DeadLetter, LateLetter
from tests.stage.market import Market
from tests.stage.small_topics import made_anew, with_limits, with_notes
from tests.stage.turns import turn_until_quiet
from topics.block import TopicPartition
from topics.message_size import message_size

QUOTES = TopicPartition("tidemark.quote", 0)
SIZE = 20_000
ALL = Wanted()


def work(market: Market) -> None:
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)


def letters(market: Market) -> list[StoredLetter[DeadLetter]]:
    return list(read_letters(market.bus, market.settings, 0))


def with_a_large_letter(folder: Path) -> tuple[Market, bytes]:
    """A market with a quote that breaks a rule, of as many bytes as its topic takes; then good rows."""
    market = Market(folder, streams={"quote": {"rules": {"finite": ["bid"]}}})
    with_limits(with_notes(market, "quote"), quote=SIZE, dead=SIZE, late=SIZE)

    def block(size: int) -> bytes:
        return market.block("quote", [1], columns={"bid": [float("nan")], "note": ["x" * size]})

    value = next(block(size) for size in range(SIZE, 0, -1) if message_size(b"A", block(size)) == SIZE)
    market.send("quote", b"A", value)
    market.quote(2)
    market.trade(3)
    market.progress(9)
    work(market)
    return market, value


def test_a_dead_letter_that_does_not_fit_keeps_what_fits_and_the_worker_goes_on(tmp_path: Path) -> None:
    market, value = with_a_large_letter(tmp_path)
    (found,) = letters(market)
    assert found.letter.cut == Cut(value_size=len(value))
    assert found.original.value == value[: len(found.original.value or b"")]
    assert (found.size, as_json(found, sent=False)["size"]) == (len(value), len(value))
    assert as_json(found, sent=False)["cut"]
    assert market.aligned() == [(3, 2)]
    assert audit(market.pipeline).violations == []


def shown(market: Market) -> str:
    whole, missing = with_original(market.bus, market.settings, letters(market)[0])
    text = io.StringIO()
    what = in_full(whole, market.pipeline.decoder("quote"), sent=False, missing=missing)
    Console(file=text, width=300).print(what)
    return text.getvalue()


def test_the_original_of_a_cut_letter_is_shown_and_decoded(tmp_path: Path) -> None:
    market, value = with_a_large_letter(tmp_path)
    text = shown(market)
    assert f"{len(value):,} bytes, fetched from tidemark.quote[0]@0" in text
    assert "row 0: bid is not finite" in text


def test_the_original_of_a_cut_letter_is_replayed_whatever_its_size(tmp_path: Path) -> None:
    market, value = with_a_large_letter(tmp_path)
    assert len(replay(market.pipeline, ALL, dry_run=True).sent) == 1
    done = replay(market.pipeline, ALL)
    assert (len(done.sent), done.left_out) == (1, [])
    again = market.messages("quote")[-1]
    assert (again.key, again.value) == (b"A", value)
    assert REPLAYED_FROM not in dict(again.headers), (
        "with it the message would be larger than its topic takes"
    )
    assert replay(market.pipeline, ALL).before == 1


def test_an_original_that_retention_has_deleted_is_said_to_be_so(tmp_path: Path) -> None:
    market, value = with_a_large_letter(tmp_path)
    market.bus.delete_before(QUOTES, 1)
    kept = len(letters(market)[0].original.value or b"")
    why = (
        f"the letter keeps {kept:,} of {len(value):,} bytes, and tidemark.quote[0]@0 is no longer in its "
        "topic: retention has deleted it"
    )
    assert replay(market.pipeline, ALL).left_out == [f"0@0: {why}"]
    assert why in shown(market)


def test_another_message_in_the_place_of_the_original_is_not_taken_for_it(tmp_path: Path) -> None:
    market, _ = with_a_large_letter(tmp_path)
    made_anew(market, "quote")
    market.send("quote", b"A", market.block("quote", [1]))
    (line,) = replay(market.pipeline, ALL).left_out
    assert line.endswith("tidemark.quote[0]@0 holds another message: the topic was made anew")


def test_a_message_that_its_topic_takes_no_more_is_left_out_with_the_setting(tmp_path: Path) -> None:
    market, _ = with_a_large_letter(tmp_path)
    with_limits(market, quote=9_999)
    (line,) = replay(market.pipeline, ALL).left_out
    assert line == (
        "0@0: tidemark.quote[0]@0 has 20,000 bytes, and its topic takes 9,999 now "
        "(max.message.bytes of the topic)"
    )


def late_market(folder: Path) -> tuple[Market, bytes]:
    """A market sealed up to 10, in which then a large quote of 2 comes, with one of 13 in its message."""
    market = with_limits(with_notes(Market(folder), "quote"), late=SIZE)
    market.progress(10)
    work(market)
    value = market.block("quote", [2, 13], columns={"note": ["x" * 30_000, ""]})
    market.send("quote", b"A", value)
    work(market)
    return market, value


def test_a_late_letter_that_does_not_fit_still_names_its_rows(tmp_path: Path) -> None:
    market, value = late_market(tmp_path)
    (letter,) = market.messages("late")
    headers = LateLetter.from_kafka(letter.headers)
    assert (headers.offset, headers.indexes, headers.cut) == (1, (0,), Cut(value_size=len(value)))
    assert late_places(market.pipeline, 0, group="test") == {"trade": [], "quote": [(1, 0)]}
    market.trade(14)
    market.progress(20)
    work(market)
    assert market.aligned() == [(14, 13)]
    assert audit(market.pipeline).violations == []


@pytest.mark.parametrize("change", [b"y", b""])
def test_the_audit_tells_a_cut_letter_of_another_message(tmp_path: Path, change: bytes) -> None:
    market, _ = late_market(tmp_path)
    (letter,) = market.messages("late")
    made_anew(market, "late")
    assert letter.value is not None
    value = letter.value[:-1] + change if change else letter.value[:100] + b"z"
    market.produce("late", 0, letter.key, value, letter.headers)
    ((_, violation),) = audit(market.pipeline).violations
    assert violation.kind == "unjustified late"
    assert "the message is not the one in the input" in violation.examples[0]
