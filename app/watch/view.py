"""The watermarks of a group on a screen or as JSON: a block per task, then a sentence for each stuck one."""

from collections import Counter
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from app.watch.watermarks import InputFigures, Picture, TaskFigures
from app.watch.words import WELL, Answer, age_words, answer, clock_words, size_words
from schemas.clocks import BEGINNING_NS

COLUMNS = ("input", "watermark", "newest row", "rows wait", "bytes", "unread", "late")


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
    told = [Text(said.sentence, "bold red") for _, said in answers if said.verdict not in WELL]
    well = Counter(said.verdict for _, said in answers if said.verdict in WELL)
    for verdict, count in well.items():
        told.append(Text(f"{count} of {len(answers)} tasks: {_WELL[verdict]}", "green"))
    first, last = (told, table) if answers_first else (table, told)
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
        "dead_rows": _dead(task),
        "inputs": [_input_json(figures) for figures in task.inputs],
    }


def _input_json(figures: InputFigures) -> dict[str, Any]:
    told, progress = figures.told, figures.progress
    return {
        "stream": figures.stream,
        "topic": figures.source.topic,
        "partition": figures.source.partition,
        "watermark_ns": _time_json(figures.watermark_ns),
        "grace_ns": figures.grace_ns,
        "newest_ns": (told.newest_ns or None) if told else None,
        "read_ns": (told.read_ns or None) if told else None,
        "rows_waiting": figures.rows,
        "bytes_waiting": told.size if told else None,
        "lag": figures.lag,
        "hidden": figures.hidden,
        "tail_ns": figures.tail_ns or None,
        "paused": told.paused if told else None,
        "idle": figures.idle,
        "final": progress is not None and progress.final,
        "late_rows": told.late if told else None,
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
    return Text(f"group {picture.group}: {picture.standing.state}, {members}, at {at} UTC", "italic")


def _task_line(task: TaskFigures, said: Answer, picture: Picture) -> Text:
    held = age_words(task.moved_ns, picture.now_ns) if task.moved_ns else ""
    words = [
        f"task {task.number}",
        f"frontier {clock_words(task.frontier_ns, picture.now_ns)}",
        f"held by {task.holder.name}" + (f" for {held}" if held else ""),
        ", ".join(task.owners) or "no worker",
    ]
    if dead := _dead(task):
        words.append(f"{dead:,} dead")
    return Text(" · ".join(words), "bold" if said.verdict in WELL else "bold red")


def _cells(figures: InputFigures, picture: Picture) -> tuple[str, ...]:
    told, now_ns = figures.told, picture.now_ns
    return (
        figures.name,
        clock_words(figures.watermark_ns, now_ns),
        clock_words(told.newest_ns, now_ns) if told and told.newest_ns else "",
        f"{told.rows:,}" if told else "",
        size_words(told.size) if told else "",
        f"{figures.lag:,}",
        f"{told.late:,}" if told else "",
    )


def _flags(figures: InputFigures, task: TaskFigures) -> str:
    told = figures.told
    flags = {
        "holds": figures is task.holder,
        "paused": told is not None and told.paused,
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
    return max((figures.told.dead for figures in task.inputs if figures.told), default=0)


def _time_json(at_ns: int) -> int | None:
    return None if at_ns == BEGINNING_NS else at_ns
