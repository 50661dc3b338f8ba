"""Late rows: each message a line, counted by stream, and shown with which of its rows were late."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from app.commands import late
from app.late.view import as_json, count_streams, in_full, listing, summary
from app.reading.late import read_late
from app.reading.letters import StoredLetter, newest
from schemas.letters import LateLetter
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet


def market_with_late_rows(folder: Path) -> Market:
    """Quotes of 3 and 4 late by 7 and 6 in one block with one in time, and a trade of 9 late by 1."""
    market = Market(folder)
    market.trade(1)
    market.progress(10)
    worker = market.worker()
    turn_until_quiet(worker)
    market.quote(3, 4, 12)
    market.trade(9)
    turn_until_quiet(worker)
    worker.close()
    return market


def letters(market: Market) -> list[StoredLetter[LateLetter]]:
    return list(read_late(market.bus, market.settings, 0))


def shown(what: RenderableType) -> str:
    text = io.StringIO()
    Console(file=text, width=200).print(what)
    return text.getvalue()


def test_a_message_is_a_line_with_how_late_and_which_frontier_it_met(tmp_path: Path) -> None:
    found = letters(market_with_late_rows(tmp_path))
    header, trade, quote, last = listing(found, 2, 3)
    assert header.split("  ")[0] == "letter"
    assert quote.split()[1:5] == ["quote", "tidemark.quote[0]@1", "0,1", "7"]
    assert quote.split()[5:7] == ["ns", "00:00:00.000000010"]
    assert trade.split()[1:5] == ["trade", "tidemark.trade[0]@2", "0", "1"]
    assert last == "3 late rows in 2 letters; `late summary` counts them by stream"
    assert as_json(found[1]) == {
        "place": "0@1",
        "stream": "quote",
        "topic": "tidemark.quote",
        "partition": 0,
        "offset": 1,
        "rows": [0, 1],
        "lateness_ns": 7,
        "frontier_ns": 10,
        "timestamp_ms": found[1].original.timestamp_ms,
        "size": found[1].size,
        "cut": False,
    }


def test_the_newest_are_so_by_record_time_whatever_partition_they_lie_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    market = market_with_late_rows(tmp_path)
    first, second = letters(market)
    young = first.original._replace(timestamp_ms=first.original.timestamp_ms + 9)
    first = replace(first, original=young)
    assert list(newest([first, second], 1)) == [first]
    assert list(newest([first, second], 2)) == [second, first]
    monkeypatch.setattr(late, "read_late", lambda *_: iter([first, second]))
    monkeypatch.setattr(late, "_open", lambda *_: (market.settings, market.bus))
    capsys.readouterr()
    late.late_list(limit=1, json_=True)
    assert [json.loads(line)["place"] for line in capsys.readouterr().out.splitlines()] == [str(first.place)]
    late.late_list(json_=True)
    assert len(capsys.readouterr().out.splitlines()) == 2
    late.late_list(limit=1)
    assert "3 late rows in 2 letters, the newest 1 shown" in capsys.readouterr().out


def test_rows_are_counted_by_stream(tmp_path: Path) -> None:
    counts = count_streams(letters(market_with_late_rows(tmp_path)))
    assert [(one.stream, one.rows, one.letters, one.lateness_ns_max) for one in counts] == [
        ("quote", 2, 1, 7),
        ("trade", 1, 1, 1),
    ]
    header, quote, _ = summary(counts)
    assert header.split("  ")[0] == "stream"
    assert quote.split()[:5] == ["quote", "2", "1", "7", "ns"]


def test_a_letter_shows_its_rows_with_which_of_them_were_late(tmp_path: Path) -> None:
    market = market_with_late_rows(tmp_path)
    text = shown(in_full(letters(market)[1], market.pipeline.decoder("quote")))
    assert "2 rows late, at most by 7 ns" in text
    assert "row 0: late: {'event_ns': 3, 'symbol': 'A', 'bid': 3.0" in text
    assert "row 2: in time: {'event_ns': 12" in text
