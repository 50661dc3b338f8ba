"""The streaming as-of join in words: who is late, what a seal closes, which row matches; slow and obvious."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

BEGINNING_NS = -(2**63)


@dataclass(frozen=True)
class Row:
    """One row as the definition sees it."""

    time_ns: int
    sequence: int
    offset: int
    key: str | None
    values: Mapping[str, Any]

    @property
    def order(self) -> tuple[int, int, int]:
        return (self.time_ns, self.sequence, self.offset)


@dataclass(frozen=True)
class Rules:
    """How a match is chosen, how far each stream's watermark trails, and what lies too far ahead."""

    right: str = "quote"
    allow_exact: bool = True
    tolerance_ns: int | None = None
    carry: str = "row"
    left_has_sequence: bool = True
    grace_ns: Mapping[str, int] = field(default_factory=dict)
    max_ahead_ns: int | None = None
    max_ahead_of: str = "wall"


def join_slowly(
    lefts: Sequence[Row], rights: Sequence[Row], columns: Sequence[str], rules: Rules
) -> list[dict[str, Any]]:
    """Every left row in order, beside the newest right row of its key that is not newer than itself."""
    return [_aligned(left, rights, columns, rules) for left in sorted(lefts, key=lambda row: row.order)]


def _aligned(left: Row, rights: Sequence[Row], columns: Sequence[str], rules: Rules) -> dict[str, Any]:
    known = [r for r in rights if r.key is not None and r.key == left.key and _reaches(left, r, rules)]
    known.sort(key=lambda row: row.order)
    aligned = dict(left.values)
    for column in columns:
        sources = known[-1:]
        if rules.carry == "column":
            sources = [row for row in known if row.values[column] is not None][-1:]
        aligned[f"{rules.right}_{column}"] = sources[0].values[column] if sources else None
    aligned[f"{rules.right}_event_ns"] = known[-1].time_ns if known else None
    aligned[f"{rules.right}_age_ns"] = left.time_ns - known[-1].time_ns if known else None
    aligned["left_offset"] = left.offset
    aligned["left_index"] = 0
    return aligned


def _reaches(left: Row, right: Row, rules: Rules) -> bool:
    age_ns = left.time_ns - right.time_ns
    if age_ns < 0 or (age_ns == 0 and not rules.allow_exact):
        return False
    return rules.tolerance_ns is None or age_ns <= rules.tolerance_ns


class StreamSlowly:
    """Two streams, `trade` and the right one: accepts or refuses rows and answers each seal from scratch."""

    def __init__(self, columns: Sequence[str], rules: Rules) -> None:
        self.frontier_ns = BEGINNING_NS
        self.late: list[tuple[str, int, int]] = []
        self.ahead: list[tuple[str, int]] = []
        self.assumed_rows = 0
        self._columns = columns
        self._rules = rules
        self._watermark = {"trade": BEGINNING_NS, rules.right: BEGINNING_NS}
        self._newest_ns = BEGINNING_NS
        self._idle: set[str] = set()
        self._accepted: dict[str, list[Row]] = {"trade": [], rules.right: []}
        self._sealed: set[int] = set()

    def push(self, stream: str, rows: Sequence[Row], now_ns: int = 0) -> None:
        for row in rows:
            if row.time_ns < self.frontier_ns:
                self.late.append((stream, row.offset, self.frontier_ns - row.time_ns))
            elif self._is_ahead(row.time_ns, now_ns):
                self.ahead.append((stream, row.offset))
                continue
            else:
                self._accepted[stream].append(row)
            self._raise(stream, row.time_ns, row.time_ns - self._rules.grace_ns.get(stream, 0))

    def advance(self, stream: str, upper_ns: int, now_ns: int = 0, offset: int = -1) -> None:
        if self._is_ahead(upper_ns, now_ns):
            self.ahead.append((stream, offset))
        else:
            self._raise(stream, upper_ns, upper_ns)

    def idle(self, stream: str) -> None:
        self._idle.add(stream)

    def seal(self) -> list[dict[str, Any]]:
        self.frontier_ns = max(self.frontier_ns, min(self._watermark.values()))
        closed = self._close()
        heard = [watermark for stream, watermark in self._watermark.items() if stream not in self._idle]
        self.frontier_ns = max(self.frontier_ns, min(heard, default=BEGINNING_NS))
        assumed = self._close()
        self.assumed_rows = len(assumed)
        right = self._accepted[self._rules.right]
        return join_slowly([*closed, *assumed], right, self._columns, self._rules)

    def _close(self) -> list[Row]:
        closed = [
            row for row in self._accepted["trade"] if row.offset not in self._sealed and self._closes(row)
        ]
        self._sealed |= {row.offset for row in closed}
        return closed

    def _raise(self, stream: str, newest_ns: int, watermark_ns: int) -> None:
        self._newest_ns = max(self._newest_ns, newest_ns)
        self._watermark[stream] = max(self._watermark[stream], watermark_ns)
        self._idle.discard(stream)

    def _is_ahead(self, time_ns: int, now_ns: int) -> bool:
        if self._rules.max_ahead_ns is None:
            return False
        if self._rules.max_ahead_of == "wall":
            return time_ns - now_ns > self._rules.max_ahead_ns
        return self._newest_ns != BEGINNING_NS and time_ns - self._newest_ns > self._rules.max_ahead_ns

    def _closes(self, left: Row) -> bool:
        if not self._rules.allow_exact and not self._rules.left_has_sequence:
            return left.time_ns <= self.frontier_ns
        return left.time_ns < self.frontier_ns
