"""DuckDB engines that may read some files and nothing else, kept for the next query of the same files.

To make one takes 14 ms of CPU and to answer a narrow query 4.  What an engine may read is fixed when it is
made, so one goes from query to query only where both need the same files.
"""

import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import duckdb

MEMORY_LIMIT: Final = "2GB"  # of each query
THREADS: Final = 2
IDLE_MAX: Final = 4  # engines kept, of about 4 MB each
_LIMITS: Final[dict[str, Any]] = {"threads": THREADS, "memory_limit": MEMORY_LIMIT}

Engine: TypeAlias = duckdb.DuckDBPyConnection


class Engines:
    """Engines that no query uses now, by the files that they may read; any number of threads may ask."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._idle: OrderedDict[tuple[str, ...], Engine] = OrderedDict()
        self._parser: Engine | None = None

    @property
    def idle(self) -> int:
        """How many engines wait for a query."""
        return len(self._idle)

    @contextmanager
    def open(self, files: Sequence[str]) -> Iterator[Engine]:
        """A connection that may read these files, with nothing of another query; one query uses it.

        Its engine is kept where the query went well: what went wrong may have left something behind.
        """
        allowed = tuple(files)
        with self._changing:
            engine = self._idle.pop(allowed, None)
        engine = engine or _locked(allowed)
        try:
            with engine.cursor() as connection:
                yield connection
        except BaseException:
            engine.close()
            raise
        with self._changing:
            unwanted = [self._idle.pop(allowed)] if allowed in self._idle else []
            self._idle[allowed] = engine
            while len(self._idle) > IDLE_MAX:
                unwanted.append(self._idle.popitem(last=False)[1])
        for each in unwanted:
            each.close()

    def kinds_of(self, query: str) -> list[str]:
        """The kind of each statement of a query, such as SELECT; raises duckdb.Error where it is no SQL."""
        with self._changing:
            self._parser = self._parser or _locked(())
            parser = self._parser.cursor()
        with parser:
            return [statement.type.name for statement in parser.extract_statements(query)]


def _locked(files: Sequence[str]) -> Engine:
    # Where it writes what memory does not hold: by default in the working folder, which may be anybody's.
    spill = Path(tempfile.gettempdir()) / f"tidemark-sql-{os.getuid()}"
    engine = duckdb.connect(":memory:", config={**_LIMITS, "temp_directory": str(spill)})
    engine.execute("set enable_external_file_cache = false")  # an idle engine keeps no bytes of files
    engine.execute("set allowed_paths = $paths", {"paths": list(files)})
    engine.execute("set enable_external_access = false")
    engine.execute("set lock_configuration = true")
    return engine


_of_process = [Engines()]
# Those of the process that forked this one: their threads are not here, so they are never closed.
_inherited: list[Engines] = []


def engines() -> Engines:
    """The engines of this process."""
    return _of_process[0]


def _begin_anew() -> None:
    _inherited.append(_of_process[0])
    _of_process[0] = Engines()


os.register_at_fork(after_in_child=_begin_anew)
