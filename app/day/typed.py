"""What messages call the parts of a command: variables where `make` was typed, else flags."""

import re
from collections.abc import Sequence
from typing import Final

from app.errors import UsageError
from operators.formula.suggest import did_you_mean

VARIABLES: Final = (
    "DATE",
    "DATA",
    "EVENT",
    "KNOWN",
    "SYMBOL",
    "TIMEZONE",
    "NAIVE_AS",
    "UNIT",
    "STORE",
    "BUS",
    "BOOTSTRAP",
    "SPEED",
    "OUT",
    "PARTITIONS",
    "WORKERS",
    "SHAPE",
    "CLOCK",
    "CARRY",
    "CONFIG",
    "TOLERANCE",
    "TOLERANCE_NS",
    "GRACE",
    "GRACE_NS",
    "FEATURE",
)
# What else make or the scripts that it runs take beside `make replay`.
SET_UP: Final = (
    "ARGS",
    "PYTHON",
    "VENV",
    "PORT",
    "KAFKA_DIR",
    "KAFKA_PYTHON",
    "JAVA_HOME",
    "XDG_CACHE_HOME",
    "TORCH",
    "QUIX",
)
_FLAGS: Final = {f"--{name.lower().replace('_', '-')}": name for name in VARIABLES}
_VALUE: Final = r"(?:'[^']*'|(?:ns|us|ms|s|auto)\b|\d\w*\b|[A-Z]\w*/[\w/+-]+|UTC\b)"
_FLAG: Final = re.compile(rf"(?<![\w-])({'|'.join(_FLAGS)})(?![\w-])(?:[ =](?={_VALUE}))?")
_VARIABLE: Final = re.compile(rf"(?<![\w/.])({'|'.join(VARIABLES)})=(?=(\S?))")


def require_variables(names: Sequence[str]) -> None:
    """Raise UsageError for a variable that `make replay` does not have; make itself would pass over it."""
    for name in names:
        if name not in VARIABLES and name not in SET_UP:
            raise UsageError(
                f"make replay has no variable {name}{did_you_mean(name, VARIABLES)}; it has "
                f"{', '.join(VARIABLES)}; one for the environment goes before the word make"
            )


def as_typed(text: str, *, by_make: bool) -> str:
    """Return a message with `--unit us` as `UNIT=us` where `make` was typed, and the reverse where not."""
    if by_make:
        return "".join(_in_make(part) for part in re.split(r"(python -m [^;)]*)", text))
    return _VARIABLE.sub(lambda name: _flag(name[1]) + (" " if re.match(r"[\w'./~]", name[2]) else ""), text)


def _in_make(part: str) -> str:
    """Commands of Python keep their flags: they are typed as they stand."""
    if part.startswith("python -m "):
        return part
    return _FLAG.sub(lambda flag: f"{_FLAGS[flag[1]]}=", part)


def _flag(variable: str) -> str:
    return f"--{variable.lower().replace('_', '-')}"
