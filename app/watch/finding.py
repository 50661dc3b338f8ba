"""What the doctor says of one thing that it looked at."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `advice` says what to do about a problem."""

    what: str
    level: Level
    found: str
    advice: str = ""
