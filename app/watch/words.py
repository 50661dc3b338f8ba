"""Why a task does not go on, in one plain sentence: the answer to "why is nothing coming out"."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from app.watch.watermarks import InputFigures, Picture, TaskFigures
from app.words import duration
from schemas.clocks import BEGINNING_NS, NS_PER_DAY, NS_PER_MS

Verdict = Literal[
    "empty",
    "final",
    "rebalancing",
    "unowned",
    "running",
    "transaction",
    "lag",
    "paused",
    "silent",
    "idle",
    "quiet",
    "clear",
]
# A task in one of these does what it can; in any other it waits for something a person may have to mend.
WELL: Final[frozenset[Verdict]] = frozenset({"final", "running", "clear"})

MOVING_NS: Final = 1_500 * NS_PER_MS  # a frontier that rose this lately is not stuck: commits take their time
SIZE_UNITS: Final = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a task is doing, and the sentence that says so."""

    verdict: Verdict
    sentence: str


def answer(task: TaskFigures, picture: Picture) -> Answer:
    """Judge one task; the first thing that alone would stop it is the answer."""
    holder, now_ns = task.holder, picture.now_ns
    name = f"task {task.number}"
    inputs = task.inputs
    names = " and ".join(figures.name for figures in inputs)
    if all(figures.log.high == figures.log.low and figures.progress is None for figures in inputs):
        return Answer("empty", f"{name} has no data at all: {names} are empty")
    if all(figures.final for figures in inputs) and not task.left.rows:
        return Answer("final", f"{name} is done: {names} have read their final records")
    if picture.standing.state == "rebalancing":
        count = len(picture.standing.members)
        return Answer("rebalancing", f"{name} waits for a rebalance of the group's {count} members to end")
    if not task.owners:
        return Answer(
            "unowned",
            f"{name} is owned by no worker: {_unread(task)}; start one with `python -m app align`",
        )
    if 0 <= now_ns - task.moved_ns <= MOVING_NS:
        return Answer("running", f"{name} runs: {_unread(task)}, {_waiting(task)}")
    if holder.lag:
        return Answer("lag", f"{name}: {_behind(task, holder, now_ns)}")
    if holder.hidden:
        hides = f"it hides {_count(holder.hidden, 'offset')} from {holder.log.stable:,} on"
        until = "until its producer ends it or its timeout does"
        said = f"{name} waits for an open transaction on {holder.name}: {hides}, {until}; {_waiting(task)}"
        return Answer("transaction", said)
    full = [figures for figures in inputs if figures.report and figures.report.paused]
    if full:
        at_limit = " and ".join(f"{f.name} is paused at its limit of memory ({_held(f)})" for f in full)
        return Answer("paused", f"{name}: {at_limit} until {holder.name} goes on: {_quiet(holder, now_ns)}")
    if task.left.rows == 0 and not any(figures.lag or figures.hidden for figures in inputs):
        return Answer("clear", f"{name} has emitted all there is: every row was read and none waits")
    if all(figures.idle for figures in inputs):
        stands = f"all its inputs are idle ({names}), so its frontier stands still"
        until = "a row or a progress record (`python -m app progress`) moves it"
        return Answer(
            "idle", f"{name}: {stands} at {clock_words(task.frontier_ns, now_ns)}; {_waiting(task)}; {until}"
        )
    if holder.watermark_ns == BEGINNING_NS:
        never = f"{holder.name}: it has brought neither a row nor a progress record yet"
        return Answer("silent", f"{name} waits for {never}; {_waiting(task)}")
    return Answer("quiet", f"{name} waits for {holder.name}: {_quiet(holder, now_ns)}; {_waiting(task)}")


def clock_words(at_ns: int, now_ns: int) -> str:
    """A moment in UTC to the nanosecond; the date only where it is another day's."""
    if at_ns == BEGINNING_NS:
        return "none yet"
    told = str(np.datetime64(at_ns, "ns"))
    today = str(np.datetime64(now_ns, "ns"))[:10]
    return told.removeprefix(f"{today}T").replace("T", " ")


def age_words(at_ns: int, now_ns: int) -> str:
    """How long ago, where that says anything: history that is replayed is years old."""
    age_ns = now_ns - at_ns
    return duration(age_ns) if 0 <= age_ns < NS_PER_DAY else ""


def size_words(size: int) -> str:
    """Bytes in the unit a person would choose."""
    for unit, bytes_ in SIZE_UNITS:
        if size >= bytes_:
            return f"{size / bytes_:,.4g} {unit}"
    return f"{size:,} bytes"


def _quiet(figures: InputFigures, now_ns: int) -> str:
    """How far an input is, and since when it has been quiet."""
    report = figures.report
    words = []
    if report and report.newest_ns:
        words.append(f"newest row {clock_words(report.newest_ns, now_ns)}")
    words.append(
        f"watermark {clock_words(figures.watermark_ns, now_ns)} (grace {duration(figures.grace_ns)})"
    )
    said = ", ".join(words)
    since_ns = max(report.read_ns if report else 0, figures.unchanged_ns)
    return f"{said}; nothing has arrived for {_elapsed(since_ns, now_ns)}" if since_ns else said


def _behind(task: TaskFigures, holder: InputFigures, now_ns: int) -> str:
    worker = ", ".join(task.owners)
    said = f"{worker} is behind on {holder.name}: {_count(holder.lag, 'message')} unread"
    if holder.tail_ns:
        said += f" up to {clock_words(holder.tail_ns, now_ns)}"
    if holder.progress is None:
        return f"{said}, nothing committed yet"
    if holder.report and holder.report.released_ns:
        read = _elapsed(holder.report.released_ns, now_ns)
        return f"{said}, last seen to read {read} ago; {_waiting(task)}"
    return f"{said}; {_waiting(task)}"


def _elapsed(since_ns: int, now_ns: int) -> str:
    """How long since; a worker may report while the look is under way, or its clock be ahead of ours."""
    return duration(max(0, now_ns - since_ns))


def _waiting(task: TaskFigures) -> str:
    left = task.left
    if left.rows is None:
        return f"how many {left.stream} rows wait is not known"
    return f"{_count(left.rows, f'{left.stream} row')} {'waits' if left.rows == 1 else 'wait'}"


def _unread(task: TaskFigures) -> str:
    lags = [f"{figures.lag:,} on {figures.name}" for figures in task.inputs if figures.lag]
    return f"messages unread: {', '.join(lags)}" if lags else "nothing unread"


def _held(figures: InputFigures) -> str:
    assert figures.report is not None
    return f"{_count(figures.report.rows, 'row')}, {size_words(figures.report.size)}"


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
