"""Becoming the command of the program that knows settings, which stands above this package."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn


def become(command: str, arguments: Sequence[str]) -> NoReturn:
    """Become that command, with the options behind its name in `arguments`: it is started as a user would."""
    options = arguments[arguments.index(command) + 1 :]
    os.execv(sys.executable, [sys.executable, "-m", "app", command, *options])  # noqa: S606
