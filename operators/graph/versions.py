"""The version at the end of a formula."""

import re
from typing import Final

VERSION: Final = re.compile(r"(?s)(?P<formula>.*)\s@\s*(?P<version>[1-9][0-9]{0,8})\s*")


def formula_version(text: str) -> tuple[str, int]:
    """Take the version off the end of a formula: `x + y @2`; 1 where there is none."""
    match = VERSION.fullmatch(text)
    return (match["formula"], int(match["version"])) if match else (text, 1)
