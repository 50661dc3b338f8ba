"""Which samples train as of a moment, and the fits that each mode makes of them; no split leaks."""

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np

from app.errors import RunError, UsageError
from app.fit.samples import Bools, Samples
from operators.sessions.sessions import OUTSIDE, Sessions
from operators.tiles.settings import FitSettings
from schemas.batch import Int64s

Mode: TypeAlias = Literal["in-sample", "test", "validate", "folds", "rolling"]
MODES: Final[tuple[Mode, ...]] = ("in-sample", "test", "validate", "folds", "rolling")


class Fit(NamedTuple):
    """One fit: the samples that train, and those that it is measured by.

    `name`       in words: `fold 2`.
    `moment_ns`  as of which it is made; None for a fold, which is used nowhere.
    `train`      places of samples, ascending, and `tests` such places by what they are called.
    """

    name: str
    moment_ns: int | None
    train: Int64s
    tests: dict[str, Int64s]


class Shares(NamedTuple):
    """How samples are shared out: the shares that validate and test, and into how many folds."""

    validate: float = 0.2
    test: float = 0.2
    folds: int = 5


def trainable(samples: Samples, moment_ns: int, fit: FitSettings, sessions: Sessions) -> Bools:
    """Which samples train as of a moment: labels known before it less the embargo, of rows not too old.

    Of these the last `embargo_rows` are left out, and whatever is of the time of the first of them.
    """
    mask = samples.known_ns < moment_ns - fit.embargo_ns
    mask &= samples.start_ns < moment_ns
    mask &= samples.start_ns >= _oldest_ns(samples, moment_ns, fit, sessions)
    if fit.embargo_rows:
        places = np.flatnonzero(mask)
        if places.size <= fit.embargo_rows:
            return np.zeros(samples.rows, np.bool_)
        mask &= samples.start_ns < samples.start_ns[places[-fit.embargo_rows]]
    return mask


def fits_of(
    mode: Mode, samples: Samples, fit: FitSettings, sessions: Sessions, shares: Shares
) -> Iterator[Fit]:
    """The fits of a mode, in order of time; raises UsageError for wrong shares, RunError without rows.

    in-sample   as of the end of all labels, measured by what it was fitted with.
    test        as of where the last share begins, measured by that share.
    validate    as of where the last two shares begin, measured by both; labels of the first of them that are
                not known before the second begins, less the embargo, measure nothing.
    folds       each fold by all others that end before it or begin after it and the embargo.
    rolling     as of each moment of `every`, measured by the rows up to the next one; with `over` as of those
                alone before which there are rows for so long, so that a model hangs on no day further back.
    """
    if not samples.rows:
        raise RunError("no row of these days has a label and every column of the model")
    if mode == "in-sample":
        end_ns = int(samples.known_ns.max()) + fit.embargo_ns + 1
        train = np.flatnonzero(trainable(samples, end_ns, fit, sessions))
        yield Fit("in-sample", end_ns, train, {"in-sample": train})
    elif mode == "folds":
        yield from _folds(samples, fit, shares.folds)
    elif mode == "rolling":
        yield from _rolling(samples, fit, sessions)
    else:
        yield _held_out(mode, samples, fit, sessions, shares)


def purged(samples: Samples, fold: Int64s, fit: FitSettings) -> Bools:
    """Which samples train beside a fold: known before it begins, or starting after it and the embargo.

    The fold reaches from its first start to where its last label is known.
    """
    first_ns, last_ns = int(samples.start_ns[fold].min()), int(samples.known_ns[fold].max())
    before = samples.known_ns < first_ns
    after = samples.start_ns > last_ns + fit.embargo_ns
    behind = np.flatnonzero(after)
    if fit.embargo_rows and behind.size:
        last_left_out = samples.start_ns[behind[min(fit.embargo_rows, behind.size) - 1]]
        after &= samples.start_ns > last_left_out
    return np.asarray(before | after)


