"""The rule by which rows were matched, as one line of text that every frame and commit carries.

    event backward exact row tolerance=5000000000 columns=1a2b3c4d keys=5e6f7a8b

Whoever reads rows later judges them by the rule they were sealed under, not by the settings of that day.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Final, Literal, cast, get_args

from schemas.clocks import NS_PER_MS, NS_PER_S, NS_PER_US, Clock

Direction = Literal["backward", "forward", "nearest"]
Carry = Literal["row", "column"]

DIGEST_LENGTH: Final = 8  # hex digits of what has no words in a rule
_DIGEST: Final = rf"[0-9a-f]{{{DIGEST_LENGTH}}}"
_TEXT: Final = re.compile(
    rf"({'|'.join(get_args(Clock))}) ({'|'.join(get_args(Direction))}) (exact|strict) "
    rf"({'|'.join(get_args(Carry))}) tolerance=(none|[0-9]{{1,19}}) "
    rf"columns=({_DIGEST}) keys=({_DIGEST})(?: formulas=({_DIGEST}))?"
)


class RuleError(ValueError):
    """A text is no rule that this version knows; the message has the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How each left row found its match, and what was made of the two.

    `clock`, `direction`, `allow_exact`, `carry`  as in the settings of the join.
    `tolerance_ns`  the farthest right row that matched, inclusive; None for no bound.
    `columns`   8 hex digits that are equal for equal columns of the joined rows, types included.
    `keys`      8 hex digits that are equal for equal key and sequence columns of all streams.
    `formulas`  8 hex digits that are equal where the same is computed from joined rows; empty where nothing
                is.
    """

    clock: Clock
    direction: Direction
    allow_exact: bool
    tolerance_ns: int | None
    carry: Carry
    columns: str
    keys: str
    formulas: str = ""

    def __str__(self) -> str:
        """One line of ASCII, at most 130 characters, which `parse_rule` reads; equal for equal rules."""
        exact = "exact" if self.allow_exact else "strict"
        tolerance = "none" if self.tolerance_ns is None else str(self.tolerance_ns)
        formulas = f" formulas={self.formulas}" if self.formulas else ""
        return (
            f"{self.clock} {self.direction} {exact} {self.carry} tolerance={tolerance} "
            f"columns={self.columns} keys={self.keys}{formulas}"
        )

    @property
    def digest(self) -> str:
        """16 hex digits that are equal for equal rules."""
        return hashlib.sha256(str(self).encode()).hexdigest()[:16]

    def describe(self) -> str:
        """How a match is chosen, in words, without the clock: `tolerance 5 s, forward`."""
        words = [f"tolerance {_duration(self.tolerance_ns)}"]
        if self.direction != "backward":
            words.append(self.direction)
        if not self.allow_exact:
            words.append("strict")
        if self.carry != "row":
            words.append(f"carry {self.carry}")
        return ", ".join(words)

    def differences(self, newer: "Rule") -> tuple[str, ...]:
        """What changes from this rule to another one, in words: `tolerance 5 s -> 500 ms`."""
        words = []
        for name, old, new in (
            ("clock", self.clock, newer.clock),
            ("direction", self.direction, newer.direction),
            ("allow_exact", str(self.allow_exact).lower(), str(newer.allow_exact).lower()),
            ("tolerance", _duration(self.tolerance_ns), _duration(newer.tolerance_ns)),
            ("carry", self.carry, newer.carry),
        ):
            if old != new:
                words.append(f"{name} {old} -> {new}")
        words += [
            f"{name} changed"
            for name in ("columns", "keys", "formulas")
            if getattr(self, name) != getattr(newer, name)
        ]
        return tuple(words)


def parse_rule(text: str) -> Rule:
    """Read a rule back; raises RuleError for any other text, as of a later version."""
    match = _TEXT.fullmatch(text)
    if match is None:
        raise RuleError(f"not a rule of a join that this version knows: {text!r}")
    clock, direction, exact, carry, tolerance, columns, keys, formulas = match.groups()
    return Rule(
        clock=cast("Clock", clock),
        direction=cast("Direction", direction),
        allow_exact=exact == "exact",
        tolerance_ns=None if tolerance == "none" else int(tolerance),
        carry=cast("Carry", carry),
        columns=columns,
        keys=keys,
        formulas=formulas or "",
    )


def rule_digest(*lines: str) -> str:
    """The digest of what a rule has no words for."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:DIGEST_LENGTH]


def _duration(ns: int | None) -> str:
    """A duration to the nanosecond, so that two that differ never read alike."""
    if ns is None:
        return "none"
    for unit, size in (("s", NS_PER_S), ("ms", NS_PER_MS), ("µs", NS_PER_US)):
        if ns >= size:
            whole, rest = divmod(ns, size)
            digits = f"{rest:0{len(str(size)) - 1}d}".rstrip("0")
            return f"{whole:,}{'.' + digits if digits else ''} {unit}"
    return f"{ns} ns"
