"""Names of features: letters, digits and _, and behind them the version where several stand side by side.

`vol` is one column and `vol@2` another, which is version 2 of the same feature.  In a formula `vol@2` without
a space is the name of that column.
"""

import keyword
import re
from typing import Final

_VERSIONED: Final = re.compile(r"(?P<name>[^@]*)@(?P<version>[1-9][0-9]{0,8})")


def split_name(column: str) -> tuple[str, int | None]:
    """The feature's own name and the version that the column says; None where it says none."""
    match = _VERSIONED.fullmatch(column)
    return (match["name"], int(match["version"])) if match else (column, None)


def wrong_name(column: str) -> str:
    """Why a feature cannot have this name; empty where it can."""
    name, _ = split_name(column)
    if not name.isidentifier() or keyword.iskeyword(name):
        return "a feature's name is letters, digits and _, and no word of Python"
    return ""
