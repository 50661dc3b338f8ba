"""The way of each row from its `produce()` to a reader, cut into legs that add up to the whole.

A row's evidence is what lets it be sealed: on each input of its partition the first message whose time is
beyond the row's by more than the grace.  The last of them to be produced ends the wait for the watermark,
which no program could shorten; what comes behind it is the program's own and Kafka's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from schemas.batch import Int64s
from schemas.clocks import NS_PER_MS
from schemas.frame import LEFT_OFFSET

WATERMARK: Final = "watermark"
# In their order; a copy has only some of them.
LEGS: Final = {
    WATERMARK: "wait for rows newer than the grace",
    "append": "produce() to the broker",
    "read": "to the worker, or to the copier",
    "seal": "to the sealed frame",
    "visible": "to the reader",
}
QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
NEAR: Final = 0.005  # the rows of a quantile are those between this much below and above it


@dataclass(frozen=True, slots=True)
class SentLane:
    """Messages of one input and partition by offset, int64 each: the row's time, when it was due, when
    `produce()` was called with it, and when the broker appended it, which it tells in whole milliseconds.
    """

    event_ns: Int64s
    due_ns: Int64s
    sent_ns: Int64s
    appended_ns: Int64s

    def evidence(self, event_ns: Int64s, grace_ns: int) -> Int64s:
        """The offset of the first message that is beyond each time by more than the grace.

        It is the number of messages where there is none.
        """
        newest_ns = np.maximum.accumulate(self.event_ns)
        return np.searchsorted(newest_ns, event_ns + grace_ns, side="right").astype(np.int64)


@dataclass(slots=True)
class Ways:
    """Nanoseconds of each leg, int64, an entry per row; `lost` and `doubled` count rows of the whole run.

    `planned_wait_ns` is the wait for the watermark had every row been produced when it was due: that of the
    offered rows themselves, on any machine.
    """

    legs: dict[str, Int64s]
    lost: int = 0
    doubled: int = 0
    planned_wait_ns: Int64s | None = None
    _total: Int64s = field(init=False)

    def __post_init__(self) -> None:
        self._total = np.sum(list(self.legs.values()), axis=0, dtype=np.int64)

    def figures(self) -> dict[str, Any]:
        """Milliseconds by quantile: of the whole way, of what follows the wait, and of each leg.

        `near` has the mean legs of the rows whose way takes about as long as a quantile says: they add up to
        it, which the quantiles of the legs do not.
        """
        assert self._total.size, "no trade came to its reader"
        own = self._total - self.legs[WATERMARK] if WATERMARK in self.legs else self._total
        planned_ns = self.planned_wait_ns
        return {
            **({} if planned_ns is None else {"planned_wait_ms": quantiles_ms(planned_ns)}),
            "rows": int(self._total.size),
            "lost": self.lost,
            "doubled": self.doubled,
            "total_ms": quantiles_ms(self._total),
            "own_ms": quantiles_ms(own),
            "legs_ms": {name: quantiles_ms(ns) for name, ns in self.legs.items()},
            "near_ms": {name: self._near(at) for name, at in QUANTILES.items() if name in ("p50", "p99")},
        }

    def _near(self, quantile: float) -> dict[str, float]:
        """The mean of each leg over the rows about a quantile of the whole way."""
        lower = np.quantile(self._total, quantile - NEAR, method="lower")
        upper = np.quantile(self._total, quantile + NEAR, method="higher")
        these = (self._total >= lower) & (self._total <= upper)
        return {name: round(float(ns[these].mean()) / NS_PER_MS, 3) for name, ns in self.legs.items()}


def quantiles_ms(ns: Int64s) -> dict[str, float]:
    """Milliseconds at each quantile, and the most."""
    at = [*QUANTILES.values(), 1.0]
    values = np.quantile(ns, at) / NS_PER_MS
    return {name: round(float(ms), 3) for name, ms in zip([*QUANTILES, "max"], values, strict=True)}


def aligned_ways(
    trades: Mapping[int, SentLane],
    quotes: Mapping[int, SentLane],
    seen: Mapping[str, Int64s],
    *,
    grace_ns: int,
    from_ns: int,
) -> Ways:
    """The ways of trades to a reader of the aligned topic; lanes are by partition, `seen` is of `watch`.

    Only trades from `from_ns` on are counted, and only those whose evidence was produced.  Every trade with
    evidence must have been seen, once.
    """
    parts: list[dict[str, Int64s]] = []
    planned_ns: list[Int64s] = []
    lost = doubled = 0
    for partition, lane in trades.items():
        lanes = (lane, quotes[partition])
        mine = seen["partition"] == partition
        offsets, first = np.unique(seen[LEFT_OFFSET][mine], return_index=True)
        doubled += int(np.count_nonzero(mine)) - offsets.size
        assert np.array_equal(seen["event_ns"][mine][first], lane.event_ns[offsets]), "other rows were seen"
        evidence = [each.evidence(lane.event_ns, grace_ns) for each in lanes]
        sealable = np.all([at < each.sent_ns.size for at, each in zip(evidence, lanes, strict=True)], axis=0)
        lost += int(np.count_nonzero(sealable)) - int(np.count_nonzero(sealable[offsets]))
        counted = sealable[offsets] & (lane.event_ns[offsets] >= from_ns)
        offsets, first = offsets[counted], first[counted]
        at_ns = {name: seen[name][mine][first] for name in ("released_ns", "sealed_ns", "seen_ns")}
        due_ns, sent_ns, appended_ns = (
            np.maximum.reduce(
                [getattr(each, name)[at[offsets]] for each, at in zip(lanes, evidence, strict=True)]
            )
            for name in ("due_ns", "sent_ns", "appended_ns")
        )
        planned_ns.append(due_ns - lane.due_ns[offsets])
        parts.append(
            {
                WATERMARK: sent_ns - lane.sent_ns[offsets],
                "append": appended_ns - sent_ns,
                "read": at_ns["released_ns"] - appended_ns,
                "seal": at_ns["sealed_ns"] - at_ns["released_ns"],
                "visible": at_ns["seen_ns"] - at_ns["sealed_ns"],
            }
        )
    return Ways(_together(parts), lost, doubled, np.concatenate(planned_ns))


def copied_ways(
    trades: Mapping[int, SentLane],
    read_ns: Mapping[int, Int64s],
    seen_ns: Mapping[int, Int64s],
    *,
    from_ns: int,
) -> Ways:
    """The ways of trades to a reader of their copies, which lie in their order.

    `read_ns` and `seen_ns` say, by partition, when the copier and the reader had each message in hand.
    """
    parts: list[dict[str, Int64s]] = []
    lost = doubled = 0
    for partition, lane in trades.items():
        sent = lane.sent_ns.size
        lost += max(0, sent - seen_ns[partition].size)
        doubled += max(0, seen_ns[partition].size - sent)
        count = min(sent, seen_ns[partition].size)
        counted = np.flatnonzero(lane.event_ns[:count] >= from_ns)
        copy_ns, reader_ns = read_ns[partition][counted], seen_ns[partition][counted]
        parts.append(
            {
                "append": (lane.appended_ns - lane.sent_ns)[counted],
                "read": copy_ns - lane.appended_ns[counted],
                "visible": reader_ns - copy_ns,
            }
        )
    return Ways(_together(parts), lost, doubled)


def _together(parts: list[dict[str, Int64s]]) -> dict[str, Int64s]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
