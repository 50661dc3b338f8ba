"""A slot of the group: who is in it now, and whether a worker that starts may take it.

A member id names slot and process, `tidemark-0@host:4711:1700000000123:894512`.  It is the client id, which
Kafka shows to anybody, from when a worker joins until it leaves or its session ends.  But a static member
that comes again is shown under the client id that it had first, so each commit names its worker, too; and a
file beside the local state does, since a worker without tasks commits nothing.
"""

import os
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from app.config import Settings
from app.errors import RunError, UsageError
from app.process.clock import now_ns, pause
from app.task.metadata import from_position
from schemas.clocks import NS_PER_MS, NS_PER_S
from topics.bus import Admin, Member

_ID: Final = re.compile(
    r"(?P<name>.+)@(?P<host>[^@:]+):(?P<pid>[0-9]{1,10}):(?P<started_ms>[0-9]{1,15}):(?P<ticks>[0-9]{1,19})"
)
_MARGIN_S: Final = 3.0  # the broker looks for sessions that ended now and then
_LOOK_AGAIN_S: Final = 0.25
_LOOKS_FENCED: Final = 20  # who fenced us joins and commits soon after
# Under the consumer protocol the broker sets the session timeout: its default.
_BROKER_SESSION_S: Final = 45.0


@dataclass(frozen=True, slots=True)
class Occupant:
    """The process that a member of the group runs in; `pid` is 0 where the member does not say.

    `host` is the name that it gives itself, or the address that the broker sees.  `ticks` is when it began,
    counted since the machine's start, which no change of the clock moves; 0 where the system does not say.
    """

    host: str
    pid: int
    started_ns: int
    ticks: int = 0

    @property
    def where(self) -> str:
        """`HOST (pid 4711)`."""
        return f"{self.host} (pid {self.pid})" if self.pid else self.host

    @property
    def since(self) -> str:
        """When it started, UTC."""
        return f"{np.datetime64(self.started_ns // NS_PER_S, 's')}Z"

    @property
    def is_gone(self) -> bool | None:
        """Whether the process has ended; None where that cannot be known from here."""
        if not self.pid or self.host != _host():
            return None
        if self.pid == os.getpid():  # as in a container that was started again
            return True
        return not _runs(self.pid, self.ticks)


def member_id(settings: Settings) -> str:
    """What names this process as a member of the group."""
    return f"{_name(settings)}@{_host()}:{os.getpid()}:{_started_ms()}:{process_ticks(os.getpid())}"


def slot_of(client_id: str) -> str:
    """The group and slot that a client id names: `tidemark-0`."""
    match = _ID.fullmatch(client_id)
    return match["name"] if match else client_id


def member_in(admin: Admin, settings: Settings) -> Member | None:
    """The member of the group that has the slot of these settings, whether its process runs or not."""
    members = admin.group(settings.pipeline.prefix).members
    return next((one for one in members if slot_of(one.client_id) == _name(settings)), None)


def occupant_of(admin: Admin, settings: Settings) -> Occupant | None:
    """Who is in the slot of these settings, besides this process; None where it is free."""
    standing = admin.group(settings.pipeline.prefix)
    members = [one for one in standing.members if slot_of(one.client_id) == _name(settings)]
    if not members:
        return None
    ids = [member.client_id for member in members]
    with suppress(RunError):  # another program commits to the group: refused elsewhere
        ids += [
            from_position(position, f"{source.topic}[{source.partition}]").member
            for source, position in standing.committed.items()
        ]
    with suppress(OSError):  # nobody with this state folder has had the slot
        ids.append(_note(settings).read_text())
    known = [match for one in ids if (match := _ID.fullmatch(one)) and match["name"] == _name(settings)]
    if not known:
        return Occupant(members[0].host, 0, 0)
    newest = max(known, key=lambda match: int(match["started_ms"]))
    if (newest["host"], int(newest["pid"])) == (_host(), os.getpid()):
        return None
    started_ns = int(newest["started_ms"]) * NS_PER_MS
    return Occupant(newest["host"], int(newest["pid"]), started_ns, int(newest["ticks"]))


def require_free_slot(admin: Admin, settings: Settings, *, say: Callable[[str], None]) -> None:
    """Return once nobody is in the slot; raises UsageError where somebody is, or may be.

    A process of this host that has ended is nobody, though the group may count it for a while.  Of one
    elsewhere nothing can be known: the group is asked until its session would have ended.
    """
    slot, waited_s = settings.worker.slot, 0.0
    classic = settings.bus.group_protocol == "classic"
    session_s = settings.worker.session_timeout_ms / 1_000 if classic else _BROKER_SESSION_S
    while (occupant := occupant_of(admin, settings)) is not None:
        gone = occupant.is_gone
        if gone:
            return
        if gone is False or waited_s > session_s + _MARGIN_S:
            since = f" since {occupant.since}" if occupant.started_ns else ""
            raise UsageError(
                f"slot {slot} is in use by {occupant.where}{since}; take another --slot, or --take-over"
            )
        if waited_s == 0:
            say(f"slot {slot} was {occupant.where}'s last: waiting up to {session_s:g} s for it to be free")
        pause(_LOOK_AGAIN_S)
        waited_s += _LOOK_AGAIN_S


def claim_slot(settings: Settings) -> None:
    """Note that this process has the slot, for those that start with the same state folder."""
    note = _note(settings)
    note.parent.mkdir(parents=True, exist_ok=True)
    fresh = note.with_name(f"{note.name}.{os.getpid()}")
    fresh.write_text(member_id(settings))
    fresh.replace(note)


def taken_words(admin: Admin, settings: Settings) -> str:
    """Who took the slot from this process, as far as the group says soon."""
    slot = settings.worker.slot
    for _ in range(_LOOKS_FENCED):
        occupant = occupant_of(admin, settings)
        if occupant is not None and occupant.started_ns > _started_ms() * NS_PER_MS:
            return f"slot {slot} was started again at {occupant.since} on {occupant.where}"
        pause(_LOOK_AGAIN_S)
    return f"slot {slot} was started again elsewhere"


def _note(settings: Settings) -> Path:
    return settings.worker.state / settings.pipeline.prefix / f"slot-{settings.worker.slot}"


def _name(settings: Settings) -> str:
    return f"{settings.pipeline.prefix}-{settings.worker.slot}"


@cache
def _started_ms() -> int:
    """When this process first asked: as it starts."""
    return now_ns() // NS_PER_MS


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname()) or "unknown"


def process_ticks(pid: int) -> int:
    """When a process began, in ticks since the machine's start; 0 where it has ended, or nothing says."""
    fields = _process_fields(pid)
    return 0 if fields is None or fields[0] in "ZX" else int(fields[19])


def _runs(pid: int, ticks: int) -> bool:
    """Whether the process of this number is the one that began at that tick, and has not ended."""
    if _process_fields(os.getpid()) is not None:
        begun = process_ticks(pid)
        return begun != 0 and begun == ticks
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _process_fields(pid: int) -> list[str] | None:
    """What the system says of a process, from its state on, which comes behind the name in brackets."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
