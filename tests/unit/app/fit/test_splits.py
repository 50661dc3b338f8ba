"""Splits of a fit: what trains is known by then, and nothing of what is tested changes it."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import RunError, UsageError
from app.fit.samples import Samples
from app.fit.splits import MODES, Fit, Mode, Shares, fits_of, purged, trainable
from gpu_sink.errors import SampleError
from gpu_sink.samples.folds import PurgedKFold
from operators.sessions.sessions import DAYS_OF_UTC
from operators.tiles.settings import FitSettings
from schemas.clocks import NS_PER_DAY

HOUR_NS = NS_PER_DAY // 24
ALL, SHARES = FitSettings(), Shares()


def samples_of(start_ns: list[int], known_ns: list[int], seed: int = 1) -> Samples:
    draws = np.random.default_rng(seed)
    starts = np.array(start_ns, np.int64)
    return Samples(
        draws.normal(size=(starts.size, 2)),
        draws.normal(size=starts.size),
        starts,
        np.array(known_ns, np.int64),
    )


def days(count: int, rows: int = 24, seed: int = 1) -> Samples:
    """Samples of days of UTC, the label of each known some hours later."""
    starts = np.arange(count * rows) * (NS_PER_DAY // rows)
    draws = np.random.default_rng(seed)
    return samples_of(starts.tolist(), (starts + draws.integers(1, 5 * HOUR_NS, starts.size)).tolist(), seed)


def fits(mode: Mode, samples: Samples, fit: FitSettings = ALL, shares: Shares = SHARES) -> list[Fit]:
    return list(fits_of(mode, samples, fit, DAYS_OF_UTC, shares))


starts = st.lists(st.integers(0, 60), min_size=2, max_size=40).map(sorted)


@given(starts=starts, lengths=st.data(), embargo_ns=st.integers(0, 9), embargo_rows=st.integers(0, 4))
def test_what_trains_is_known_before_the_moment_less_the_embargo(
    starts: list[int], lengths: st.DataObject, embargo_ns: int, embargo_rows: int
) -> None:
    known = [start + lengths.draw(st.integers(0, 9)) for start in starts]
    samples = samples_of(starts, known)
    moment_ns = lengths.draw(st.integers(0, 70))
    fit = FitSettings(embargo_ns=embargo_ns, embargo_rows=embargo_rows)
    mask = trainable(samples, moment_ns, fit, DAYS_OF_UTC)
    by_time = [
        n for n, known_ns in enumerate(known) if known_ns < moment_ns - embargo_ns and starts[n] < moment_ns
    ]
    left_out = by_time[max(len(by_time) - embargo_rows, 0) :] if embargo_rows else []
    wanted = [n for n in by_time if not left_out or starts[n] < starts[left_out[0]]]
    assert np.flatnonzero(mask).tolist() == wanted


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "folds"])
@pytest.mark.parametrize("fit", [FitSettings(), FitSettings(over_sessions=2, embargo_rows=3)])
def test_rows_after_a_moment_put_in_the_place_of_others_change_nothing_that_trains(
    mode: Mode, fit: FitSettings
) -> None:
    """The poison: everything that is not known by the moment of a fit is replaced."""
    samples = days(6)
    for one in fits(mode, samples, fit):
        assert one.moment_ns is not None
        if not one.train.size:  # too few sessions yet
            continue
        later = samples.known_ns >= one.moment_ns
        poisoned = Samples(
            np.where(later[:, None], 1e9, samples.x),
            np.where(later, -1e9, samples.y),
            samples.start_ns,
            np.where(later, samples.known_ns + HOUR_NS, samples.known_ns),
        )
        mask = trainable(poisoned, one.moment_ns, fit, DAYS_OF_UTC)
        assert np.array_equal(np.flatnonzero(mask), one.train)
        assert np.array_equal(poisoned.x[one.train], samples.x[one.train])
        assert np.array_equal(poisoned.y[one.train], samples.y[one.train])


@pytest.mark.parametrize("mode", ["test", "validate", "rolling"])
def test_what_measures_begins_when_what_trains_is_known(mode: Mode) -> None:
    samples = days(6)
    for fit in fits(mode, samples, FitSettings(embargo_ns=HOUR_NS)):
        for places in fit.tests.values():
            if fit.train.size and places.size:
                assert samples.known_ns[fit.train].max() + HOUR_NS < samples.start_ns[places].min()


def test_validation_ends_where_the_test_begins() -> None:
    (fit,) = fits("validate", samples := days(6), shares=Shares(validate=0.3, test=0.2))
    assert samples.known_ns[fit.tests["validate"]].max() < samples.start_ns[fit.tests["test"]].min()
    assert fit.tests["test"].size == pytest.approx(0.2 * samples.rows, abs=1)


@given(
    starts=starts,
    lengths=st.data(),
    folds=st.integers(2, 5),
    embargo=st.sampled_from([(0, 0), (7, 0), (0, 3)]),
)
def test_folds_are_those_of_the_purged_k_fold_of_the_client(
    starts: list[int], lengths: st.DataObject, folds: int, embargo: tuple[int, int]
) -> None:
    known = [start + lengths.draw(st.integers(0, 9)) for start in starts]
    samples, (embargo_ns, embargo_rows) = samples_of(starts, known), embargo
    try:
        client = PurgedKFold(folds, starts, known, embargo_ns=embargo_ns, embargo_rows=embargo_rows)
    except SampleError:
        with pytest.raises(UsageError, match="has no row"):
            fits("folds", samples, shares=Shares(folds=folds))
        return
    made = fits(
        "folds", samples, FitSettings(embargo_ns=embargo_ns, embargo_rows=embargo_rows), Shares(folds=folds)
    )
    try:
        wanted = [(train.tolist(), test.tolist()) for train, test in client.split(samples.x)]
    except SampleError:
        assert any(not fit.train.size for fit in made)
        return
    assert [(fit.train.tolist(), fit.tests["test"].tolist()) for fit in made] == wanted


def test_an_unpurged_fold_would_leak() -> None:
    """What `purged` takes away is there: without it labels of the test would be known in training."""
    samples = days(4)
    fold = np.arange(30, 60)
    beside = np.setdiff1d(np.arange(samples.rows), fold)
    mask = purged(samples, fold, FitSettings())
    assert 0 < np.flatnonzero(mask).size < beside.size


def test_rolling_fits_are_at_the_end_of_each_session_over_so_many_before() -> None:
    samples = days(5)
    made = fits("rolling", samples, FitSettings(over_sessions=2))
    assert [fit.moment_ns for fit in made] == [day * NS_PER_DAY for day in range(1, 6)]
    assert not made[0].train.size  # one session is no two
    for fit in made[1:]:
        assert fit.moment_ns is not None
        assert samples.start_ns[fit.train].min() == fit.moment_ns - 2 * NS_PER_DAY
    whole, later = (
        made[4],
        fits("rolling", samples.choose(np.arange(2 * 24, 5 * 24)), FitSettings(over_sessions=2)),
    )
    assert np.array_equal(later[-1].train + 2 * 24, whole.train)  # whatever days are at hand


def test_rolling_fits_come_every_so_often() -> None:
    samples = days(2)
    made = fits("rolling", samples, FitSettings(every=6 * HOUR_NS, over_ns=12 * HOUR_NS))
    moments = [fit.moment_ns for fit in made if fit.moment_ns is not None]
    assert moments[0] == 6 * HOUR_NS
    assert set(np.diff(moments).tolist()) == {6 * HOUR_NS}
    assert [bool(fit.train.size) for fit in made[:3]] == [False, True, True]


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: fits("test", days(2), shares=Shares(test=1.0)), "shares lie above 0"),
        (lambda: fits("validate", days(2), shares=Shares(validate=0.6, test=0.5)), "together below 1"),
        (lambda: fits("folds", days(2), shares=Shares(folds=1)), "2 at least"),
        (lambda: fits("folds", days(1, rows=2), shares=Shares(folds=3)), "take fewer folds"),
    ],
)
def test_shares_that_cannot_be_are_refused(act: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        act()


def test_no_sample_is_no_fit() -> None:
    with pytest.raises(RunError, match="no row of these days has a label"):
        fits("test", days(1).choose(np.array([], np.int64)))
