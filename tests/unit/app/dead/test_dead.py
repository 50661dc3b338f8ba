"""Dead letters: listed with their reason, and sent back once, whole, or not at all."""

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from app.audit.topics import audit
from app.dead.letter import hexdump
from app.dead.replay import Replay, Sent, replay, sent_places
from app.dead.view import as_json, count_reasons, in_full, listing, summary
from app.errors import UsageError
from app.reading.dead import Wanted, kind_of, read_letters
from app.reading.letters import Place, StoredLetter
from app.worker.worker import Worker
from schemas.letters import REPLAYED_FROM, DeadLetter, original_headers
from tests.simulation.scene import QUOTE
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet
from topics.avro.schema import block_schema
from topics.bus import Position, UnknownOutcomeError
from topics.memory.store import CommitFault
from topics.registry.folder import FileRegistry

ALL = Wanted()
NAN = float("nan")


def work(market: Market) -> Worker:
    worker = market.worker()
    turn_until_quiet(worker)
    worker.close()
    return worker


def letters(market: Market) -> list[StoredLetter[DeadLetter]]:
    numbers = range(market.settings.bus.partitions)
    return [found for n in numbers for found in read_letters(market.bus, market.settings, n)]


def with_unknown_schema(folder: Path) -> tuple[Market, bytes]:
    """A market where a quote of the time 5 died, since nobody had registered its schema; now it is known."""
    market = Market(folder)
    known = market.block("quote", [5])
    newer = block_schema(QUOTE).replace('"bid"', '"bid", "doc": "best"')
    elsewhere = FileRegistry(folder / "elsewhere")
    value = known[:1] + elsewhere.register("any", newer).to_bytes(4, "big") + known[5:]
    market.send("quote", b"A", value)
    work(market)
    assert [kind_of(found.letter).split(":")[0] for found in letters(market)] == [
        f"schema id {int.from_bytes(value[1:5], 'big')}"
    ]
    market.pipeline.registry.register("any", newer)
    return market, value


def test_a_letter_that_can_be_read_by_now_is_sent_back_and_matches(tmp_path: Path) -> None:
    market, value = with_unknown_schema(tmp_path)
    done = replay(market.pipeline, ALL)
    assert (len(done.sent), done.before, done.left_out, done.late) == (1, 0, [], 0)
    again = market.messages("quote")[-1]
    assert (again.key, again.value) == (b"A", value)
    assert again.headers == [(REPLAYED_FROM, b"tidemark.dead[0]@0")]
    market.trade(6)
    market.progress(9)
    work(market)
    assert market.aligned() == [(6, 5)]
    assert audit(market.pipeline).violations == []


def test_a_second_call_sends_nothing(tmp_path: Path) -> None:
    market, _ = with_unknown_schema(tmp_path)
    replay(market.pipeline, ALL)
    before = market.messages("quote")
    assert replay(market.pipeline, ALL) == Replay(before=1)
    assert market.messages("quote") == before


def test_a_dry_run_sends_nothing_and_leaves_everything_to_be_sent(tmp_path: Path) -> None:
    market, _ = with_unknown_schema(tmp_path)
    dry = replay(market.pipeline, ALL, dry_run=True)
    assert len(market.messages("quote")) == 1
    assert replay(market.pipeline, ALL) == dry


@pytest.mark.parametrize("fault", [CommitFault.LOST, CommitFault.UNHEARD])
def test_a_commit_that_was_not_heard_of_is_neither_lost_nor_done_twice(
    tmp_path: Path, fault: CommitFault
) -> None:
    market, value = with_unknown_schema(tmp_path)
    market.bus.fail_commits([fault])
    with pytest.raises(UnknownOutcomeError):
        replay(market.pipeline, ALL)
    replay(market.pipeline, ALL)
    assert [message.value for message in market.messages("quote")] == [value, value]


def test_a_message_whose_other_rows_were_used_is_left_out(tmp_path: Path) -> None:
    market = Market(tmp_path, streams={"quote": {"rules": {"finite": ["bid"]}}})
    market.send("quote", b"A", market.block("quote", [1, 2], columns={"bid": [NAN, 2.0]}))
    market.send("quote", b"A", market.block("quote", [3, 4], columns={"bid": [NAN, NAN]}))
    work(market)
    done = replay(market.pipeline, ALL)
    assert done.left_out == [
        "0@0: 1 other rows of tidemark.quote[0]@0 are not in this letter; sent again they would be doubled"
    ]
    assert done.sent == ["0@1: tidemark.quote[0]@1, bid is not finite"]
    work(market)
    assert [found.source for found in letters(market)][2:] == ["tidemark.quote[0]@2"], "dead again"


def test_letters_that_will_be_late_are_counted(tmp_path: Path) -> None:
    market, _ = with_unknown_schema(tmp_path)
    market.progress(9)
    work(market)
    assert replay(market.pipeline, ALL).late == 1
    work(market)
    assert len(market.messages("late")) == 1


def test_letters_sent_out_of_turn_are_not_sent_again(tmp_path: Path) -> None:
    market = Market(tmp_path)
    for number in range(6):
        market.send("quote", b"A", b"garbage %d" % number)
    work(market)
    chosen = frozenset(Place(0, offset) for offset in (1, 2, 4))
    assert len(replay(market.pipeline, Wanted(places=chosen)).sent) == 3
    (sent,) = sent_places(market.bus, market.settings).values()
    assert [found.place.offset in sent for found in letters(market)] == [
        False, True, True, False, True, False,
    ]  # fmt: skip
    rest = replay(market.pipeline, ALL)
    assert (len(rest.sent), rest.before) == (3, 3)
    values = [message.value for message in market.messages("quote")]
    assert Counter(values) == Counter({b"garbage %d" % number: 2 for number in range(6)})


