"""A part: one file of a table, what its footer says of its rows, and what its name says.

Names end in the number of buckets among which the part's own is counted, and in the first digits of the
file's SHA-256: the same rows written again have the same name, and other rows never take the place of any.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from dataclasses import fields as fields_of
from typing import Final, NamedTuple

import pyarrow as pa

from replay.errors import HistoryError
from schemas.clocks import Clock

FOOTER_KEY: Final = b"tidemark.part"  # metadata of the Parquet file
AMONG: Final = r"-n(?P<buckets>\d{1,9})-[0-9a-f]{8}\.parquet$"  # the end of a name


class Covered(NamedTuple):
    """Offsets of a topic's partition, lower to before upper: their rows of a day and bucket are in a part."""

    topic: str
    partition: int
    lower: int
    upper: int


@dataclass(frozen=True, slots=True)
class ClockSpan:
    """One clock of a part: first and last time, rows without it, how far a row trails a newer one."""

    first_ns: int
    last_ns: int
    nulls: int
    disorder_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFooter:
    """What a part's rows are, as its footer says.

    `keys` has the rows of each message key, whole: that a key is not among them is certain.  `clocks` has an
    entry per time column with any value.  `content_hash` is that of `replay.store.content_hash`.  `covered`
    says which offsets it was captured from, none where it was imported.  `fingerprint` is that of its
    columns, `source` says where the rows came from.
    """

    rows: int
    keys: Mapping[bytes, int]
    clocks: Mapping[str, ClockSpan]
    order: Clock
    content_hash: int
    covered: tuple[Covered, ...]
    fingerprint: str
    source: str

    def to_json(self) -> str:
        """The text in the file's metadata."""
        fields = {field.name: getattr(self, field.name) for field in fields_of(self)} | {
            "keys": {key.decode(errors="surrogateescape"): rows for key, rows in self.keys.items()},
            "clocks": {name: asdict(span) for name, span in self.clocks.items()},
            "content_hash": f"{self.content_hash:016x}",
        }  # asdict of all would copy each key: 7 ms for 2,000 of them
        return json.dumps(fields)

    @classmethod
    def from_json(cls, text: str | bytes) -> "PartFooter":
        """Read the text; raises HistoryError where it is not one."""
        try:
            fields = json.loads(text)
            fields["keys"] = {
                key.encode(errors="surrogateescape"): rows for key, rows in fields["keys"].items()
            }
            fields["clocks"] = {name: ClockSpan(**span) for name, span in fields["clocks"].items()}
            fields["covered"] = tuple(Covered(*one) for one in fields["covered"])
            fields["content_hash"] = int(fields["content_hash"], 16)
            return cls(**fields)
        except (ValueError, KeyError, TypeError, AttributeError) as broken:
            raise HistoryError(f"is no part of a history: its footer cannot be read ({broken!r})") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part that was written: `path` is below its table's folder, `size` in bytes."""

    path: str
    date: str
    bucket: int
    size: int
    footer: PartFooter


def captured_name(stream: str, covered: Covered) -> str:
    """The name, but for its end, of a part captured from these offsets."""
    return f"{stream}-{covered.partition}-{covered.lower:016d}-{covered.upper:016d}"


def compacted_name(stream: str, generation: int) -> str:
    """The name, but for its end, of a part made of others."""
    return f"{stream}-c{generation}"


def rebucketed_name(stream: str, generation: int) -> str:
    """The name, but for its end, of a part whose rows were in other buckets."""
    return f"{stream}-r{generation}"


def logged_name(stream: str) -> str:
    """The name, but for its end, of a part with a row of the audit log."""
    return f"{stream}-l"


def imported_name(stream: str) -> str:
    """The name, but for its end, of a part made of files."""
    return f"{stream}-i"


def backfilled_name(stream: str, date: str, plan: str) -> str:
    """The name, but for its end, of a part with rows that a backfill's plan made as it ran a day."""
    return f"{stream}-b-{date.replace('-', '')}-{plan[:8]}"


def backfilled_day(path: str) -> str | None:
    """The day that was run for a part, as its name says; None for one that no backfill made."""
    made = re.search(rf"-b-(\d{{4}})(\d\d)(\d\d)-[0-9a-f]{{8}}{AMONG}", path)
    return None if made is None else "-".join(made.groups()[:3])


def digest_in(path: str) -> str:
    """The first digits of the SHA-256 of a part, as its name says them."""
    return path.rpartition("-")[2].partition(".")[0]


def fingerprint(schema: pa.Schema) -> str:
    """Sixteen digits that columns share exactly when their names and types are equal, in this order."""
    text = "\n".join(f"{field.name}: {field.type}" for field in schema)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def among(buckets: int) -> str:
    """What the end of a part's name says of how many buckets there were when it was written."""
    return f"-n{buckets}"


def folder_of(date: str, bucket: int) -> str:
    """Where parts of a day and bucket lie below their table's folder."""
    return f"date={date}/bucket={bucket:03d}"


def merged_ranges(covered: Sequence[Covered]) -> tuple[Covered, ...]:
    """Return the ranges in order, those that touch as one; raises HistoryError where two overlap."""
    merged: list[Covered] = []
    for one in sorted(covered):
        last = merged[-1] if merged else None
        if (
            last is None
            or (last.topic, last.partition) != (one.topic, one.partition)
            or last.upper < one.lower
        ):
            merged.append(one)
        elif last.upper > one.lower:
            raise HistoryError(
                f"rows of {one.topic}[{one.partition}] from offset {one.lower} to "
                f"{min(one.upper, last.upper)} are there twice"
            )
        else:
            merged[-1] = last._replace(upper=one.upper)
    return tuple(merged)
