"""Scenes of messages that are no rows, schemas that change, and a registry that is away (F9 to F13)."""

import json
import math
import shutil
import signal
from collections.abc import Mapping
from typing import Any

from confluent_kafka import IsolationLevel

from tests.broker.chaos.feed import QUOTE, TRADE, Sent
from tests.broker.chaos.log_reader import ends
from tests.broker.chaos.stage import Stage
from tests.contract.registry.http_registry import HttpRegistry
from tests.stage.day_runs import until

RULES = {
    "trade": {"rules": {"positive": {"columns": ["price"], "policy": "dead"}}},
    "quote": {"rules": {"finite": {"columns": ["bid"], "policy": "dead"}}},
}
FAIL = {"quote": {"rules": {"finite": {"columns": ["bid"], "policy": "fail"}}}}


def breaks_rules(stream: str, row: Mapping[str, Any]) -> bool:
    """What RULES say of a row."""
    if stream == "trade":
        return not row["price"] > 0
    return not math.isfinite(row["bid"])


def _strays(stage: Stage, *messages: Sent) -> None:
    """Rows, these messages in their middle, and a worker's death before and after they are judged."""
    hand = stage.crew.hire(failpoint="commit-end:9", until_final=False)
    for _ in range(4):
        stage.feed.step()
    assert stage.feed.write(messages)
    with stage.feed.flowing():
        hand.died()
        stage.crew.hire(failpoint="commit-state:4", until_final=False).died()
        again = stage.crew.hire()
        stage.recovers(again)
    stage.finish(again)


def rows_break_rules(stage: Stage) -> None:
    """F9: prices that are none go to the dead-letter topic, once, and the other rows go on."""
    stage.breaks = breaks_rules
    feed = stage.feed
    poison = []
    for symbol, wrong in (("S00", math.nan), ("S01", math.inf), ("S05", -math.inf)):
        row = feed.row("quote", feed.now_ns + 410_000_000, symbol) | {"bid": wrong}
        poison.append(("quote", symbol, feed.value("quote", row)))
    for symbol, wrong in (("S00", -1.0), ("S03", 0.0), ("S03", math.nan)):
        row = feed.row("trade", feed.now_ns + 410_000_000, symbol) | {"price": wrong}
        poison.append(("trade", symbol, feed.value("trade", row)))
    _strays(stage, *poison)


def a_row_that_must_not_be_stops_the_worker(stage: Stage) -> None:
    """F9: with the policy "fail" the worker stops at the row and names it, each time it is started."""
    feed = stage.feed
    hand = stage.crew.hire()
    for _ in range(3):
        feed.step()
    stage.rows_seen()
    row = feed.row("quote", feed.now_ns, "S00") | {"bid": math.nan}
    assert feed.write([("quote", "S00", feed.value("quote", row))])
    stage.note = hand.gave_up("bid is not finite", '"fail"')
    stage.crew.hire().gave_up("bid is not finite", '"fail"')
    stage.breaks = lambda stream, found: stream == "quote" and not math.isfinite(found["bid"])
    stage.complete = False


def bytes_that_are_no_rows(stage: Stage) -> None:
    """F10: truncated, trailing, foreign and empty messages are dead, with their bytes."""
    feed = stage.feed
    sent: list[Sent] = []
    for name in ("trade", "quote"):
        for symbol in ("S00", "S01"):
            good = feed.value(name, feed.row(name, feed.now_ns + 410_000_000, symbol))
            broken = [good[: stage.seed % 9 + 5], good[:-1], good + b"\x00", b"\x01" + good[1:], b"", None]
            sent += [(name, symbol, value) for value in broken]
        sent.append((name, "S02", good[:5] + b"\xff" * 12 + good[17:]))  # a number beyond 64 bits
    _strays(stage, *sent)


