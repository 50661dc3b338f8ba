"""What functions of earlier rows have in common: their windows, and the rows of the handbook's examples."""

from collections.abc import Sequence
from typing import Final

from operators.formula.functions.declare import NS_PER_DAY, Cells, Setting, Settings
from operators.formula.history import ROWS_MAX, Window
from operators.formula.tree import Tree

WINDOW_NS_MAX: Final = 31 * NS_PER_DAY
LAG_ROWS: Final = 1  # where a call does not say how far back

NS: Final = Setting(
    "ns", "window", "how long the window is", bounds=(1, WINDOW_NS_MAX), positional=True, optional=True
)
ROWS: Final = Setting("rows", "count", "how many rows it has", bounds=(1, ROWS_MAX))
RESET: Final = Setting(
    "reset", "word", "whether it ends at a session's start", default="none", words=("none", "session")
)
ROWS_AT_MOST: Final = Setting(
    "max_rows",
    "count",
    "of a time window: only the newest so many rows count",
    default=ROWS_MAX,
    bounds=(1, ROWS_MAX),
)
OF_WINDOWS: Final = (NS, ROWS, RESET, ROWS_AT_MOST)

# What functions of trades and quotes take that begin anew with each session unless it is said: of all rows of
# the session where a call has no window.
RESET_BY_SESSION: Final = RESET._replace(default="session")
OF_SESSIONS: Final = (
    NS._replace(about="how long the window is; without one it is the session"),
    ROWS,
    RESET_BY_SESSION,
    ROWS_AT_MOST,
)

ANEW_ROWS_MAX: Final = 4_096  # of a window that is gone through anew for each row


def short_windows(settings: Sequence[Setting]) -> tuple[Setting, ...]:
    """The settings of windows that are gone through anew for each row."""
    return tuple(
        setting._replace(
            bounds=(1, ANEW_ROWS_MAX), default=ANEW_ROWS_MAX if setting.name == "max_rows" else None
        )
        if setting.name in ("rows", "max_rows")
        else setting
        for setting in settings
    )


# F1 of the handbook: times in seconds, x, y, and whether something happened.
TIMES_S: Final = (0, 1, 1, 2, 4, 4, 5, 9)
ROWS_F1: Final[dict[str, Cells]] = {
    "x": (1, 2, None, 4, 8, 3, 3, 5),
    "y": (2, 1, 3, 5, 7, 7, 6, 4),
    "e": (False, True, False, False, True, False, False, False),
}


def whole(settings: Settings, name: str, otherwise: int = 0) -> int:
    """The value of a setting that is a whole number."""
    value = settings.get(name, otherwise)
    assert isinstance(value, int), f"{name} is {value!r}"
    return value


def window_of(settings: Settings) -> Window:
    """The window that a call asks for."""
    rows, ns, most = (whole(settings, name) for name in ("rows", "ns", "max_rows"))
    return Window(rows, ns, int(settings["reset"] == "session"), most if ns else ROWS_MAX)


def least_of(settings: Settings, least: int) -> int:
    """The fewest values for a result: all of a row window, 1 of a time window, unless it is said."""
    return max(least, whole(settings, "min_count", whole(settings, "rows", 1)))


def one_window(_: Sequence[Tree], settings: Settings) -> str:
    """What is wrong with the settings of a window."""
    if "rows" in settings and "ns" in settings:
        return "a window is a length of time or rows=, not both"
    if "rows" not in settings and "ns" not in settings:
        return "a window is missing: a length of time such as '5m', or rows=100"
    return _fewest(settings)


def has_window(settings: Settings) -> bool:
    """Whether a call has a window, by rows or by time."""
    return "rows" in settings or "ns" in settings


def window_or_session(_: Sequence[Tree], settings: Settings) -> str:
    """What is wrong with the settings of a window that may be left out."""
    if "rows" in settings and "ns" in settings:
        return "a window is a length of time or rows=, not both; without one it is the session"
    return _fewest(settings)


def one_lag(_: Sequence[Tree], settings: Settings) -> str:
    """What is wrong with the settings of a lag; without any it is one row."""
    return "a lag is a length of time or rows=, not both" if "rows" in settings and "ns" in settings else ""


def fewest_of_rows(_: Sequence[Tree], settings: Settings) -> str:
    """What is wrong with the settings of a window of rows alone."""
    return _fewest(settings)


def _fewest(settings: Settings) -> str:
    rows, count = settings.get("rows"), settings.get("min_count")
    if isinstance(rows, int) and isinstance(count, int) and count > rows:
        return f"min_count is at most rows, and {count:,} is more than {rows:,}"
    return ""
