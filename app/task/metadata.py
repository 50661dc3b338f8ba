"""What rides in a committed offset's metadata: enough to go on exactly where sealing stood."""

import json
from dataclasses import dataclass, field, replace
from dataclasses import fields as fields_of
from typing import Any, Final, NamedTuple

from app.errors import RunError
from app.task.places import decode_places, encode_places
from operators.hashing.parity import Parity
from operators.inputs.marks import Mark
from operators.inputs.progress import InputProgress, RowPlace
from schemas.clocks import NS_PER_MS
from schemas.json_text import read_json
from topics.bus import Position

VERSION: Final = 3
METADATA_SIZE_MAX: Final = 4_000  # bytes; a broker takes 4,095 unless told otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class InputReport:
    """What a worker reports of an input for people to read; nothing is decided by it.

    `rows` and `size` (bytes) wait for the frontier; `paused` says that the buffer is at its limit.
    `newest_ns` is the newest row time read, `read_ns` the worker's clock when a row came last, `moved_ns`
    when the frontier rose last, `released_ns` when anything was read last: 0 where it has not seen that.
    `late` rows of this input and `dead` rows of the task count from when the worker took the task.
    """

    rows: int = 0
    size: int = 0
    paused: bool = False
    newest_ns: int = 0
    read_ns: int = 0
    moved_ns: int = 0
    released_ns: int = 0
    late: int = 0
    dead: int = 0


class LogIds(NamedTuple):
    """What an offset counts in: the ids of the cluster and of the topic.

    `last_known` is the id of the topic of the last rows that inputs need not give back, empty without one.
    """

    cluster: str
    topic: str
    last_known: str = ""


@dataclass(frozen=True, slots=True)
class Committed:
    """The content of a committed offset: of its input, and of the task as a whole.

    `parity` is that of the joined rows sealed so far, and `through` the place of the last of them, which the
    task's left input has; `report` is for people, None where there was no room for it.  `complete` says that
    every input had read its final record and no row waited: the period is done.  `log` is what the offset
    counts in, None where an earlier version committed it.  `rule` is the text of the rule that the rows below
    the frontier were sealed by, empty where an earlier version committed it.  `member` names the worker that
    made the commit (`app.wiring.slot`): where Kafka still shows an ended one, it alone says who has the slot.
    `program` is the version of the program that made it, for people.
    """

    progress: InputProgress
    frontier_ns: int
    parity: Parity = field(default_factory=Parity)
    through: RowPlace | None = None
    report: InputReport | None = None
    complete: bool = False
    log: LogIds | None = None
    rule: str = ""
    member: str = ""
    program: str = ""


def to_position(committed: Committed) -> Position:
    """The restart offset of one input, with what came after it in the metadata (about 900 bytes of 4 KB).

    Where the late rows are too many, the report goes first; then the oldest are left out and `late_from` says
    up to where: a restart that reads from before it finds them in the late topic.
    """
    metadata = _metadata(committed)
    while committed.progress.late and len(metadata) > METADATA_SIZE_MAX:
        if committed.report is not None:
            committed = replace(committed, report=None)
        else:
            committed = replace(committed, progress=_without_oldest(committed.progress))
        metadata = _metadata(committed)
    return Position(committed.progress.needed_offset, metadata)


def from_position(position: Position, where: str) -> Committed:
    """Read a position back; raises RunError where something else committed this offset.

    Keys this version does not know are passed over: a later version adds them for people to read, and raises
    the version where an older one would go on wrongly.
    """
    try:
        fields = read_json(position.metadata)
        version = int(fields["v"])
        if version != VERSION:
            raise RunError(_foreign_version(position, where, version))
        through = fields["sealed_through"]
        if through is not None:
            time_ns, sequence, offset, index = map(int, through)
            through = (time_ns, sequence, offset, index)
        return Committed(
            frontier_ns=int(fields["frontier_ns"]),
            parity=Parity.parse(fields["parity"]),
            complete=bool(fields["complete"]),
            report=_report(fields.get("told")),
            through=through,
            log=_ids(fields.get("log")),
            rule=str(fields.get("rule", "")),
            member=str(fields.get("by", "")),
            program=str(fields.get("program", "")),
            progress=InputProgress(
                needed_offset=position.offset,
                next_offset=int(fields["next_offset"]),
                watermark_ns=int(fields["watermark_ns"]),
                final=bool(fields["final"]),
                idle=bool(fields["idle"]),
                late=decode_places(fields["late"]),
                late_from=int(fields["late_from"]),
                marks=_marks(fields.get("marks")),
            ),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as foreign:
        raise RunError(
            f"{where}: the committed offset {position.offset} was not written by this program ({foreign!r}); "
            "another consumer shares the group: choose another pipeline.prefix or delete the group"
        ) from None


def _foreign_version(position: Position, where: str, version: int) -> str:
    words = (
        f"{where}: the offset {position.offset} was committed by version {version}, this one reads {VERSION}"
    )
    if version > VERSION:
        return f"{words}: a newer worker wrote it; update this one, or choose another pipeline.prefix"
    return (
        f"{words}: an older worker wrote it; let that version finish, then choose another pipeline.prefix, "
        "or join all of it once more: `python -m app reset`"
    )


def _ids(ids: object) -> LogIds | None:
    """What no worker wrote is as good as absent: nothing is compared with it."""
    match ids:
        case [str(cluster), str(topic), str(last_known)]:
            return LogIds(cluster, topic, last_known)
    return None


def _marks(marks: Any) -> tuple[Mark, ...]:
    return tuple((int(newest_ms) * NS_PER_MS, int(offset)) for newest_ms, offset in marks or ())


def _report(fields: dict[str, Any] | None) -> InputReport | None:
    """Where a figure is none, no worker wrote it, and there is no report: nothing is decided by it."""
    if fields is None:
        return None
    fields = {**fields, "released_ns": fields.get("told_ns", 0)}
    own = {one.name: fields[one.name] for one in fields_of(InputReport) if one.name in fields}
    return InputReport(**own) if all(isinstance(figure, int) for figure in own.values()) else None


def _without_oldest(progress: InputProgress) -> InputProgress:
    last_left_out = progress.late[len(progress.late) // 2][0]
    kept = tuple(row for row in progress.late if row[0] > last_left_out)
    return replace(progress, late=kept, late_from=max(progress.late_from, last_left_out + 1))


def _metadata(committed: Committed) -> str:
    fields: dict[str, Any] = {
        "v": VERSION,
        "frontier_ns": committed.frontier_ns,
        "parity": str(committed.parity),
        "complete": committed.complete,
        **_fields(committed.progress),
        "late": encode_places(committed.progress.late),
        "sealed_through": committed.through,
    }
    del fields["needed_offset"]
    if marks := fields.pop("marks"):  # rounded up, a mark says less but nothing wrong
        fields["marks"] = [(-(-newest_ns // NS_PER_MS), offset) for newest_ns, offset in marks]
    if committed.rule:
        fields["rule"] = committed.rule
    if committed.member:
        fields["by"] = committed.member
    if committed.program:
        fields["program"] = committed.program
    if committed.log is not None:
        fields["log"] = list(committed.log)
    if committed.report is not None:
        fields["told"] = _fields(committed.report)  # the names on the wire are older than those here
        fields["told"]["told_ns"] = fields["told"].pop("released_ns")
    return json.dumps(fields, separators=(",", ":"))


def _fields(flat: InputProgress | InputReport) -> dict[str, Any]:
    """The fields of a flat dataclass; `asdict` would copy what is in them, and take longer than all else."""
    return {one.name: getattr(flat, one.name) for one in fields_of(flat)}
