"""A reader's figures: plain numbers that a scrape only reads."""

import sys
import threading
import time
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from app.metrics.catalogue import METRICS
from gpu_sink.batches.batches import Batches
from gpu_sink.contract import PARITY
from gpu_sink.errors import DeviceError, GapError, GapWarning
from gpu_sink.figures import EDGES_S, Counts
from gpu_sink.frames import Frame, Place, decode_frame
from gpu_sink.metrics import collector
from gpu_sink.source import AlignedStream
from tests.stage.aligned import message_of, rows_of


def frame_of(lower: int, upper: int, *, offset: int) -> Frame:
    """Rows number `lower` to `upper` of a partition, which says so in its parity; sealed long ago."""
    value, headers = message_of(rows_of(list(range(lower, upper))))
    parity: tuple[str, bytes | None] = (PARITY, f"{upper}-{'0' * 32}".encode())
    return decode_frame(value, [*headers, parity], Place("aligned", 0, offset))


def batches_of(*frames: Frame, **options: Any) -> Batches:
    return AlignedStream.from_frames(list(frames)).batches(batch_rows=2, copy=True, **options)


@pytest.mark.parametrize("prefetch", [0, 2])
def test_what_was_handed_over_is_counted(prefetch: int) -> None:
    batches = batches_of(frame_of(0, 3, offset=0), frame_of(3, 5, offset=1), prefetch=prefetch)
    assert sum(1 for _ in batches) == 3
    figures = batches.figures()
    assert (figures.rows, figures.batches, figures.copied_bytes) == (5, 3, 0)
    assert sum(figures.latency_counts) == figures.latency_counts[-1] == 3
    assert figures.wait_ns["frame"] > 0


def test_missing_and_repeated_rows_are_seen_while_they_are_read_and_counted_once() -> None:
    frames = (frame_of(0, 2, offset=0), frame_of(5, 7, offset=1), frame_of(5, 7, offset=2))
    batches = batches_of(*frames, prefetch=0)
    with pytest.warns(GapWarning):
        seen = [batches.figures() for _ in batches]
    assert [(one.rows_missing, one.rows_repeated) for one in seen] == [(0, 0), (3, 0), (3, 2)]
    assert (batches.figures().rows_missing, batches.figures().rows_repeated) == (3, 2)


def test_a_frame_that_ends_an_iteration_is_counted_by_its_reason() -> None:
    batches = batches_of(frame_of(0, 2, offset=0), frame_of(5, 7, offset=1), gaps="raise", prefetch=0)
    with pytest.raises(GapError):
        list(batches)
    assert batches.figures().frame_errors == {"frame": 0, "gap": 1, "column": 0}


def test_a_slow_consumer_lets_the_filler_wait_for_a_slot() -> None:
    frames = [frame_of(2 * n, 2 * n + 2, offset=n) for n in range(6)]
    batches = AlignedStream.from_frames(frames).batches(batch_rows=2, prefetch=1)
    for _ in batches:
        until_ns = time.monotonic_ns() + 10_000_000
        while time.monotonic_ns() < until_ns:
            continue
    assert batches.figures().wait_ns["slot"] > 10_000_000


def test_latency_is_from_sealed_to_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpu_sink.figures.time_ns", lambda: 1_020_000_000)
    counts = Counts()
    counts.handed_over(3, 1_000_000_000, 64)
    counts.handed_over(3, None, 0)
    figures = counts.figures(rows_missing=0, rows_repeated=0)
    assert figures.latency_counts[EDGES_S.index(0.025)] == 1
    assert (sum(figures.latency_counts), figures.latency_ns) == (1, 20_000_000)
    assert (figures.rows, figures.copied_bytes) == (6, 64)


def test_a_scrape_from_another_thread_has_the_names_that_are_promised() -> None:
    batches = batches_of(frame_of(0, 3, offset=0))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector(batches.figures))
    list(batches)
    texts: list[bytes] = []
    scraper = threading.Thread(target=lambda: texts.append(generate_latest(registry)))
    scraper.start()
    scraper.join()
    families = {family.name: family for family in text_string_to_metric_families(texts[0].decode())}
    wanted = {metric.name.removesuffix("_total"): metric for metric in METRICS if metric.by == "sink"}
    assert families.keys() == wanted.keys()
    for name, metric in wanted.items():
        assert families[name].type == metric.kind
        for label in metric.labels:
            values = {sample.labels[label] for sample in families[name].samples}
            assert values == set(metric.closed(label))
    (rows,) = families["tidemark_sink_rows"].samples
    assert rows.value == 3


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client.metrics_core", None)
    with pytest.raises(DeviceError, match=r"install tidemark-gpu-sink\[metrics\]"):
        collector(lambda: Counts().figures(rows_missing=0, rows_repeated=0))
