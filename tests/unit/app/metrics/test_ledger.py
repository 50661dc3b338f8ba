"""The ledger: rows count once, time is all in some phase, and every name is there from the start."""

from app.metrics.catalogue import AWAY, COMMITS, DEAD_LETTERS, ROWS_SEALED
from app.metrics.heart import START_NS, Heart
from app.metrics.histogram import Histogram
from app.metrics.ledger import Ledger
from app.metrics.phases import COMMIT, WAIT, Phases
from schemas.clocks import NS_PER_MS, NS_PER_S


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


def test_rows_count_from_the_commit_that_makes_them_true_on() -> None:
    ledger = Ledger(("trade",))
    ledger.add_rows(ROWS_SEALED, by=5)
    assert ledger.totals[ROWS_SEALED,] == 0
    ledger.commit_begins()
    ledger.commit_done()
    assert ledger.totals[ROWS_SEALED,] == 5


def test_rows_of_a_transaction_that_comes_to_nothing_are_not_counted() -> None:
    ledger = Ledger(("trade",))
    ledger.add_rows(ROWS_SEALED, by=5)
    ledger.undo("aborted")
    ledger.add_rows(ROWS_SEALED, by=5)
    ledger.commit_begins()
    ledger.commit_done()
    assert ledger.totals[ROWS_SEALED,] == 5
    assert (ledger.totals[COMMITS, "aborted"], ledger.totals[COMMITS, "done"]) == (1, 1)


def test_a_commit_takes_from_its_begin_to_its_end_and_is_dated_by_the_wall_clock() -> None:
    elapsed, wall = Clock(), Clock()
    ledger = Ledger((), elapsed_ns=elapsed, wall_ns=wall)
    ledger.commit_begins()
    elapsed.now_ns, wall.now_ns = 7 * NS_PER_MS, 1_700_000_000 * NS_PER_S
    ledger.commit_done()
    assert (ledger.commit_duration.sum_ns, ledger.last_commit_ns) == (7 * NS_PER_MS, wall.now_ns)


def test_every_key_of_a_closed_set_is_there_from_the_beginning() -> None:
    totals = Ledger(("trade", "quote")).totals
    reasons = {key[2] for key in totals if key[:2] == (DEAD_LETTERS, "quote")}
    assert reasons == {"unreadable", "rule", "ahead"}
    assert set(totals.values()) == {0}


def test_time_spent_waiting_is_counted_and_beats() -> None:
    elapsed = Clock()
    heart = Heart(10, elapsed_ns=elapsed, wall_ns=elapsed)
    ledger = Ledger((), heart)
    heart.beat()
    elapsed.now_ns = 9
    ledger.waited("broker", 9)
    elapsed.now_ns = 18
    assert heart.is_live
    assert ledger.totals[AWAY, "broker"] == 9


def test_a_loop_without_a_beat_for_longer_than_its_patience_is_not_live() -> None:
    elapsed = Clock()
    heart = Heart(10, elapsed_ns=elapsed, wall_ns=elapsed)
    elapsed.now_ns = START_NS
    assert heart.is_live, "a start may take its time"
    heart.beat()
    elapsed.now_ns += 10
    assert heart.is_live
    elapsed.now_ns += 1
    assert not heart.is_live


def test_phases_add_up_to_the_time_that_has_passed() -> None:
    clock = Clock()
    phases = Phases(clock)
    clock.now_ns = 3
    phases.end(WAIT)
    clock.now_ns = 10
    phases.end(COMMIT)
    assert phases.spent_ns[WAIT] == 3
    assert phases.spent_ns[COMMIT] == 7
    assert sum(phases.spent_ns) == clock.now_ns


def test_a_bucket_holds_what_is_at_its_bound_or_below_and_what_is_beyond_all_is_counted() -> None:
    histogram = Histogram()
    histogram.add(NS_PER_MS, 3)
    histogram.add(NS_PER_MS + 1)
    histogram.add(60 * NS_PER_S)
    histogram.add(-5)
    buckets, sum_s = histogram.buckets()
    counts = dict(buckets)
    assert (counts["0.001"], counts["0.0025"], counts["30.0"], counts["+Inf"]) == (4, 5, 5, 6)
    assert len(buckets) == 15
    assert sum_s == (4 * NS_PER_MS + 1 + 60 * NS_PER_S) / NS_PER_S
