"""Models of a state: the handbook's examples beside those of the table, and what calls cannot mean."""

import math
from itertools import pairwise
from typing import Any, Final

import pyarrow as pa
import pytest

from operators.formula.features import read_features, root_source
from tests.oracles.features.handbook import F2, SECOND_NS, as_written, column_of, rows_of, values, written

F2_EVENTS: Final = column_of(F2, event=[True] * 8)
PAIRS: Final = rows_of(
    [second * SECOND_NS for second in range(6)],
    x=[10.0, 10.1, 10.2, 10.1, 10.3, 10.4],
    y=[20.1, 20.3, 20.45, 20.3, 20.7, 20.85],
)
# Returns of F2 in 1e-4, from the second trade on.
CENTS: Final = (10000, 10002, 10002, 10001, 10001, 10004, 10003, 10006)
R2: Final = rows_of(
    [second * SECOND_NS for second in range(7)],
    r=[1e4 * math.log(now / before) for before, now in pairwise(CENTS)],
)
A: Final = ((0.6, 0.2), (0.2, 0.6))


def test_intensity_of_events() -> None:
    text = ".5 1.036256 1.836256 1.5608334 1.3361263 1.0446191 1.0466813 .6822535"
    found = values(F2_EVENTS, "hawkes", "event", mu=0.5, alpha=0.8, beta=1.0)
    assert as_written(found, 8) == written(text, 8)
    after = values(F2_EVENTS, "hawkes", "event", mu=0.5, alpha=0.8, beta=1.0, at="after")
    assert after == [pytest.approx(float(value or 0.0) + 0.8) for value in found]


def test_what_is_asked_between_events_is_counted_from_the_last_event_in_one_step() -> None:
    """M50 at a time T: mu + alpha * R * exp(-(T - t) * beta); asking changes no later value."""
    times = [ns * SECOND_NS for ns in (0, 1, 3, 4, 5)]
    events: list[Any] = [True, None, False, True, False]
    rows = rows_of(times, event=events, x=[1.0 if one else None for one in events])
    found = values(rows, "hawkes", "event", mu=0.5, alpha=0.8, beta=1.0, at="query")
    r = math.exp(-4.0) * 1.0 + 1.0
    wanted = [1.0, math.exp(-1.0), math.exp(-3.0), r, math.exp(-1.0) * r]
    assert found == [0.5 + 0.8 * value for value in wanted]
    sums = values(rows, "decay_accum", "x", tau_ns=SECOND_NS, at="query")
    c = 1.0 / SECOND_NS
    assert sums[2] == math.exp(-(3e9 * c))
    early = rows_of(times[4:], event=events[4:])
    assert values(early, "hawkes", "event", mu=0.5, alpha=0.8, beta=1.0, at="query") == [0.5]


@pytest.mark.parametrize(
    ("side", "text"),
    [
        ("buy", ".25 .25 .85 .84590236 .60762199 .43561623 .56940773 .32029419"),
        ("sell", ".25 .25 .45 .44863412 .60884944 .56917325 .46108009 .35976775"),
    ],
)
def test_intensity_of_two_sides(side: str, text: str) -> None:
    found = values(F2, "hawkes_two_sided", "d", mu=(0.25, 0.25), a=A, beta=1.0, output=side)
    assert as_written(found, 8) == written(text, 8)


def test_local_level() -> None:
    text = "10000 10001.1111 10001.5077 10001.2993 10001.1803 10002.2887 10002.5671 10003.9086"
    settings: dict[str, Any] = {"q": 1.0, "r": 4.0}
    assert as_written(values(F2, "local_level", "price", **settings), 9) == written(text, 9)
    # P = r * K with K = (F - r) / F, of the last row's F.
    (*_, variance) = values(F2, "local_level", "price", output="F", **settings)
    assert isinstance(variance, float)
    assert f"{4.0 * (variance - 4.0) / variance:.9f}" == "1.563053314"


