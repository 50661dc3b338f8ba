"""The judge of functions that look back: every one, from the text alone, against the handbook's reference."""

import math
import re
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import polars as pl
import pytest

from app.audit.formulas import needs_of, unjudged_features, with_features
from app.audit.looking_back import LOOKING_BACK
from app.audit.past import Past
from app.audit.reach import Need, complete
from operators.formula.functions.table import FUNCTIONS
from tests.oracles.features.rows import Rows
from tests.oracles.features.table import ORACLES

SECOND: Final = 1_000_000_000
QUOTE: Final = "price, bid, ask"
TRADE: Final = "price, size, d"

# Formula, and the settings that it says to the oracle.
CALLS: Final[list[tuple[str, dict[str, Any]]]] = [
    ("lag(x)", {}),
    ("lag(flag, rows=3)", {"rows": 3}),
    ("lag(x, '2s', max_rows=2)", {"ns": 2 * SECOND, "max_rows": 2}),
    ("diff(whole, rows=2, reset='session')", {"rows": 2, "reset": "session"}),
    ("pct_change(x, rows=2)", {"rows": 2}),
    ("log_return(x, '3s')", {"ns": 3 * SECOND}),
    ("cumsum(x)", {}),
    ("cumsum(whole, reset='none')", {"reset": "none"}),
    ("time_since(flag)", {}),
    ("time_since(flag, memory='genesis')", {"memory": "genesis"}),
    ("count_since(flag)", {}),
    ("fill_forward(x)", {}),
    ("fill_forward(flag, limit_rows=1)", {"limit_rows": 1}),
    ("fill_forward(x, limit_ns='1s', reset='session')", {"limit_ns": SECOND, "reset": "session"}),
    ("rolling_count(x, '3s')", {"ns": 3 * SECOND}),
    ("rolling_sum(x, rows=4)", {"rows": 4}),
    ("rolling_sum(whole, '3s', max_rows=3)", {"ns": 3 * SECOND, "max_rows": 3}),
    ("rolling_mean(x, '2s', reset='session')", {"ns": 2 * SECOND, "reset": "session"}),
    ("rolling_var(x, rows=5, min_count=2, ddof=0)", {"rows": 5, "min_count": 2, "ddof": 0}),
    ("rolling_std(x, '4s')", {"ns": 4 * SECOND}),
    ("rolling_min(x, rows=3, min_count=1)", {"rows": 3, "min_count": 1}),
    ("rolling_max(whole, '5s')", {"ns": 5 * SECOND}),
    ("rolling_median(x, rows=4, min_count=2)", {"rows": 4, "min_count": 2}),
    ("rolling_quantile(x, '5s', q_ppm=250000)", {"ns": 5 * SECOND, "q_ppm": 250_000}),
    ("rolling_rank(x, rows=6, min_count=2, pct=True)", {"rows": 6, "min_count": 2, "pct": True}),
    ("rolling_skew(x, rows=6, min_count=3)", {"rows": 6, "min_count": 3}),
    ("rolling_kurt(x, '6s', bias=True)", {"ns": 6 * SECOND, "bias": True}),
    ("rolling_kurt(x, rows=7, min_count=4)", {"rows": 7, "min_count": 4}),
    ("trend_scan(price, min=3, max=6)", {"min": 3, "max": 6}),
    (
        "trend_scan(price, min=4, max=7, step=2, output='ret')",
        {"min": 4, "max": 7, "step": 2, "output": "ret"},
    ),
    (
        "trend_scan(price, min=3, max=5, output='sign', t_min=1.5, reset='session')",
        {"min": 3, "max": 5, "output": "sign", "t_min": 1.5, "reset": "session"},
    ),
    ("trend_scan(x, min=3, max=4, output='rows')", {"min": 3, "max": 4, "output": "rows"}),
    ("rolling_cov(x, y, rows=5, min_count=2)", {"rows": 5, "min_count": 2}),
    ("rolling_corr(x, y, '5s')", {"ns": 5 * SECOND}),
    ("rolling_beta(x, y, '5s')", {"ns": 5 * SECOND}),
    (
        "rolling_beta(x, y, rows=5, min_count=2, output='intercept')",
        {"rows": 5, "min_count": 2, "output": "intercept"},
    ),
    ("rolling_zscore(x, rows=5, min_count=2)", {"rows": 5, "min_count": 2}),
    (
        "rolling_zscore(x, rows=4, min_count=3, exclude_current=True)",
        {"rows": 4, "min_count": 3, "exclude_current": True},
    ),
    (
        "rolling_zscore(x, '5s', exclude_current=True, ddof=0)",
        {"ns": 5 * SECOND, "exclude_current": True, "ddof": 0},
    ),
    ("rolling_argmax(x, rows=5, min_count=1)", {"rows": 5, "min_count": 1}),
    ("rolling_argmin(whole, '4s')", {"ns": 4 * SECOND}),
    ("ewma(x, span=3)", {"span": 3}),
    ("ewma(x, alpha=0.3, adjust=False, min_count=2)", {"alpha": 0.3, "adjust": False, "min_count": 2}),
    ("ewma(x, com=1, memory='genesis')", {"com": 1, "memory": "genesis"}),
    (
        "ewma(x, half_life=0.5, memory='anchored', eps=0.01)",
        {"half_life": 0.5, "memory": "anchored", "eps": 0.01},
    ),
    ("ewma_time(x, '2s')", {"half_life_ns": 2 * SECOND}),
    (
        "ewma_time(x, tau_ns='1s', memory='anchored', eps=0.1)",
        {"tau_ns": SECOND, "memory": "anchored", "eps": 0.1},
    ),
    ("decay_accum(x, '2s', at='before')", {"half_life_ns": 2 * SECOND, "at": "before"}),
    ("decay_accum(x, '2s', at='query')", {"half_life_ns": 2 * SECOND, "at": "query"}),
    ("ewm_std(x, alpha=0.5, bias=True)", {"alpha": 0.5, "bias": True}),
    ("ewm_std(x, span=4, min_count=3)", {"span": 4, "min_count": 3}),
    ("tick_rule(price)", {}),
    (f"lee_ready({QUOTE})", {}),
    (f"emo({QUOTE})", {}),
    (f"clnv({QUOTE}, reset='none')", {"reset": "none"}),
    (f"direction({QUOTE}, rule='emo')", {"rule": "emo"}),
    (f"direction({QUOTE}, flag)", {}),
    ("trade_return(price)", {}),
    ("trade_return(price, '2s', unit='fraction')", {"ns": 2 * SECOND, "unit": "fraction"}),
    ("vwap(price, size)", {}),
    ("vwap(price, size, '3s', price_scale=100)", {"ns": 3 * SECOND, "price_scale": 100}),
    ("twap(price, '3s')", {"ns": 3 * SECOND}),
    ("twap(price, '4s', max_rows=3)", {"ns": 4 * SECOND, "max_rows": 3}),
    ("ewma_volatility(price, decay=0.9)", {"decay": 0.9}),
    ("ewma_variance_rate(price, '2s')", {"half_life_ns": 2 * SECOND}),
    ("realised_variance(price, output='vol')", {"output": "vol"}),
    ("realised_variance(price, '5s')", {"ns": 5 * SECOND}),
    ("bipower_variation(price, finite_sample=True)", {"finite_sample": True}),
    ("bipower_variation(price, rows=6, min_count=2)", {"rows": 6, "min_count": 2}),
    ("two_scale_variance(price, K=2)", {"K": 2}),
    (
        "two_scale_variance(price, rows=9, K=2, min_count=5, reset='none')",
        {"K": 2, "rows": 9, "min_count": 5, "reset": "none"},
    ),
    (
        "two_scale_variance(price, '60s', K=2, max_rows=7, reset='none')",
        {"K": 2, "ns": 60 * SECOND, "max_rows": 7, "reset": "none"},
    ),
    (
        "two_scale_variance(price, K=3, adjust=False, reset='none')",
        {"K": 3, "adjust": False, "reset": "none"},
    ),
    ("ofi(bid, ask, size, size2)", {}),
    ("ofi(bid, ask, whole, whole2, '4s')", {"ns": 4 * SECOND}),
    (
        "ofi(bid, ask, size, size2, rows=4, min_count=2, normalise=True)",
        {"rows": 4, "min_count": 2, "normalise": True},
    ),
    ("ofi_levels(bid, x, ask, y, size, size2, whole, whole2, output='e2')", {"output": "e2"}),
    ("ofi_levels(bid, x, ask, y, size, size2, size2, size, output='integrated')", {"output": "integrated"}),
    (
        "ofi_levels(bid, x, ask, y, size, size2, size2, size, output='integrated', w=(1, 0.25))",
        {"output": "integrated", "w": (1, 0.25)},
    ),
    ("trade_imbalance(size, d, '4s')", {"ns": 4 * SECOND}),
    (f"kyle_rls({TRADE}, min_count=1)", {"min_count": 1}),
    (
        f"kyle_rls({TRADE}, lambda_f=0.5, P0=10, tick=0.5, memory='anchored', eps=0.1, min_count=1)",
        {"lambda_f": 0.5, "P0": 10, "tick": 0.5, "memory": "anchored", "eps": 0.1, "min_count": 1},
    ),
    (f"kyle_window({TRADE}, rows=7, min_count=3)", {"rows": 7, "min_count": 3}),
    (f"kyle_window({TRADE}, '9s', output='t')", {"ns": 9 * SECOND, "output": "t"}),
    (
        "roll_spread(price, rows=8, min_count=3, positive='abs')",
        {"rows": 8, "min_count": 3, "positive": "abs"},
    ),
    ("roll_spread(price, '9s', output='c')", {"ns": 9 * SECOND, "output": "c"}),
    ("hedge_ratio(y, x)", {}),
    (
        "hedge_ratio(y, x, delta=0.01, warm=2, memory='anchored', horizon_rows=3, output='z')",
        {"delta": 0.01, "warm": 2, "memory": "anchored", "horizon_rows": 3, "output": "z"},
    ),
    ("hedge_ratio(y, x, memory='genesis', output='err')", {"memory": "genesis", "output": "err"}),
    ("hawkes(flag, mu=0.5, alpha=0.8, beta=1)", {"mu": 0.5, "alpha": 0.8, "beta": 1}),
    (
        "hawkes(flag, mu=0, alpha=1, beta=2.5, at='after', memory='anchored', eps=0.1)",
        {"mu": 0, "alpha": 1, "beta": 2.5, "at": "after", "memory": "anchored", "eps": 0.1},
    ),
    (
        "hawkes(flag, mu=0.5, alpha=0.8, beta=1, at='query', memory='genesis')",
        {"mu": 0.5, "alpha": 0.8, "beta": 1, "at": "query", "memory": "genesis"},
    ),
    (
        "hawkes_two_sided(d, mu=(0.25, 0.5), a=((0.6, 0.2), (0.1, 0.4)), beta=1)",
        {"mu": (0.25, 0.5), "a": ((0.6, 0.2), (0.1, 0.4)), "beta": 1},
    ),
    (
        "hawkes_two_sided(d, mu=(0, 1), a=((0, 3), (0.1, 0)), beta=2, output='sell', memory='genesis')",
        {"mu": (0, 1), "a": ((0, 3), (0.1, 0)), "beta": 2, "output": "sell", "memory": "genesis"},
    ),
    ("local_level(x, q=1, r=4)", {"q": 1, "r": 4}),
    ("local_level(x, q_per_s=0.5, r=2, output='z')", {"q_per_s": 0.5, "r": 2, "output": "z"}),
    (
        "local_level(x, q=0.1, r=2, memory='anchored', horizon_rows=4, output='F')",
        {"q": 0.1, "r": 2, "memory": "anchored", "horizon_rows": 4, "output": "F"},
    ),
    (
        "hmm(x, pi=(0.5, 0.5), A=((0.9, 0.1), (0.2, 0.8)), mean=(0, 3), sd=(1, 2))",
        {"pi": (0.5, 0.5), "A": ((0.9, 0.1), (0.2, 0.8)), "mean": (0, 3), "sd": (1, 2)},
    ),
    (
        "hmm(y, pi=(1, 0, 0), A=((0.5, 0.5, 0), (0, 0.5, 0.5), (0.5, 0, 0.5)), mean=(0, 3, 6),"  # noqa: ISC004
        " sd=(1, 1, 1), output='state', memory='anchored', horizon_rows=2)",
        {
            "pi": (1, 0, 0),
            "A": ((0.5, 0.5, 0), (0, 0.5, 0.5), (0.5, 0, 0.5)),
            "mean": (0, 3, 6),
            "sd": (1, 1, 1),
            "output": "state",
            "memory": "anchored",
            "horizon_rows": 2,
        },
    ),
    ("cusum(price, y)", {}),
    (
        "cusum(price, size, log=True, drift=-1e-3, memory='genesis', reset='none')",
        {"log": True, "drift": -1e-3, "memory": "genesis", "reset": "none"},
    ),
    ("bvc(close, rows=4, min_count=2)", {"rows": 4, "min_count": 2}),
    ("bvc(close, rows=3, reset='none')", {"rows": 3, "reset": "none"}),
    ("bvc(close, rows=4, min_count=2, dist='t')", {"rows": 4, "min_count": 2, "dist": "t"}),
    ("bvc(close, rows=4, min_count=2, dist='t', df=5)", {"rows": 4, "min_count": 2, "dist": "t", "df": 5}),
    ("parkinson(high, low, rows=3, min_count=1)", {"rows": 3, "min_count": 1}),
    ("parkinson(high, low, flag, rows=3, min_count=1)", {"rows": 3, "min_count": 1}),
    ("garman_klass(open, high, low, close, rows=4, min_count=2)", {"rows": 4, "min_count": 2}),
    (
        "rogers_satchell(open, high, low, close, rows=2, min_count=1, reset='none')",
        {"rows": 2, "min_count": 1, "reset": "none"},
    ),
    ("yang_zhang(open, high, low, close, flag, rows=6, min_count=1)", {"rows": 6, "min_count": 1}),
    (
        "yang_zhang(open, high, low, close, rows=6, min_count=3, reset='session')",
        {"rows": 6, "min_count": 3, "reset": "session"},
    ),
    ("amihud(close, size, rows=4, min_count=2, scale=1e6)", {"rows": 4, "min_count": 2, "scale": 1e6}),
    ("hasbrouck(close, size, rows=4, min_count=2)", {"rows": 4, "min_count": 2}),
    ("hasbrouck(close, size, d, rows=4, min_count=2)", {"rows": 4, "min_count": 2}),
    ("corwin_schultz(high, low, close, rows=4, min_count=1)", {"rows": 4, "min_count": 1}),
    (
        "corwin_schultz(high, low, close, flag, rows=5, min_count=1, reset='session')",
        {"rows": 5, "min_count": 1, "reset": "session"},
    ),
    ("vpin(size, d, V=3, n=2)", {"V": 3, "n": 2}),
    ("vpin(size, d, V=2.5, n=1, reset='session')", {"V": 2.5, "n": 1, "reset": "session"}),
    ("vpin(size, d, V=2.5, n=2, of='share')", {"V": 2.5, "n": 2, "of": "share"}),
]


