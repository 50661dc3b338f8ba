"""What an input's topic keeps no more, and of what is left, what an audit can still be sure of.

Retention deletes the beginning of each partition by itself: inputs, aligned rows and letters begin at places
that have nothing to do with each other.  Rows that are gone came before all that are left of their partition,
and they are taken to be no more out of order than these: so their times are below a bound, and beyond it all
rows are there.  Of a row that is left a letter may be gone which said that it was late or too far ahead.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from app.audit.join import INDEX, OFFSET
from schemas.batch import Bools, Int64s
from schemas.clocks import BEGINNING_NS, END_NS
from topics.wire import Progress

ALL: Final = 2**63 - 1  # beyond every offset
PLACES: Final = {OFFSET: pl.Int64, INDEX: pl.Int32}


@dataclass(frozen=True, slots=True)
class Lows:
    """From which offset of an input on all letters about its messages are left; 0 where none is gone."""

    late: int = 0
    dead: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Disorder:
    """What the settings say of an input: how far its times go back and ahead, and whether it may be idle."""

    grace_ns: int
    may_be_idle: bool
    max_ahead_ns: int | None


class Bound:
    """Rows in the order of their log, and the time that none before them is above.

    What came before them was no further ahead of any of them than the settings or they themselves say.
    """

    def __init__(self, slack_ns: int) -> None:
        self._slack_ns = slack_ns
        self._oldest_ns, self._newest_ns = END_NS, BEGINNING_NS

    def see(self, times: Int64s) -> None:
        """Take times, int64 ns."""
        if times.size:
            newest = np.maximum.accumulate(np.concatenate([[self._newest_ns], times]))
            self._slack_ns = max(self._slack_ns, int((newest[1:] - times).max()))
            self._oldest_ns = min(self._oldest_ns, int(times.min()))
            self._newest_ns = int(newest[-1])

    @property
    def upper_ns(self) -> int:
        """The bound, END_NS where there was no row."""
        return END_NS if self._oldest_ns == END_NS else min(END_NS, self._oldest_ns + self._slack_ns)


class Retained:
    """One partition of an input; sees its accepted rows go by, in the order of the log.

    Messages below `low` are gone; where it is `compacted`, others may be, too.  `has_progress` says whether
    the partition's inputs have progress records: one that is gone may have made rows late that none which is
    left explains, up to the first that is left.
    """

    def __init__(self, on: str, disorder: Disorder, lows: Lows, *, compacted: bool = False) -> None:
        self.low = 0
        self.compacted = compacted
        self.has_progress = False
        self._on = on
        self._disorder = disorder
        self._lows = lows
        self._newest_ns = BEGINNING_NS  # of rows and progress records
        self._all, self._later = Bound(disorder.grace_ns), Bound(disorder.grace_ns)
        self._first_progress: tuple[int, int] | None = None  # its offset and what it says
        self._early_ns = BEGINNING_NS  # the newest row before it that may have been late
        self._set_aside: list[
            tuple[int, pl.DataFrame]
        ] = []  # places that gone letters may name, and the newest

    def begin(self, low: int) -> None:
        """The reading begins, at the first message left."""
        self.low = low

    @property
    def gone(self) -> bool:
        """Whether there were other messages."""
        return self.low > 0 or self.compacted

    @property
    def unsure(self) -> bool:
        """Whether rows, or letters about rows, are gone."""
        return self.gone or self._lows != Lows()

    @property
    def upper_ns(self) -> int:
        """No row that is gone is newer: BEGINNING_NS where none is gone, END_NS where nothing is known."""
        if not self.gone:
            return BEGINNING_NS
        if self.compacted:
            return END_NS
        return (self._later if self.has_progress else self._all).upper_ns

    @property
    def values_upper_ns(self) -> int:
        """As `upper_ns`, and none that may have been set aside is newer either."""
        early_ns = self._early_ns if self.has_progress else BEGINNING_NS
        return max([self.upper_ns, early_ns, *(newest_ns for newest_ns, _ in self._set_aside)])

    @property
    def saw_progress(self) -> bool:
        """Whether a progress record is left."""
        return self._first_progress is not None

    def see(self, rows: pl.DataFrame, progress: Sequence[tuple[int, Progress]]) -> None:
        """Take accepted rows of one block, with OFFSET and INDEX, and its progress records."""
        if progress and self._first_progress is None:
            self._first_progress = progress[0][0], progress[0][1].upper_ns
        if not self.unsure:
            return
        times, offsets = rows[self._on].to_numpy(), rows[OFFSET].to_numpy()
        ahead = self._ahead(times)
        steps = np.where(ahead, BEGINNING_NS, times)
        before = np.maximum.accumulate(np.concatenate([[self._newest_ns], steps]))[:-1]
        if progress:
            told = np.array([offset for offset, _ in progress])
            upper = np.maximum.accumulate(np.array([record.upper_ns for _, record in progress]))
            behind = np.searchsorted(told, offsets)
            before = np.maximum(before, np.where(behind > 0, upper[behind - 1], BEGINNING_NS))
            self._newest_ns = max(self._newest_ns, int(upper[-1]))
        may_be_late = offsets < self._lows.late
        ahead &= offsets < self._lows.dead
        late = may_be_late & (times < before)
        early = may_be_late & (offsets < (ALL if self._first_progress is None else self._first_progress[0]))
        self._all.see(times[~late & ~ahead])
        self._later.see(times[~late & ~ahead & ~early])
        self._early_ns = max(self._early_ns, int(times[early].max(initial=BEGINNING_NS)))
        listed = ahead if self._disorder.may_be_idle else late | ahead
        late |= may_be_late & self._disorder.may_be_idle
        if (late | ahead).any():
            newest_ns, places = int(times[late | ahead].max()), rows.filter(pl.Series(listed))
            self._set_aside.append((newest_ns, places.select(OFFSET, INDEX)))
        self._newest_ns = max(self._newest_ns, int(steps.max(initial=BEGINNING_NS)))

    def has_left(self, offset: str) -> pl.Expr:
        """Whether the message at an offset is left, as far as its place tells."""
        return pl.col(offset) >= self.low

    def doubtful(self, rows: pl.DataFrame, offset: str, index: str, on: str) -> pl.Series:
        """Of which of these rows of the input, named by these columns, a letter may be gone.

        Without an idle limit only what is older than something before it can have been late.
        """
        late = pl.lit(self._disorder.may_be_idle) | (pl.col(on) <= self.upper_ns)
        if self.gone and self.has_progress:
            until, upper_ns = self._first_progress or (ALL, END_NS)
            late |= (pl.col(offset) < until) & (pl.col(on) < upper_ns)
        late &= pl.col(offset) < self._lows.late
        found = rows.select(late.fill_null(value=False).alias("late"))["late"]
        if self._set_aside and rows.height:
            asked = rows.select(
                pl.col(offset).cast(pl.Int64).alias(OFFSET), pl.col(index).cast(pl.Int32).alias(INDEX)
            )
            places = pl.concat(part for _, part in self._set_aside).unique()
            places = places.with_columns(pl.lit(value=True).alias("listed"))
            listed = asked.join(places, on=[OFFSET, INDEX], how="left", maintain_order="left")["listed"]
            found |= listed.fill_null(value=False)
        return found

    def _ahead(self, times: Int64s) -> Bools:
        """Which rows lie so far ahead of those around them that they may have been refused for it."""
        limit_ns = self._disorder.max_ahead_ns
        if limit_ns is None or not times.size or self._lows.dead == 0:
            return np.zeros(times.size, np.bool_)
        after = np.minimum.accumulate(np.append(times, END_NS)[::-1])[::-1][1:]
        ahead = times - np.minimum(after, END_NS - limit_ns) > limit_ns
        steps = np.where(ahead, BEGINNING_NS, times)
        before = np.maximum.accumulate(np.concatenate([[self._newest_ns], steps]))[:-1]
        far = (before > BEGINNING_NS) & (times - np.maximum(before, -END_NS) > limit_ns)
        return np.asarray(ahead | far)


def stands_before(order: Sequence[str], place: Sequence[int], *, or_there: bool) -> pl.Expr:
    """Whether a row stands before a place, or at it too; `order` are the columns of its place."""
    *earlier, last = zip(order, place, strict=True)
    before = pl.col(last[0]) <= last[1] if or_there else pl.col(last[0]) < last[1]
    for column, value in reversed(earlier):
        before = (pl.col(column) < value) | ((pl.col(column) == value) & before)
    return before