def test_hedge_ratio() -> None:
    text = "1.810827 1.975559 1.984673 1.989773 1.990366 1.986102"
    assert as_written(values(PAIRS, "hedge_ratio", "y", "x"), 7) == written(text, 7)
    b0 = values(PAIRS, "hedge_ratio", "y", "x", output="b0")
    assert as_written(b0[-1:], 7) == written(".1983154", 7)
    z = values(PAIRS, "hedge_ratio", "y", "x", output="z", warm=5)
    assert z[:5] == [None] * 5
    assert as_written(z[5:], 7) == written("-.4278231", 7)


def test_hidden_states() -> None:
    text = ".50358423 .77046109 .85559515 .93492433 .31867548 .53146096 .063561294"
    settings: dict[str, Any] = {
        "pi": (2 / 3, 1 / 3),
        "A": ((0.95, 0.05), (0.1, 0.9)),
        "mean": (0.0, 0.0),
        "sd": (1.0, 3.0),
    }
    assert as_written(values(R2, "hmm", "r", **settings), 7) == written(text, 7)
    assert values(R2, "hmm", "r", output="state", **settings) == [1, 1, 1, 1, 2, 1, 2]


def test_events_of_cusum() -> None:
    rows = column_of(F2, h=[3] * 8, none=[None] * 8)
    assert values(rows, "cusum", "price", "h") == [0, 0, 0, 0, 0, 1, 0, 1]
    assert values(rows, "cusum", "price", "none") == [0] * 8


HMM: Final = "hmm(x, pi=(0.5, 0.5), A=((0.9, 0.1), (0.2, 0.8)), mean=(0, 1), sd=(1, 2)"
WRONG: Final = {
    "hawkes(e, mu=1, alpha=1)": "beta= is missing: hawkes needs mu=, alpha= and beta=, per second",
    "hawkes(e, mu=1, alpha=2, beta=2)": "alpha is less than beta, or each event would bring more than one"
    " other",
    "hawkes_two_sided(x, beta=1, a=((1, 0), (0, 1)))": "mu= is missing: mu=(0.25, 0.25),"
    " a=((0.6, 0.2), (0.2, 0.6)), beta=1, per second",
    "hawkes_two_sided(x, mu=(1, 1), beta=1, a=((1, 0), (0, 1)))": "the largest eigenvalue of a is 1: less"
    " than beta, or events bring ever more of them",
    "hawkes_two_sided(x, mu=(1, 1), beta=9, a=((1, 0), (-1, 1)))": "no number of mu and a is below 0",
    "local_level(x, q=1)": "r= is missing: the variance of a value around the level",
    "local_level(x, r=1)": "exactly one of q= and q_per_s= says how far the level goes, as a variance by row"
    " or by second",
    f"{HMM}, output='f3')": "output='f3' is of state 3, and there are 2",
    HMM.replace("(0.5, 0.5)", "(0.5, 0.4)") + ")": "pi and each row of A are chances: not below 0, and 1"
    " together",
    HMM.replace("(0, 1)", "(0, 1, 2)")
    + ")": "pi, mean and sd are 2 or 3 numbers, and A as many rows of as many: from a state to each",
    HMM.replace("(1, 2)", "(1, 0)") + ")": "each number of sd is above 0",
    "hmm(x, pi=(1, 0))": "A= is missing: of 2 or 3 states pi=, A=, mean= and sd=",
    "cusum(x, 0)": "h is above 0, and 0 is not",
    "parkinson(x, x, rows=3, min_count=4)": "min_count is at most rows, and 4 is more than 3",
}


@pytest.mark.parametrize(("formula", "why"), WRONG.items())
def test_a_call_that_means_nothing_says_what_it_wants(formula: str, why: str) -> None:
    source = root_source("aligned", pa.schema({"x": pa.float64(), "e": pa.bool_()}))
    _, errors = read_features("tick", source, {"f": formula})
    assert [error.message for error in errors["f"]] == [why]
