"""How a publication is doing, on a terminal: rows, rows/s, market time, what is left.  Nothing elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from replay.publish.cursor import NEVER_NS
from replay.publish.publication import Publication
from schemas.clocks import NS_PER_S


class _RowsPerSecond(ProgressColumn):
    """Rows a second, over the last seconds."""

    def render(self, task: Task) -> Text:
        """Return the cell."""
        return Text(f"{task.speed or 0:,.0f} rows/s", style="green")


@contextmanager
def progress_bar(publication: Publication, console: Console) -> Iterator[Callable[[Publication], None]]:
    """Give what `Publication.run` shows its steps to; draws a bar where `console` is a terminal."""
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
        _RowsPerSecond(),
        TextColumn("market {task.fields[market]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("publish", total=publication.rows, completed=publication.rows_done, market="-")

        def show(now: Publication) -> None:
            bar.update(task, completed=now.rows_done, market=_market_time(now.market_ns))

        yield show


def _market_time(market_ns: int) -> str:
    if market_ns == NEVER_NS:
        return "end"
    return f"{datetime.fromtimestamp(market_ns // NS_PER_S, UTC):%H:%M:%S}"
