"""The events of a storm, all drawn from its seed beforehand: the same seed plays the same storm again."""

import random
from dataclasses import dataclass, replace
from typing import Final, Literal

from app.process import failpoints

Kind = Literal[
    "worker killed",
    "worker stands still",
    "worker replaced",
    "broker killed",
    "broker stands still",
    "answers lost",
    "member joins",
    "member leaves",
    "stranger",
    "worker died",
]

ELDER: Final = "0"  # is never killed or replaced, so that its memory tells
MORTAL: Final = "1"
GUEST: Final = "2"  # joins and leaves
STANDING: Final = (ELDER, MORTAL)
SESSION_S: Final = 6.0
BROKER_KINDS: Final = ("broker killed", "broker stands still", "answers lost")

# Failpoints that a worker is sure to reach, and at most how often before it dies there.
_DEADLY: Final = {
    failpoints.SEALED: 60,
    failpoints.COMMIT_BEGIN: 30,
    failpoints.COMMIT_LAST_KNOWN: 30,
    failpoints.COMMIT_OFFSETS: 30,
    failpoints.COMMIT_END: 30,
    failpoints.COMMIT_STATE: 30,
    failpoints.CHECKPOINT: 6,
    failpoints.RESTORE: 1,
}
_WEIGHTS: Final[dict[Kind, float]] = {
    "worker killed": 5,
    "worker stands still": 2,
    "worker replaced": 1.5,
    "broker killed": 2,
    "broker stands still": 2,
    "answers lost": 1,
    "member joins": 4,  # or leaves, where it is there
    "stranger": 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happens `gap_s` after the event before, or after rows came again where it is `calm`.

    `slot` is the worker it happens to, `lasts_s` until it is undone.  A killed worker may lose its local
    state (`wiped`), and come back with a `failpoint` at which it kills itself once more ("worker died").
    """

    kind: Kind
    gap_s: float = 1.0
    calm: bool = True
    slot: str = ""
    lasts_s: float = 0.0
    wiped: bool = False
    failpoint: str = ""
    static: bool = True

    @property
    def words(self) -> str:
        """The event in a few words."""
        told = [self.kind, f"slot {self.slot}" if self.slot else ""]
        told += [f"for {self.lasts_s:.1f} s" if self.lasts_s else "", "without its state" * self.wiped]
        told += [f"again at {self.failpoint}" if self.failpoint else "", "" if self.static else "not static"]
        return ", ".join(word for word in told if word)


def drawn(seed: int, count: int) -> list[Event]:
    """The first `count` events of a seed."""
    rng = random.Random(seed)
    events: list[Event] = []
    guests = 0
    for _ in range(count):
        event = _event(rng)
        if event.kind == "member joins":
            event = replace(event, kind="member leaves", static=True) if guests % 2 else event
            guests += 1
        events.append(event)
    return events


def _event(rng: random.Random) -> Event:
    """Each kind draws what it needs; the elder is only ever stopped."""
    kind = rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
    event = Event(kind=kind, gap_s=round(rng.uniform(0.5, 6), 1), calm=rng.random() < 0.6, slot=MORTAL)
    if kind == "worker killed":
        name = rng.choice(list(_DEADLY))
        return replace(
            event,
            lasts_s=rng.choice((0.0, 0.0, 2.0, SESSION_S + 2)),
            wiped=rng.random() < 0.4,
            failpoint=f"{name}:{rng.randint(1, _DEADLY[name])}" if rng.random() < 0.5 else "",
        )
    if kind == "worker stands still":
        return replace(event, slot=rng.choice(STANDING), lasts_s=_seconds(rng, 2, SESSION_S + 5))
    if kind == "worker replaced":
        return replace(event, lasts_s=_seconds(rng, 3, SESSION_S + 4))
    if kind == "broker killed":
        return replace(event, slot="", lasts_s=_seconds(rng, 0, 4))
    if kind == "broker stands still":
        return replace(event, slot="", lasts_s=_seconds(rng, 2, 12))
    if kind == "answers lost":
        return replace(event, slot=rng.choice(STANDING), lasts_s=_seconds(rng, 2, 12))
    if kind == "member joins":
        return replace(event, slot=GUEST, static=rng.random() < 0.5)
    return event


def _seconds(rng: random.Random, lower: float, upper: float) -> float:
    return round(rng.uniform(lower, upper), 1)
