"""Laws of a day read in steps without a log: order, bounds, what is held, what is refused."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from replay.errors import HistoryError, PublishError
from replay.publish.blocks import gather_blocks, gather_partitions
from replay.publish.publication import STEP_ROWS_MAX
from replay.publish.steps import TRANSACTIONS, Steps
from replay.store.day import BATCH_ROWS, Day
from replay.store.days import HistoryStore
from schemas.stream import Stream
from tests.stage.day_runs import DATE, small_days

GRACE_NS = 10_000_000_000
STEP_ROWS = 1_000


def steps_of(days: list[Day], **asked: object) -> Steps:
    settings = {
        "streams": {day.stream.name: day.stream for day in days},
        "partitions": 3,
        "grace_ns": GRACE_NS,
        "clock": "event",
        "step_rows_max": STEP_ROWS,
    } | asked
    return Steps(days=days, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("keys", [1, 7, 3_000])
@pytest.mark.parametrize("grace_ns", [50, 50_000])
def test_partitions_are_gathered_as_blocks_are_cut_by_cut(keys: int, grace_ns: int) -> None:
    random = np.random.default_rng(keys)
    rows, partitions, rows_max = 4_000, 4, 100
    clock_ns = np.arange(rows) * 10 + random.integers(-20, 21, rows)
    code = random.integers(0, keys, rows).astype(np.int32)
    home = random.integers(0, partitions, keys).astype(np.int32)
    cuts = np.array([0, 0, 1_500, 1_501, rows])
    asked = {"rows_max": rows_max, "grace_ns": grace_ns, "disorder_ns": 40}
    wanted: dict[int, list[tuple[int, int, int]]] = {number: [] for number in range(partitions)}
    messages = dict.fromkeys(wanted, 0)
    for lower, upper in pairwise(cuts):
        numbers: dict[int, int] = {}
        own = np.array([numbers.setdefault(int(k), len(numbers)) for k in code[lower:upper]], np.int32)
        blocks = gather_blocks(clock_ns[lower:upper], own, **asked)
        for first, last in pairwise(blocks.cuts):
            of_message = blocks.order[first:last] + lower
            number = int(home[code[of_message[0]]])
            wanted[number] += [(int(row), messages[number], place) for place, row in enumerate(of_message)]
            messages[number] += 1
    parts = gather_partitions(clock_ns, code, home, cuts, partitions=partitions, **asked)
    for number, (lower, upper) in enumerate(pairwise(parts.bounds)):
        columns = (parts.order, parts.message, parts.index)
        found = [tuple(map(int, row)) for row in zip(*(c[lower:upper] for c in columns), strict=True)]
        assert found == wanted[number]


def test_each_row_comes_once_and_in_the_partition_of_its_key(tmp_path: Path) -> None:
    days = small_days(tmp_path)
    home: dict[str, int] = {}
    counts = dict.fromkeys([day.stream.name for day in days], 0)
    for step in steps_of(days):
        for name, batches in step.batches.items():
            for number, batch in batches.items():
                counts[name] += batch.rows
                symbols = batch.columns.column("symbol").to_pylist()
                assert [batch.keys[code].as_py().decode() for code in batch.key_code] == symbols
                assert all(home.setdefault(symbol, number) == number for symbol in symbols)
    assert counts == {day.stream.name: day.rows for day in days}
    assert set(home.values()) == {0, 1, 2}


def test_no_row_lies_below_what_an_earlier_step_has_promised(tmp_path: Path) -> None:
    days = small_days(tmp_path)
    assert all(day.disorder_ns("event") > 0 for day in days)
    promised_ns, finals = -(2**63), []
    for step in steps_of(days):
        times = [batch.time_ns for of in step.batches.values() for batch in of.values()]
        assert min(int(of.min()) for of in times) >= promised_ns
        assert step.upper_ns >= promised_ns
        promised_ns = step.upper_ns
        finals.append(step.final)
    assert finals == [False] * (len(finals) - 1) + [True]
    assert len(finals) == -(-18_000 // (STEP_ROWS * TRANSACTIONS))
    assert promised_ns > max(summary.last_ns for day in days for summary in day.summary.clocks.values())


class Counting(Day):
    """A day that counts the rows it has given out."""

    given = 0

    def batches(self, *asked: object, **named: object) -> Iterator[pa.RecordBatch]:
        for batch in super().batches(*asked, **named):  # type: ignore[arg-type]
            self.given += batch.num_rows
            yield batch


def test_no_more_is_held_than_some_transactions_and_a_batch(tmp_path: Path) -> None:
    days = [Counting(day.files[0].parent, day.summary) for day in small_days(tmp_path)]
    counts = dict.fromkeys([day.stream.name for day in days], 0)
    for step in steps_of(list(days), step_rows_max=200):
        for day in days:
            counts[day.stream.name] += sum(b.rows for b in step.batches[day.stream.name].values())
            ahead = day.given - counts[day.stream.name]
            assert ahead <= TRANSACTIONS * 200 + BATCH_ROWS
    assert STEP_ROWS_MAX * TRANSACTIONS < 2**18  # a few hundred thousand rows in a real run


def test_a_grace_below_the_disorder_is_refused(tmp_path: Path) -> None:
    days = small_days(tmp_path)
    with pytest.raises(PublishError, match="grace_ns 1 does not cover the disorder"):
        steps_of(days, grace_ns=1)


def test_rows_without_a_time_are_counted_and_their_places_are_those_of_the_others(tmp_path: Path) -> None:
    (trade, *_) = small_days(tmp_path / "whole")
    rows = pa.Table.from_batches(trade.batches())
    gone = np.zeros(rows.num_rows, np.bool_)
    gone[::3] = True
    times = pa.array(rows.column("event_ns").to_numpy(), mask=gone)
    field = rows.schema.field("event_ns").with_nullable(True)
    holed = rows.set_column(0, field, times)
    stream = replace(trade.stream, schema=holed.schema.remove_metadata())
    made = HistoryStore(tmp_path / "holed").write(
        stream, DATE, holed.to_batches(), order=trade.summary.order, made={"by": "a test"}
    )
    steps = steps_of([made], partitions=1)
    batches = [of[0] for step in steps for of in step.batches.values()]
    assert dict(steps.refused) == {("trade", "no event_ns"): int(gone.sum())}
    assert sum(batch.rows for batch in batches) == int((~gone).sum())
    offsets = np.concatenate([batch.offset for batch in batches])
    assert (np.diff(offsets) >= 0).all()


def test_a_value_that_does_not_fit_its_stream_is_named(tmp_path: Path) -> None:
    (trade, *_) = small_days(tmp_path)
    fields = [pa.field(f.name, pa.int8()) if f.name == "size" else f for f in trade.stream.schema]
    narrow = Stream(name="trade", schema=pa.schema(fields), key=trade.stream.key)
    with pytest.raises(HistoryError, match=f"trade.size of {DATE}: .*import the day with another type"):
        list(steps_of([trade], streams={"trade": narrow}))


@pytest.mark.parametrize("only", [[0], [1, 2], [0, 1, 2]])
def test_some_partitions_have_the_rows_and_places_that_they_have_among_all(
    tmp_path: Path, only: list[int]
) -> None:
    days = small_days(tmp_path)
    offsets = {day.stream.name: [7, 0, 1_000] for day in days}
    whole, some = steps_of(days), steps_of(days, only=only, offsets=offsets)
    for all_rows, own in zip(whole, some, strict=True):
        assert (own.upper_ns, own.final) == (all_rows.upper_ns, all_rows.final)
        for name, batches in own.batches.items():
            wanted = {number: batch for number, batch in all_rows.batches[name].items() if number in only}
            assert batches.keys() == wanted.keys()
            for number, batch in batches.items():
                assert batch.columns.equals(wanted[number].columns)
                assert (batch.offset - offsets[name][number]).tolist() == wanted[number].offset.tolist()
                assert batch.index.tolist() == wanted[number].index.tolist()
                assert batch.keys.take(pa.array(batch.key_code)) == wanted[number].keys.take(
                    pa.array(wanted[number].key_code)
                )
    for name, ends in some.offsets.items():
        for number in only:
            assert ends[number] - offsets[name][number] == whole.offsets[name][number]