def test_letters_are_chosen_by_stream_reason_rule_and_time(tmp_path: Path) -> None:
    market = Market(tmp_path, streams={"quote": {"rules": {"finite": ["bid"]}}})
    market.send("quote", b"A", market.block("quote", [1], columns={"bid": [NAN]}))
    market.send("trade", b"A", b"garbage")
    work(market)

    def places(**wanted: object) -> list[str]:
        asked = Wanted(**wanted)  # type: ignore[arg-type]
        return [str(found.place) for found in letters(market) if asked.has(found)]

    quote, trade = [str(f.place) for f in sorted(letters(market), key=lambda f: f.letter.topic)]
    assert places() == [str(found.place) for found in letters(market)]
    assert places(topic="tidemark.trade") == [trade]
    assert places(reason="finite") == [quote]
    assert places(reason="wire format") == [trade]
    assert places(since_ms=2**50) == []


def shown(what: RenderableType) -> str:
    text = io.StringIO()
    Console(file=text, width=200).print(what)
    return text.getvalue()


def test_a_letter_is_shown_with_its_bytes_and_the_rows_that_can_be_read_now(tmp_path: Path) -> None:
    market, value = with_unknown_schema(tmp_path)
    (found,) = letters(market)
    text = shown(in_full(found, market.pipeline.decoder("quote"), sent=False))
    assert f"schema id   {int.from_bytes(value[1:5], 'big')}" in text
    assert value[:16].hex(" ") in text
    assert "row 0: good now: {'event_ns': 5, 'symbol': 'A', 'bid': 5.0" in text
    assert "__connect.errors.topic: tidemark.quote" in text
    assert as_json(found, sent=True)["replayed"]


def test_equal_reasons_count_together_whichever_row_they_name(tmp_path: Path) -> None:
    market = Market(tmp_path)
    good = market.block("quote", [1, 2])
    for value in (good[:-2], market.block("quote", [1])[:-2]):
        market.send("quote", b"A", value)
    work(market)
    kinds = {kind_of(found.letter) for found in letters(market)}
    assert len(kinds) == 1 < len({found.letter.reason for found in letters(market)})
    (count,) = count_reasons(letters(market))
    assert (count.letters, count.topic, count.reason) == (2, "tidemark.quote", kinds.pop())
    assert len(summary([count])) == 2


def test_a_letter_takes_one_line_and_those_not_shown_are_counted(tmp_path: Path) -> None:
    market = Market(tmp_path)
    for value in (b"garbage", b"more"):
        market.send("quote", b"A", value)
    work(market)
    header, line, last = listing([(letters(market)[1], True)], 2)
    assert line.startswith("0@1     tidemark.quote[0]@1  ")
    assert "replayed" in line
    assert line[header.index("reason") :] == letters(market)[1].letter.reason
    assert last.startswith("2 dead letters, the newest 1 shown")


def test_rows_too_far_ahead_are_one_reason_whatever_their_times(tmp_path: Path) -> None:
    market = Market(tmp_path, pipeline={"max_ahead_ns": 10})
    market.quote(100)
    market.quote(200)
    work(market)
    (count,) = count_reasons(letters(market))
    assert (count.letters, count.reason) == (2, "too far ahead: beyond pipeline.max_ahead_ns")


def test_a_hexdump_shows_where_what_and_as_text() -> None:
    assert list(hexdump(b"\x00AB")) == ["00000000  00 41 42" + " " * 41 + ".AB"]
    assert list(hexdump(bytes(2_000)))[-1] == "... 976 more bytes"


def test_headers_come_back_as_the_producer_gave_them(tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.send("quote", b"A", b"garbage")
    work(market)
    (found,) = letters(market)
    own = [("trace", b"1"), ("__connect.errors.topic", b"from another connector"), ("trace", None)]
    assert original_headers([*own, *found.letter.to_kafka()]) == own


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.data())
def test_what_was_sent_is_told_from_what_was_not_after_any_order_of_sending(
    is_letter: list[bool], data: st.DataObject
) -> None:
    offsets = np.flatnonzero(is_letter).tolist()
    sent, done = Sent(None, 0), set()
    for _ in range(3):
        chosen = data.draw(st.sets(st.sampled_from(offsets))) if offsets else set()
        lower = 0
        for offset in offsets:
            if offset in chosen and offset not in sent:
                sent.add(lower, offset + 1)
                done.add(offset)
            lower = offset + 1
        sent = Sent(sent.position(), 0)
        assert [offset for offset in offsets if offset in sent] == sorted(done)


def test_too_many_scattered_letters_are_refused_and_nothing_is_sent() -> None:
    sent = Sent(None, 0)
    for offset in range(1, 4_000, 2):
        sent.add(offset, offset + 1)
    with pytest.raises(UsageError, match="2,000 separate stretches"):
        sent.position()


def test_a_foreign_position_is_refused() -> None:
    with pytest.raises(UsageError, match="holds 'mine'"):
        Sent(Position(3, "mine"), 0)


def test_replays_of_two_partitions_are_remembered_apart(tmp_path: Path) -> None:
    market = Market(tmp_path, partitions=2)
    for symbol in ("A", "D"):
        market.keyed("quote", symbol, b"garbage")
    work(market)
    replay(market.pipeline, Wanted(places=frozenset({Place(1, letters(market)[1].place.offset)})))
    places = [
        found.place.offset in sent_places(market.bus, market.settings)[found.place.partition]
        for found in letters(market)
    ]
    assert places == [False, True]
