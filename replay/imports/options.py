"""How a folder is read, as somebody stated it: checked before any file is opened."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

from replay.dates import NEW_YORK
from replay.errors import SourceError
from replay.imports.flags import NONE, Flagging
from replay.imports.units import UNITS, Unit
from replay.normalise import ValueRules
from replay.quality.bad_ticks import BadTickRules
from replay.quality.checks import CheckRules, kinds_of
from replay.zones import require_zone


class JudgeValues(TypedDict, total=False):
    """Those of them that say how rows are judged, and what becomes of their values."""

    bad_ticks: BadTickRules | None
    checks: CheckRules | None
    leave_out: str | None
    factors: Sequence[str]
    defaults: Sequence[str]


class OptionValues(JudgeValues, total=False):
    """The keywords of `import_folder`; `ImportOptions` says what each means."""

    timezone: str | None
    symbol: str | None
    event: str | None
    known: str | None
    unit: Unit
    naive_as: str | None
    time_format: str | None
    drop: Sequence[str]
    keep: str | None
    rename: Sequence[str]
    replace: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """Every way in which a folder can be read otherwise than it would be by itself.

    `timezone`     which calendar day a row is of; New York's by default.
    `symbol`       the key columns, separated by commas.
    `event`, `known`  the columns of the two clocks.
    `unit`         of whole numbers in them; `auto` takes each row's from its size.
    `naive_as`     the zone of times that name none; without it they are refused.
    `time_format`  of times that are text, as in `strptime`; ISO 8601 by default.
    `drop`, `keep`  columns left out, or the only ones kept (separated by commas) beside keys and clocks.
    `rename`       new names of columns, `OLD=NEW` each.
    `replace`      whether a day may lose the rows that other files gave it.
    `bad_ticks`    how prices are judged, for a column `bad_tick`; None for none.
    `checks`       what else is asked for: ids, corrections, conditions, trades against quotes.
    `leave_out`    kinds of bad ticks whose rows are left out (separated by commas).
    `factors`      factors of columns' values, `COLUMN=FACTOR` each.
    `defaults`     values in the place of nulls, `COLUMN=VALUE` each.
    """

    timezone: str | None = None
    symbol: str | None = None
    event: str | None = None
    known: str | None = None
    unit: Unit = "ns"
    naive_as: str | None = None
    time_format: str | None = None
    drop: Sequence[str] = ()
    keep: str | None = None
    rename: Sequence[str] = ()
    replace: bool = False
    bad_ticks: BadTickRules | None = None
    checks: CheckRules | None = None
    leave_out: str | None = None
    factors: Sequence[str] = ()
    defaults: Sequence[str] = ()

    def __post_init__(self) -> None:
        for zone in (self.timezone, self.naive_as):
            if zone is not None:
                require_zone(zone)
        if self.unit not in UNITS:
            raise SourceError(f"--unit {self.unit!r} must be one of {', '.join(UNITS)}")
        wrong = [text for text in self.rename if not all(text.partition("="))]
        if wrong:
            raise SourceError(f"--rename {wrong[0]!r} must be OLD=NEW, such as --rename 'last price=price'")
        twice = sorted(set(self.drop) & {*self.renames, *(self.kept or ())})
        if twice:
            raise SourceError(f"column {twice[0]!r} cannot be dropped and kept or renamed")
        marks = self.checks is not None and self.checks.marks_rows
        if marks and self.bad_ticks is None and self.leave_out is None:
            raise SourceError(
                "--ids, --corrections, --against and --trimmed-mean mark rows: say --flag-bad-ticks for the "
                "column, or --leave-out with the kinds of rows to leave out"
            )
        _ = self.flagging, self.values  # what cannot be read is said now

    @property
    def zone(self) -> str:
        """The zone of the history's days."""
        return self.timezone or NEW_YORK

    @property
    def key(self) -> tuple[str, ...] | None:
        """The key columns, None where nobody named them; raises SourceError where the list is none."""
        if self.symbol is None:
            return None
        key = _columns(self.symbol)
        if not key or len(set(key)) < len(key):
            raise SourceError(
                f"--symbol {self.symbol!r} must name one or more different columns, separated by commas"
            )
        return key

    @property
    def kept(self) -> tuple[str, ...] | None:
        """The only columns to keep, None for all."""
        return None if self.keep is None else _columns(self.keep)

    @property
    def renames(self) -> dict[str, str]:
        """New names by old ones."""
        pairs = (text.partition("=") for text in self.rename)
        return {old: new for old, _, new in pairs}

    @property
    def values(self) -> ValueRules:
        """What becomes of the values of columns."""
        return ValueRules.parse(self.factors, self.defaults)

    @property
    def flagging(self) -> Flagging | None:
        """How rows are judged, None for not at all."""
        if self.bad_ticks is None and self.checks is None and self.leave_out is None:
            return None
        rules = self.checks or CheckRules()
        return Flagging(
            rules=rules if self.bad_ticks is None else replace(rules, prices=self.bad_ticks),
            flags=self.bad_ticks is not None,
            left_out=NONE if self.leave_out is None else kinds_of(self.leave_out),
        )

    def made(self, key: tuple[str, ...]) -> dict[str, str]:
        """What a day's summary says of how it was read: a day read otherwise is another day."""
        made = {
            "by": "import",
            "timezone": self.zone,
            "key": ",".join(key),
            "event": self.event or "",
            "known": self.known or "",
        }
        further = {
            "unit": "" if self.unit == "ns" else self.unit,
            "naive_as": self.naive_as or "",
            "time_format": self.time_format or "",
            "drop": ",".join(sorted(self.drop)),
            "keep": self.keep or "",
            "rename": ",".join(self.rename),
            "bad_ticks": "" if self.bad_ticks is None else str(self.bad_ticks),
            "checks": "" if self.flagging is None else self.flagging.text(),
            "factors": ",".join(sorted(self.factors)),
            "defaults": ",".join(sorted(self.defaults)),
        }
        return made | {name: text for name, text in further.items() if text}


def _columns(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
