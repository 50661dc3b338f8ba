"""The options that say how rows are checked, of the commands that measure days and that import them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from replay.errors import HistoryError
from replay.quality.bad_ticks import BadTickRules, TrimmedRules
from replay.quality.checks import CheckRules, ConditionColumns, NumberColumn
from replay.quality.conditions import ConditionTable, OddLots, read_conditions, us_conditions
from replay.quality.duplicates import DEDUP_NS
from schemas.clocks import NS_PER_S

DEDUP_S: Final = DEDUP_NS / NS_PER_S

NumberOption = Annotated[
    list[str] | None,
    typer.Option(
        "--number",
        help="Column that counts a source's rows, up by one: STREAM=COLUMN for a count of each symbol's, "
        "STREAM=COLUMN/BY for one of each value of BY; give it once for each stream.  Default: none.",
    ),
]
TickOption = Annotated[
    list[str] | None,
    typer.Option(
        "--tick",
        help="Step of prices, or SYMBOL=STEP where a symbol has its own; give it once for each.  "
        "Default: 0.01.",
    ),
]
DeviationOption = Annotated[
    float,
    typer.Option(
        help="Ticks that the usual deviation of a price counts as at least; raise it where a tick is "
        "nothing beside the price."
    ),
]
IdsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--ids",
        help="Column of ids, STREAM=COLUMN for ids of each symbol, STREAM=COLUMN/BY for those of each value "
        "of BY, such as a venue: a row is a duplicate whose id was there shortly before.  Default: none.",
    ),
]
DedupOption = Annotated[
    float, typer.Option(min=0.0, help="Seconds for which an id of --ids must not come again.")
]
CorrectionsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--corrections",
        help="Column that is 0 in a trade as it was sent, and something else in a row that cancels or "
        "corrects one, STREAM=COLUMN.  Default: none.",
    ),
]
ConditionsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--conditions",
        help="Column of a trade's conditions, STREAM=COLUMN, or STREAM=COLUMN/TAPE with the column of its "
        "tape (A, B or C).  Default: none.",
    ),
]
ConditionTableOption = Annotated[
    Path | None,
    typer.Option(
        help="File (CSV) of what each code means: tape, code, price, last, volume, auction, extended.  "
        "Default: the US consolidated tapes."
    ),
]
OddLotsOption = Annotated[
    OddLots,
    typer.Option(
        help="What an odd lot of the US tapes counts for: all, or volume alone, as in official bars."
    ),
]
AgainstOption = Annotated[
    list[str] | None,
    typer.Option(
        "--against",
        help="Quotes that trades are held against, STREAM=QUOTES, such as trade=quote.  Default: none.",
    ),
]
SpreadsOption = Annotated[
    float, typer.Option(min=0.0, help="Spreads that a trade of --against may lie outside its quote.")
]
TrimmedFlag = Annotated[
    bool,
    typer.Option(
        "--trimmed-mean",
        help="Hold prices against the trimmed mean of the 60 before, too (Brownlees and Gallo).",
    ),
]

FactorOption = Annotated[
    list[str] | None,
    typer.Option(
        "--factor",
        help="Factor of a column's values, COLUMN=FACTOR, a number or a fraction such as price=1/10000; give "
        "it once for each.  Default: none.",
    ),
]
DefaultOption = Annotated[
    list[str] | None,
    typer.Option(
        "--default",
        help="Value in the place of a column's nulls, COLUMN=VALUE; give it once for each.  Default: none.",
    ),
]


def check_rules(flags: Mapping[str, Any]) -> CheckRules:
    """What the options of a command ask for, which are by name; raises HistoryError for a bad one."""
    return CheckRules(
        prices=parse_ticks(flags["tick"] or (), flags["deviation_ticks"]),
        ids=parse_numbers(flags["ids"] or (), "--ids"),
        corrections=_parse_pairs(flags["corrections"] or (), "--corrections trade=corr"),
        conditions=condition_columns(flags["conditions"] or ()),
        quotes=_parse_pairs(flags["against"] or (), "--against trade=quote"),
        table=table_of(flags["condition_table"], flags["odd_lots"]),
        trimmed=TrimmedRules() if flags["trimmed_mean"] else None,
        dedup_ns=round(flags["dedup_seconds"] * NS_PER_S),
        spreads_max=flags["spreads"],
    )


def parse_numbers(lines: Sequence[str], flag: str = "--number") -> dict[str, NumberColumn]:
    """Read STREAM=COLUMN or STREAM=COLUMN/BY; raises HistoryError for anything else."""
    numbers = {}
    for line in lines:
        stream, _, where = line.partition("=")
        column, slash, by = where.partition("/")
        names = tuple(name.strip() for name in by.split(",")) if slash else ()
        if not stream or not column or not all(names):
            raise HistoryError(
                f"{flag} {line!r}: write STREAM=COLUMN, such as trade=trade_id, or STREAM=COLUMN/BY"
            )
        numbers[stream] = NumberColumn(column, names)
    return numbers


def parse_ticks(lines: Sequence[str], deviation_ticks: float) -> BadTickRules:
    """Read STEP or SYMBOL=STEP; raises HistoryError for anything else."""
    tick, ticks = 0.01, {}
    for line in lines:
        symbol, _, step = line.rpartition("=")
        try:
            value = float(step)
        except ValueError:
            raise HistoryError(
                f"--tick {line!r}: write a step of prices, such as 0.01 or ESZ4=0.25"
            ) from None
        if symbol:
            ticks[symbol] = value
        else:
            tick = value
    return BadTickRules(tick=tick, ticks=ticks, deviation_ticks_min=deviation_ticks)


def condition_columns(lines: Sequence[str]) -> dict[str, ConditionColumns]:
    """Read STREAM=COLUMN or STREAM=COLUMN/TAPE; raises HistoryError for anything else."""
    columns = {}
    for stream, (column, by) in parse_numbers(lines, "--conditions").items():
        if len(by) > 1:
            raise HistoryError(f"--conditions {stream}={column}/{','.join(by)}: a tape is one column")
        columns[stream] = ConditionColumns(column, *by)
    return columns


def _parse_pairs(lines: Sequence[str], example: str) -> Mapping[str, str]:
    pairs = {}
    for line in lines:
        stream, _, other = line.partition("=")
        if not stream or not other:
            raise HistoryError(f"{example.split()[0]} {line!r}: write it as {example}")
        pairs[stream] = other
    return pairs


def table_of(path: Path | None, odd_lots: OddLots) -> ConditionTable:
    """The table of a file, or that of the US tapes; raises HistoryError where it cannot be read."""
    if path is None:
        return us_conditions(odd_lots)
    if odd_lots != "all":
        raise HistoryError("--odd-lots is of the US tapes: a table of your own says what its codes count for")
    return read_conditions(path)
