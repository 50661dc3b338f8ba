"""The streaming as-of join in words: who is late, what a seal closes, which row matches; slow and obvious."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

BEGINNING_NS = -(2**63)
END_NS = 2**62  # no row has a time as late as this


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


Rights = Mapping[str, Sequence[Row]]  # the rows of each right stream, in the order of the output


@dataclass(frozen=True)
class Rules:
    """How a match is chosen, how far each stream's watermark trails, and what lies too far ahead."""

    rights: tuple[str, ...] = ("quote",)
    direction: str = "backward"
    allow_exact: bool = True
    tolerance_ns: int | None = None
    carry: str = "row"
    left_has_sequence: bool = True
    right_has_sequence: bool = True
    grace_ns: Mapping[str, int] = field(default_factory=dict)
    max_ahead_ns: int | None = None
    max_ahead_of: str = "wall"

    @property
    def streams(self) -> tuple[str, ...]:
        return ("trade", *self.rights)


def join_slowly(
    lefts: Sequence[Row], rights: Rights, columns: Sequence[str], rules: Rules
) -> list[dict[str, Any]]:
    """Every left row in order, beside the row of its key that it matches in each right stream."""
    return [_aligned(left, rights, columns, rules) for left in sorted(lefts, key=lambda row: row.order)]


def _aligned(left: Row, rights: Rights, columns: Sequence[str], rules: Rules) -> dict[str, Any]:
    aligned = dict(left.values)
    for name in rules.rights:
        match = matched(left, rights[name], rules)
        for column in columns:
            source = match
            if rules.carry == "column":
                valued = [row for row in rights[name] if row.values[column] is not None]
                source = matched(left, valued, rules)
            aligned[f"{name}_{column}"] = source.values[column] if source else None
        aligned[f"{name}_event_ns"] = match.time_ns if match else None
        aligned[f"{name}_age_ns"] = left.time_ns - match.time_ns if match else None
    aligned["left_offset"] = left.offset
    aligned["left_index"] = 0
    return aligned


def matched(left: Row, rights: Sequence[Row], rules: Rules) -> Row | None:
    """The right row that a left row matches: the last before, the first after, or the closer of the two."""
    known = sorted(
        (row for row in rights if row.key is not None and row.key == left.key and _reaches(left, row, rules)),
        key=lambda row: row.order,
    )
    before = [row for row in known if row.time_ns <= left.time_ns]
    after = [row for row in known if row.time_ns >= left.time_ns]
    if rules.direction == "backward":
        return before[-1] if before else None
    if rules.direction == "forward":
        return after[0] if after else None
    candidates = before[-1:] + after[:1]  # of two equally far the one before
    return min(candidates, key=lambda row: abs(left.time_ns - row.time_ns), default=None)


def _reaches(left: Row, right: Row, rules: Rules) -> bool:
    if left.time_ns == right.time_ns and not rules.allow_exact:
        return False
    return rules.tolerance_ns is None or abs(left.time_ns - right.time_ns) <= rules.tolerance_ns


class StreamSlowly:
    """Stream `trade` and the right ones: accepts or refuses rows and answers each seal from scratch."""

    def __init__(self, columns: Sequence[str], rules: Rules) -> None:
        self.frontier_ns = BEGINNING_NS
        self.late: list[tuple[str, int, int]] = []
        self.ahead: list[tuple[str, int]] = []
        self.assumed_rows = 0
        self._columns = columns
        self._rules = rules
        self._watermark = dict.fromkeys(rules.streams, BEGINNING_NS)
        self._newest_ns = BEGINNING_NS
        self._idle: set[str] = set()
        self._accepted: dict[str, list[Row]] = {name: [] for name in rules.streams}
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
            self._raise(stream, min(upper_ns, END_NS), min(upper_ns, END_NS))

    def idle(self, stream: str) -> None:
        self._idle.add(stream)

    def seal(self) -> list[dict[str, Any]]:
        """The waiting left rows in order, up to the first one that is not final."""
        self.frontier_ns = max(self.frontier_ns, min(self._watermark.values()))
        closed = self._close()
        heard = [watermark for stream, watermark in self._watermark.items() if stream not in self._idle]
        self.frontier_ns = max(self.frontier_ns, min(heard, default=BEGINNING_NS))
        assumed = self._close()
        self.assumed_rows = len(assumed)
        return join_slowly([*closed, *assumed], self._accepted, self._columns, self._rules)

    def _close(self) -> list[Row]:
        closed = []
        for left in sorted(self._accepted["trade"], key=lambda row: row.order):
            if left.offset not in self._sealed:
                if not all(self._closes(left, self._accepted[name]) for name in self._rules.rights):
                    break
                closed.append(left)
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

    def _closes(self, left: Row, rights: Sequence[Row]) -> bool:
        """The words of the contract, one by one."""
        rules, frontier_ns = self._rules, self.frontier_ns
        if frontier_ns >= END_NS:
            return True
        if rules.direction == "backward":
            if not rules.allow_exact and not rules.left_has_sequence:
                return frontier_ns >= left.time_ns
            return frontier_ns > left.time_ns
        assert rules.tolerance_ns is not None
        match = matched(left, rights, rules)
        if match is None:
            return frontier_ns > left.time_ns + rules.tolerance_ns
        if rules.direction == "forward":
            return frontier_ns > match.time_ns
        return frontier_ns > left.time_ns + abs(left.time_ns - match.time_ns)
