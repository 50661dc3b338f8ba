"""A worker process, forked from one that has everything imported and compiled already.

`python -m app align` takes seconds to import; this is the same `main`, with the same flags and environment.
"""

import faulthandler
import os
import resource
import signal
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

from app.cli import MODULES, main
from app.wiring.pipeline import warm_up

for _module in MODULES:
    import_module(f"app.commands.{_module}")
warm_up()


def work(
    arguments: Sequence[str], environment: Mapping[str, str], log: Path, file_size_max: int | None
) -> None:
    """Be `python -m app <arguments>`; standard error goes to `log`, files grow to `file_size_max` bytes."""
    with log.open("ab") as sink:
        os.dup2(sink.fileno(), 2)
    faulthandler.enable(all_threads=True)
    if file_size_max is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that a write fails, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size_max, file_size_max))
    os.environ.update(environment)
    sys.argv = ["app", *arguments]
    main()