def drawn(seed: int, count: int = 120) -> tuple[pl.DataFrame, Past, Rows]:
    """Rows with ties, nulls, three symbols and rows without any, and sessions with gaps between them."""
    draws = np.random.default_rng(seed)

    def column(values: list[Any], nulls: float = 0.15) -> list[Any]:
        return [None if draws.random() < nulls else values[k] for k in draws.integers(0, len(values), count)]

    time_ns = np.cumsum(draws.choice([0, 0, SECOND // 2, SECOND, 3 * SECOND], count))
    session = time_ns // (20 * SECOND)
    session = np.where(time_ns % (20 * SECOND) >= 17 * SECOND, -1, session)
    group = draws.integers(-1, 3, count)
    columns = {
        "x": column([1.0, 2.5, 2.5, 4.0, -3.0, 8.25, 1e-3, 100.02, 99.98]),
        "y": column([2.0, 1.0, 3.5, 5.0, 7.0, 0.1]),
        "whole": column([1, 2, 3, 3, 7]),
        "whole2": column([2, 5, 1]),
        "flag": column([True, False, False]),
        "price": column([100.0, 100.5, 101.0, 100.5, 99.5], 0.1),
        "bid": column([99.5, 100.0, 100.5], 0.1),
        "ask": column([100.5, 101.0, 100.0], 0.1),
        "size": column([1.0, 2.0, 0.5, 3.0], 0.1),
        "size2": column([1.0, 4.0, 2.5], 0.1),
        "d": column([1, -1, 0], 0.1),
        "open": column([100.0, 100.5, 99.5, 101.5], 0.05),
        "high": column([102.0, 101.5, 103.0, 98.5], 0.05),
        "low": column([99.0, 98.5, 97.0, 100.0], 0.05),
        "close": column([100.25, 99.5, 101.0, 104.5], 0.05),
    }
    rows = Rows(
        time_ns.tolist(),
        [None if g < 0 else g for g in group.tolist()],
        [None if s < 0 else s for s in session.tolist()],
        columns,
    )
    return pl.DataFrame(columns), Past(group, time_ns, session), rows


def near(one: Any, other: Any) -> bool:
    if one is None or other is None or not isinstance(other, float):
        return bool(one == other)
    return math.isclose(one, other, rel_tol=1e-13, abs_tol=1e-17)


@pytest.mark.parametrize(("formula", "settings"), CALLS, ids=[formula for formula, _ in CALLS])
def test_the_judge_of_a_call_gives_what_the_handbook_says(formula: str, settings: Mapping[str, Any]) -> None:
    name, columns = formula[: formula.index("(")], formula[formula.index("(") + 1 :]
    operands = re.findall(r"(?:^|, )([a-z]\w*)(?=,|\))", columns)
    known = 0
    for seed in range(3):
        frame, past, rows = drawn(seed)
        judged = with_features(frame, {"f": formula}, past)["f"].to_list()
        wanted = ORACLES[name](rows, [rows.columns[each] for each in operands], settings)
        apart = [
            (at, own, want)
            for at, (own, want) in enumerate(zip(judged, wanted, strict=True))
            if not near(own, want)
        ]
        assert not apart, (seed, apart[:3])
        known += sum(value is not None for value in wanted)
    assert known > 20


def test_every_function_that_looks_back_has_a_judge_and_every_judge_is_tried() -> None:
    tried = {formula[: formula.index("(")] for formula, _ in CALLS}
    assert set(ORACLES) <= set(LOOKING_BACK)
    assert set(LOOKING_BACK) <= tried
    calls = {f"f{n}": f"{name}(x)" for n, name in enumerate(FUNCTIONS)}
    assert unjudged_features(calls) == {}


NEEDS: Final = {
    "lag(x, rows=3)": Need(3),
    "log_return(x, '1m')": Need(1, 60 * SECOND),
    "rolling_std(log_return(x), rows=5)": Need(5),
    "rolling_mean(x, '5s') + lag(x)": Need(1, 5 * SECOND),
    "cumsum(x)": Need(start="session"),
    "rolling_mean(ewma(x, span=3, memory='genesis'), '5s')": Need(0, 5 * SECOND, "genesis"),
    "vwap(x, y)": Need(start="session"),
    "vwap(x, y, rows=9)": Need(8),
    "ewma_time(x, '1s', memory='anchored', eps=0.5)": Need(0, 2 << 30),
    "x + y": Need(),
}


@pytest.mark.parametrize("formula", NEEDS)
def test_what_a_value_hangs_on_follows_from_its_formula(formula: str) -> None:
    assert needs_of({"f": formula})["f"] == NEEDS[formula]
    assert needs_of({"f": formula, "g": "lag(f)"})["g"] == Need(1).behind(NEEDS[formula])


@pytest.mark.parametrize("formula", [*NEEDS, "lag(cumsum(x), rows=2)", "fill_forward(x, limit_rows=3)"])
def test_a_value_of_which_all_is_there_is_the_same_without_the_rows_before(formula: str) -> None:
    judged = cut = 0
    for seed in range(3):
        frame, past, _ = drawn(seed, 200)
        whole = with_features(frame, {"f": formula}, past)["f"]
        for begin in (30, 90):
            rest = Past(past.group[begin:], past.time_ns[begin:], past.session[begin:])
            values = with_features(frame.slice(begin), {"f": formula}, rest)["f"]
            there = complete(rest, needs_of({"f": formula})["f"], int(rest.time_ns[0]))
            for at in np.flatnonzero(there).tolist():
                assert near(values[at], whole[begin + at]), (seed, begin, at)
            judged += int(there.sum())
            cut += int((~there).sum())
    genesis = needs_of({"f": formula})["f"].start == "genesis"
    assert (judged > 250) is not genesis
    assert (cut > 0) is (needs_of({"f": formula})["f"] != Need())


def test_a_function_without_a_judge_is_named_with_what_is_made_of_it() -> None:
    frame, past, _ = drawn(1)
    features = {"a": "mystery(x)", "b": "x + 1", "c": "a * b", "d": "lag(c)"}
    assert unjudged_features(features) == dict.fromkeys("acd", "mystery")
    assert with_features(frame, features, past).columns == [*frame.columns, "b"]