def _held_out(mode: Mode, samples: Samples, fit: FitSettings, sessions: Sessions, shares: Shares) -> Fit:
    held_out = shares.test + (shares.validate if mode == "validate" else 0.0)
    if not (0.0 < shares.test < 1.0 and 0.0 < shares.validate < 1.0 and held_out < 1.0):
        raise UsageError(
            f"test = {shares.test:g} and validate = {shares.validate:g}: shares lie above 0, and together "
            "below 1"
        )
    first_ns = _moment(samples, 1.0 - held_out)
    train = np.flatnonzero(trainable(samples, first_ns, fit, sessions))
    if mode == "test":
        return Fit("test", first_ns, train, {"test": np.flatnonzero(samples.start_ns >= first_ns)})
    second_ns = _moment(samples, 1.0 - shares.test)
    validates = (samples.start_ns >= first_ns) & (samples.known_ns < second_ns - fit.embargo_ns)
    tests = {"validate": np.flatnonzero(validates), "test": np.flatnonzero(samples.start_ns >= second_ns)}
    return Fit("validate", first_ns, train, tests)


def _moment(samples: Samples, share: float) -> int:
    """The time of the row where this share of the samples ends."""
    return int(samples.start_ns[min(int(samples.rows * share), samples.rows - 1)])


def _folds(samples: Samples, fit: FitSettings, count: int) -> Iterator[Fit]:
    if count < 2:
        raise UsageError(f"folds = {count}: 2 at least")
    size, larger = divmod(samples.rows, count)
    cuts = np.cumsum([size + (number < larger) for number in range(count)])[:-1]
    start_ns = samples.start_ns
    moved = [int(np.searchsorted(start_ns, start_ns[cut - 1], "right")) if cut else 0 for cut in cuts]
    for number, fold in enumerate(np.split(np.arange(samples.rows), moved), 1):
        if not fold.size:
            raise UsageError(
                f"fold {number} of {count} has no row: there are {samples.rows:,}, and those of one time "
                "stay together; take fewer folds"
            )
        train = np.flatnonzero(purged(samples, fold, fit))
        yield Fit(f"fold {number}", None, train, {"test": fold})


def _rolling(samples: Samples, fit: FitSettings, sessions: Sessions) -> Iterator[Fit]:
    moments = _moments(samples, fit, sessions)
    for moment_ns, next_ns in zip(moments, [*moments[1:], None], strict=True):
        train = np.flatnonzero(trainable(samples, moment_ns, fit, sessions))
        if not _reaches_back(samples, moment_ns, fit, sessions):
            train = train[:0]
        tested = samples.start_ns >= moment_ns
        if next_ns is not None:
            tested &= samples.start_ns < next_ns
        yield Fit("rolling", moment_ns, train, {"next": np.flatnonzero(tested)})


def _moments(samples: Samples, fit: FitSettings, sessions: Sessions) -> list[int]:
    """When a model is fitted anew, from the first sample on."""
    if fit.every != "session":
        first = int(samples.start_ns[0]) // fit.every + 1
        last = int(samples.known_ns.max()) // fit.every + 1
        return [number * fit.every for number in range(first, last + 1)]
    ends = np.unique(sessions.ends(samples.start_ns))
    return [int(end) for end in ends.tolist() if end != OUTSIDE]


def _reaches_back(samples: Samples, moment_ns: int, fit: FitSettings, sessions: Sessions) -> bool:
    """Whether there are rows before a moment for as long as `over` says."""
    if fit.over_ns:
        return bool(samples.start_ns[0] <= moment_ns - fit.over_ns)
    begun = np.unique(sessions.ids(samples.start_ns[samples.start_ns < moment_ns]))
    return int((begun != OUTSIDE).sum()) >= fit.over_sessions


def _oldest_ns(samples: Samples, moment_ns: int, fit: FitSettings, sessions: Sessions) -> int:
    """The time of the oldest row that trains."""
    if fit.over_ns:
        return moment_ns - fit.over_ns
    before = samples.start_ns[samples.start_ns < moment_ns]
    if not before.size:
        return moment_ns
    if not fit.over_sessions:
        return int(before[0])
    begun = np.unique(sessions.ids(before))
    begun = begun[begun != OUTSIDE]
    return int(begun[-min(fit.over_sessions, begun.size)]) if begun.size else moment_ns
