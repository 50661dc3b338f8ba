"""Where a recursion starts (0.7), with a session, a symbol or at an anchor; and how fast it fades."""

import math
from collections.abc import Sequence
from typing import Final

from operators.formula.durations import DURATION_NS_MAX
from operators.formula.functions.declare import Setting, Settings
from operators.formula.functions.history import whole
from operators.formula.history import ANCHORED, ROWS_MAX
from operators.formula.steps import Steps
from operators.formula.tree import Tree

LN2: Final = math.log(2.0)
LEAST: Final = 5e-324  # above 0
EPS: Final = 1e-9
NO_ANCHORS: Final = -1
SHIFT_MAX: Final = 63  # blocks so long are never left
SHOWN: Final = ("after", "before", "query")  # of a sum that fades, by the number that its kernel has for it

MEMORY: Final = Setting(
    "memory",
    "word",
    "where it starts: with the session, with the symbol, or at an anchor, one to two horizons back",
    default="session",
    words=("session", "genesis", "anchored"),
)
EPS_OF: Final = Setting(
    "eps",
    "number",
    "of memory='anchored': the weight that a row has left at the horizon; 1e-9 unless it is said",
    bounds=(1e-300, 0.5),
)
OF_MEMORY: Final = (MEMORY, EPS_OF)
MIN_COUNT: Final = Setting(
    "min_count",
    "count",
    "the fewest values since the start for a result",
    default=1,
    bounds=(1, ROWS_MAX),
)

HALF_LIFE: Final = Setting(
    "half_life_ns",
    "duration",
    "the time in which a weight halves",
    bounds=(1, DURATION_NS_MAX),
    positional=True,
    optional=True,
)
TAU: Final = Setting(
    "tau_ns",
    "duration",
    "instead of it: the time in which a weight falls to 1 / e",
    bounds=(1, DURATION_NS_MAX),
)
OF_TIME_DECAY: Final = (HALF_LIFE, TAU)


def number(settings: Settings, name: str, otherwise: float = 0.0) -> float:
    """The value of a setting that is a number."""
    value = settings.get(name, otherwise)
    assert isinstance(value, float), f"{name} is {value!r}"
    return value


def numbers(settings: Settings, name: str) -> tuple[tuple[float, ...], ...]:
    """The rows of a setting that is a table."""
    value = settings[name]
    assert isinstance(value, tuple), f"{name} is {value!r}"
    return value


def column(settings: Settings, name: str) -> list[float]:
    """The numbers of a table that has one in a row."""
    return [row[0] for row in numbers(settings, name)]


def recursion(
    steps: Steps, name: str, values: Sequence[int], constants: Sequence[float], shift: int, settings: Settings
) -> int:
    """Add a recursion that starts where the settings say; an anchored one does at blocks of 2**shift."""
    session = int(settings["memory"] == "session")
    if settings["memory"] != "anchored":
        return steps.stateful(name, values, *constants, session, NO_ANCHORS)
    return steps.stateful(name + ANCHORED, values, *constants, session, shift)


def shift_of_rows(kept: float, settings: Settings) -> int:
    """The blocks of rows where a row keeps `kept` of its weight: as long as the horizon, or more."""
    if not 0.0 < kept < 1.0:
        return 0
    return shift_of(math.ceil(math.log(number(settings, "eps", EPS)) / math.log(kept)))


def shift_of_time(settings: Settings) -> int:
    """The blocks of time, in ns."""
    tau_ns = whole(settings, "tau_ns")
    half_life_ns = LN2 * tau_ns if tau_ns else float(whole(settings, "half_life_ns"))
    return shift_of(half_life_ns * math.log2(1.0 / number(settings, "eps", EPS)))


def shift_of(horizon: float) -> int:
    """The blocks that are as long as a horizon, or more."""
    shift = 0
    while 2**shift < horizon and shift < SHIFT_MAX:
        shift += 1
    return shift


def shown_at(settings: Settings) -> int:
    """Which of `SHOWN` a sum that fades shows."""
    return SHOWN.index(str(settings["at"]))


def decay_per_ns(settings: Settings) -> float:
    """The c of exp(-(dt * c))."""
    tau_ns = whole(settings, "tau_ns")
    return 1.0 / float(tau_ns) if tau_ns else LN2 / float(whole(settings, "half_life_ns"))


def wrong_eps(settings: Settings) -> str:
    """What is wrong with the horizon."""
    anchored = settings["memory"] == "anchored"
    return "eps= is of memory='anchored', which is not chosen" if "eps" in settings and not anchored else ""


def never_fades(kept: float, settings: Settings) -> str:
    """Why a recursion by rows cannot be anchored, where it cannot."""
    if settings["memory"] == "anchored" and not kept < 1.0:
        return "memory='anchored' needs weights that fade; these do not, and have no horizon"
    return wrong_eps(settings)


def one_time_decay(_: Sequence[Tree], settings: Settings) -> str:
    """What is wrong with the settings of a decay by time."""
    if ("half_life_ns" in settings) == ("tau_ns" in settings):
        return "exactly one of a half-life such as '5m' and tau_ns= says how fast it decays"
    return wrong_eps(settings)
