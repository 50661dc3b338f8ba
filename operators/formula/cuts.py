"""Which features hang on windows that `max_rows` may cut short, and the steps that say where it did."""

from collections.abc import Sequence

from operators.formula.history import STATEFUL, Window
from operators.formula.steps import Step, Steps


def add_cuts(steps: Steps, roots: Sequence[int]) -> tuple[int | None, ...]:
    """Add steps that are true where a window of a feature was cut; returns that of each feature, if any.

    Windows are those that go into the feature's value in the same row.
    """
    windows: list[frozenset[Window]] = []
    for step in steps.steps:
        own = frozenset() if (window := _window_of(steps.steps, step)) is None else frozenset([window])
        windows.append(own.union(*(windows[place] for place in step.operands)))
    any_row = {window: _value_of(steps.steps, window) for window in frozenset().union(*windows)}
    return tuple(_cut(steps, sorted(windows[root]), any_row) for root in roots)


def _cut(steps: Steps, windows: Sequence[Window], values: dict[Window, int]) -> int | None:
    """The step that is true where one of these windows was cut."""
    place: int | None = None
    for window in windows:
        one = steps.window("window_cut", [values[window]], window)
        place = one if place is None else steps.call("or", [place, one])
    return place


def _value_of(steps: Sequence[Step], window: Window) -> int:
    """A value that has this window: which one makes no difference, but the step needs one."""
    return next(step.operands[0] for step in steps if _window_of(steps, step) == window)


def _window_of(steps: Sequence[Step], step: Step) -> Window | None:
    """The time window of a step, of a lag by time the time that it goes back; None where it has none."""
    what = STATEFUL.get(step.function)
    if what is None or what.history != "window" or not what.kept:
        return None
    constants = [steps[place].bits for place in step.operands[what.values :]]
    if step.function == "lag_rows":
        return None
    window = Window(0, *constants[:3]) if step.function == "lag_time" else Window(*constants[:4])
    if step.function == "twap":  # which has the row before its window, too
        window = window._replace(rows_max=window.rows_max - 1)
    return window if window.ns else None
