"""Bounds: what the progress records of all source partitions say together, which alone holds in the copy."""

import json
from dataclasses import dataclass

from app.errors import RunError
from schemas.json_text import read_json
from topics.wire import Progress


@dataclass(slots=True)
class Bound:
    """Of one source partition: no row below `upper_ns` follows (None: not known), and its period is over."""

    upper_ns: int | None = None
    final: bool = False

    def to_metadata(self) -> str:
        """The bound as text, for the commit."""
        return json.dumps({"upper_ns": self.upper_ns, "final": self.final})

    @classmethod
    def from_metadata(cls, text: str, where: str) -> "Bound":
        """Read what `to_metadata` wrote; raises RunError naming `where` it is something else."""
        try:
            fields = read_json(text)
            return cls(upper_ns=fields["upper_ns"], final=fields["final"])
        except (ValueError, KeyError, TypeError):
            raise RunError(
                f"{where}: the committed position holds {text!r}, which no copy wrote: choose another target"
            ) from None


class Bounds:
    """The bounds of all source partitions, by number.

    A progress record speaks for its own partition; every target partition holds rows of all of them.  So
    the smallest bound goes to every target partition, as it rises, and a final record once all are final.
    """

    def __init__(self, bounds: dict[int, Bound]) -> None:
        assert bounds
        self.by_source = bounds

    def see_row(self, source: int) -> None:
        """A row follows: a final record before it ended no period."""
        self.by_source[source].final = False

    def see_progress(self, source: int, record: Progress) -> Progress | None:
        """Take a source partition's record; return the one to write to every target partition, if any."""
        lower_ns, over = self._together()
        bound = self.by_source[source]
        bound.upper_ns = record.upper_ns if bound.upper_ns is None else max(bound.upper_ns, record.upper_ns)
        bound.final = bound.final or record.final  # only a row behind it takes that back
        upper_ns, final = self._together()
        if upper_ns is None or ((lower_ns is not None and upper_ns <= lower_ns) and final <= over):
            return None
        return Progress(stream=record.stream, upper_ns=upper_ns, final=final, run=record.run)

    def _together(self) -> tuple[int | None, bool]:
        uppers = [bound.upper_ns for bound in self.by_source.values() if bound.upper_ns is not None]
        all_final = all(bound.final for bound in self.by_source.values())
        return (min(uppers) if len(uppers) == len(self.by_source) else None), all_final
