"""The watermarks of a group on a screen or as JSON: a block per task, then a sentence for each stuck one."""

from collections import Counter
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from app.watch.watermarks import InputFigures, Picture, TaskFigures
from app.watch.words import WELL, Answer, age_words, answer, clock_words, size_words
from operators.sealed import ALIGNED
from schemas.clocks import BEGINNING_NS

# Late rows count from when the worker took the task, as dead ones do: `late summary` counts all there are.
COLUMNS = ("input", "watermark", "newest row", "rows wait", "bytes", "unread", "late since start")


def screen(picture: Picture, *, answers_first: bool = False) -> RenderableType:
    """What to print.  Answers stand where they are seen: last of what scrolls, first of what is cut below."""
    answers = [(task, answer(task, picture)) for task in picture.tasks]
    cells = [_cells(figures, picture) for task in picture.tasks for figures in task.inputs]
    widths = [max(map(len, column)) for column in zip(COLUMNS, *cells, strict=True)]
    table = [Text(_line(COLUMNS, widths), "dim")]
    rows = iter(cells)
    for task, said in answers:
        table.append(_task_line(task, said, picture))
        for figures in task.inputs:
            line = Text(_line(next(rows), widths))
            line.append(_flags(figures, task), "yellow")
            table.append(line)
    report = [Text(said.sentence, "bold red") for _, said in answers if said.verdict not in WELL]
    well = Counter(said.verdict for _, said in answers if said.verdict in WELL)
    for verdict, count in well.items():
        report.append(Text(f"{count} of {len(answers)} tasks: {_WELL[verdict]}", "green"))
    if picture.rules is not None:
        report.append(Text(picture.rules.words, "bold red" if picture.rules.mixed else "yellow"))
    first, last = (report, table) if answers_first else (table, report)
    return Group(_heading(picture), *first, Text(), *last)


def as_json(picture: Picture) -> dict[str, Any]:
    """The same as plain values; times are int64 ns UTC, null where there is none."""
    return {
        "group": picture.group,
        "state": picture.standing.state,
        "now_ns": picture.now_ns,
        "members": [
            {"client_id": member.client_id, "host": member.host, "partitions": len(member.partitions)}
            for member in picture.standing.members
        ],
        "outputs": dict(picture.outputs),
        "rule": None if picture.rule is None else str(picture.rule),
        "rules": None if picture.rules is None else picture.rules._asdict(),
        "tasks": [_task_json(task, picture) for task in picture.tasks],
    }


_WELL = {
    "final": "done, every input has read its final record",
    "running": "running, the frontier moves",
    "clear": "all read and emitted",
}


def _task_json(task: TaskFigures, picture: Picture) -> dict[str, Any]:
    said = answer(task, picture)
    return {
        "task": task.number,
        "verdict": said.verdict,
        "answer": said.sentence,
        "frontier_ns": _time_json(task.frontier_ns),
        "frontier_moved_ns": task.moved_ns or None,
        "held_by": {"stream": task.holder.stream, "partition": task.number},
        "workers": list(task.owners),
        "rule": task.rule or None,
        "dead_rows": _dead(task),
        "inputs": [_input_json(figures) for figures in task.inputs],
    }


def _input_json(figures: InputFigures) -> dict[str, Any]:
    report, progress = figures.report, figures.progress
    return {
        "stream": figures.stream,
        "topic": figures.source.topic,
        "partition": figures.source.partition,
        "watermark_ns": _time_json(figures.watermark_ns),
        "grace_ns": figures.grace_ns,
        "newest_ns": (report.newest_ns or None) if report else None,
        "read_ns": (report.read_ns or None) if report else None,
        "rows_waiting": figures.rows,
        "bytes_waiting": report.size if report else None,
        "lag": figures.lag,
        "hidden": figures.hidden,
        "tail_ns": figures.tail_ns or None,
        "paused": report.paused if report else None,
        "idle": figures.idle,
        "final": progress is not None and progress.final,
        "late_rows": report.late if report else None,
        "offsets": {
            "low": figures.log.low,
            "restart": progress.needed_offset if progress else None,
            "next": progress.next_offset if progress else None,
            "stable": figures.log.stable,
            "high": figures.log.high,
        },
    }


def _heading(picture: Picture) -> Text:
    count = len(picture.standing.members)
    members = f"{count} worker{'' if count == 1 else 's'}"
    at = clock_words(picture.now_ns, 0)
    nodes = [topic for name, topic in picture.outputs.items() if name != ALIGNED]
    graph = f", nodes to {', '.join(nodes)}" if nodes else ""
    return Text(f"group {picture.group}: {picture.standing.state}, {members}{graph}, at {at} UTC", "italic")


def _task_line(task: TaskFigures, said: Answer, picture: Picture) -> Text:
    held = age_words(task.moved_ns, picture.now_ns) if task.moved_ns else ""
    words = [
        f"task {task.number}",
        f"frontier {clock_words(task.frontier_ns, picture.now_ns)}",
        (
            "all inputs idle"
            if all(figures.idle for figures in task.inputs)
            else f"held by {task.holder.name}" + (f" for {held}" if held else "")
        ),
        ", ".join(task.owners) or "no worker",
    ]
    if dead := _dead(task):
        words.append(f"{dead:,} dead since start")
    return Text(" · ".join(words), "bold" if said.verdict in WELL else "bold red")


def _cells(figures: InputFigures, picture: Picture) -> tuple[str, ...]:
    report, now_ns = figures.report, picture.now_ns
    return (
        figures.name,
        clock_words(figures.watermark_ns, now_ns),
        clock_words(report.newest_ns, now_ns) if report and report.newest_ns else "",
        f"{report.rows:,}" if report else "",
        size_words(report.size) if report else "",
        f"{figures.lag:,}",
        f"{report.late:,}" if report else "",
    )


def _flags(figures: InputFigures, task: TaskFigures) -> str:
    report = figures.report
    flags = {
        "holds": figures is task.holder and not figures.idle,
        "paused": report is not None and report.paused,
        "idle": figures.idle,
        "final": figures.progress is not None and figures.progress.final,
        f"open transaction hides {figures.hidden:,}": figures.hidden > 0,
    }
    return ", ".join(flag for flag, shown in flags.items() if shown)


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    texts, numbers = 3, iter(widths)
    padded = [
        cell.ljust(next(numbers)) if place < texts else cell.rjust(next(numbers))
        for place, cell in enumerate(cells)
    ]
    return "  " + "  ".join(padded) + "  "


def _dead(task: TaskFigures) -> int:
    return max((figures.report.dead for figures in task.inputs if figures.report), default=0)


def _time_json(at_ns: int) -> int | None:
    return None if at_ns == BEGINNING_NS else at_ns