def bombs(stage: Stage) -> None:
    """F11: few bytes that promise many rows, or long texts; that they take no memory is a law of decoding."""
    feed = stage.feed
    blocks = {
        name: {"type": "array", "items": schema} for name, schema in (("trade", TRADE), ("quote", QUOTE))
    }
    sent: list[Sent] = []
    for name, schema in blocks.items():
        number = stage.pipeline.registry.register(f"{feed.topic(name)}-value-block", _text(schema))
        header = b"\x00" + number.to_bytes(4, "big")
        sent.append((name, "S00", header + b"\x80\xe1\xeb\x17"))  # 25 million rows, and no more bytes
        sent.append((name, "S01", header + b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))  # -2**63 rows
        good = feed.value(name, feed.row(name, feed.now_ns, "S00"))
        sent.append((name, "S00", good[:14] + b"\xfe\xff\xff\xff\x0f" + good[18:]))  # a text of 2 GiB
    _strays(stage, *sent)


def an_unknown_schema(stage: Stage) -> None:
    """F12: a schema id that nobody has registered makes its message a dead letter."""
    body = stage.feed.value("quote", stage.feed.row("quote", stage.feed.now_ns, "S00"))[5:]
    _strays(stage, ("quote", "S00", b"\x00" + (999_999).to_bytes(4, "big") + body))


def the_registry_is_away(stage: Stage, registry: HttpRegistry) -> None:
    """F12: while the registry is away a new schema is waited for, and nothing is given up as dead."""
    hand = stage.crew.hire()
    stage.feed.step()
    stage.rows_seen()
    stage.feed.evolve("quote", _with_field(QUOTE, "venue"))
    registry.failing = 503
    stage.feed.step()
    until(lambda: "waiting for the registry" in hand.said(), "the worker waits for the registry")
    registry.failing = None
    stage.feed.step()
    stage.recovers(hand)
    stage.finish(hand)
    assert hand.wait() == 0


def a_schema_grows(stage: Stage) -> None:
    """F13: rows of a schema with one more field are read as before."""
    hand = stage.crew.hire()
    stage.feed.step()
    stage.rows_seen()
    stage.feed.evolve("trade", _with_field(TRADE, "venue"))
    stage.feed.evolve("quote", _with_field(QUOTE, "venue"))
    for _ in range(3):
        stage.feed.step()
    stage.rows_seen(60)
    stage.finish(hand)


def a_worker_starts_after_a_schema_grew(stage: Stage) -> None:
    """F13: last rows kept without the new field are read again by a worker that starts without state."""
    hand = stage.crew.hire(until_final=False)
    places = [(stage.topic("last-known"), number) for number in range(stage.settings.bus.partitions)]
    with stage.feed.flowing():
        until(
            lambda: min(ends(stage.bootstrap, places, IsolationLevel.READ_COMMITTED).values()) > 0,
            "last-known entries without the new field are written",
        )
        stage.rows_seen(300)
        for name, schema in (("trade", TRADE), ("quote", QUOTE)):
            stage.feed.evolve(name, _with_field(schema, "venue"))
        stage.rows_seen(100)
        hand.send(signal.SIGKILL)
        hand.died()
        shutil.rmtree(stage.settings.worker.state)
        stage.grow()
        again = stage.crew.hire(failpoint="commit-end:5", until_final=False)
        again.died()
        last = stage.crew.hire()
        stage.recovers(last)
    assert "last rows kept with other columns" in again.said()
    stage.finish(last)


def a_schema_breaks(stage: Stage) -> None:
    """F13: rows that lack a field of the stream are refused, with the field's name."""
    hand = stage.crew.hire()
    stage.feed.step()
    stage.rows_seen()
    renamed = {**QUOTE, "fields": [f for f in QUOTE["fields"] if f["name"] != "bid"]}
    number = stage.pipeline.registry.register("elsewhere-value", _text(renamed))
    row = stage.feed.row("quote", stage.feed.now_ns, "S00")
    whole = stage.feed.value("quote", row)
    assert stage.feed.write([("quote", "S00", b"\x00" + number.to_bytes(4, "big") + whole[5:-9])])
    stage.note = hand.gave_up("bid", '"fail"')
    stage.breaks = lambda stream, found: stream == "quote" and "bid" not in found
    stage.complete = False


def _with_field(schema: dict[str, Any], name: str) -> dict[str, Any]:
    field = {"name": name, "type": "string", "default": "X"}
    return {**schema, "fields": [*schema["fields"], field]}


def _text(schema: dict[str, Any]) -> str:
    return json.dumps(schema)
