"""The table `[worker]`: how much the loop takes at once, how often it commits, what it may hold."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from app.process import failpoints
from app.settings.section import Policy, Section
from schemas.frame import Compression


class WorkerSettings(Section):
    """The loop: how much it takes at once, how often it commits, what it may hold."""

    slot: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,40}$")] = "0"  # stable over restarts: names the
    # transactional id and the group member; two running workers never share one
    format: Literal["frame", "avro"] = "frame"  # Arrow frames, or one Avro record per row
    compression: Compression = "none"  # of a frame's buffers: fewer bytes to keep and send, but readers copy
    # Rows and offsets in one transaction, or each row at once and possibly again after a crash.
    guarantee: Literal["exactly_once", "at_least_once"] = "exactly_once"
    commit_interval_ms: Annotated[int, Field(ge=1)] = 100  # exactly-once rows become visible this often
    commit_rows_max: Annotated[int, Field(ge=1)] = 1_000_000  # ... or after this many rows
    poll_messages_max: Annotated[int, Field(ge=1)] = 20_000  # one turn's share; bounds a turn's memory ...
    poll_rows_max: Annotated[int, Field(ge=1)] = (
        200_000  # ... and about so many rows, where messages are blocks
    )
    poll_wait_ms_max: Annotated[int, Field(ge=1)] = 50  # an idle worker wakes this often
    frame_rows_max: Annotated[int, Field(ge=1)] = 16_384  # fewer where its topic takes less
    buffer_size_max: Annotated[int, Field(ge=1)] = 64 << 20  # per stream and task; beyond it the stream waits
    buffer_rows_max: Annotated[int, Field(ge=1)] = 50_000_000  # ... or beyond this many rows
    message_size_max: Annotated[int, Field(ge=1)] = 8 << 20  # a larger message is dead, not decoded
    state: Path = Path("build/state")  # folder of the local state; a cache, safe to delete
    checkpoint_interval_ms: Annotated[int, Field(ge=1)] = (
        1_000  # local state trails the commit by this, or by more: writing takes 5 % of the time at most
    )
    last_known_interval_ms: Annotated[int, Field(ge=1)] = 30_000  # without a tolerance: a rebuild reads the
    # input of about this long again, and the last rows before it from their own topic
    state_interval_ms: Annotated[int, Field(ge=1)] = 30_000  # where nodes of a graph look back: without local
    # state a restart takes the rows of about this long again, and what nodes remembered before from a topic
    keep_gone_ms: Annotated[int, Field(ge=0)] = (
        604_800_000  # of event time, behind a gone node's last row: what
    )
    # it remembered is kept so long, for it may come back (7 days)
    late: Policy = "side"  # what becomes of a row below the frontier
    dead: Policy = "side"  # ... and of a message that cannot be read, or a row too far ahead
    session_timeout_ms: Annotated[int, Field(ge=1_000)] = 10_000  # a silent worker loses its partitions after
    static_member: bool = True  # keeps its partitions over a restart; false: gives them up when it stops
    # For tests: a failpoint of `app.process.failpoints`, `name` or `name:times`, at which the worker kills
    # itself.
    failpoint: Annotated[str, Field(pattern=r"^([a-z-]+(:[1-9][0-9]*)?)?$")] = ""

    @field_validator("failpoint")
    @classmethod
    def _failpoint_exists(cls, value: str) -> str:
        if value and value.partition(":")[0] not in failpoints.ALL:
            raise ValueError(f"worker.failpoint = {value!r}: the failpoints are {', '.join(failpoints.ALL)}")
        return value
