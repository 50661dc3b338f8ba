"""The driver: strikes when the plan says so, starts again what has died, and notes when rows come again."""

import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from time import monotonic, sleep
from typing import Final

from confluent_kafka import KafkaException, Producer

from tests.broker.chaos.crew import Hand
from tests.broker.chaos.proxy import END_TRANSACTION
from tests.broker.chaos.storm.events import BROKER_KINDS, GUEST, STANDING, Event
from tests.broker.chaos.storm.setting import Setting

TICK_S: Final = 0.05
STALLED_S: Final = 120.0  # without a row from some partition: the pipeline has come to a stand
CALM_S: Final = 180.0  # after the last event
SAMPLE_S: Final = 1.0
STRANGER_S: Final = 10.0


@dataclass(slots=True)
class Struck:
    """An event that took place: when, how long it lasted, how long until all partitions showed newer rows."""

    event: Event
    at_s: float  # since the storm began
    begun_s: float  # monotonic
    event_ns: int  # the market's time at that moment
    undone_s: float | None = None
    recovered_s: float | None = None
    alone: bool = True  # no other event between it and its recovery
    note: str = ""


@dataclass(slots=True)
class Sample:
    """Resident memory of a slot's worker, in bytes, and its threads, so long after the storm began."""

    at_s: float
    slot: str
    size: int
    size_anonymous: int  # of which no pages of files, which the system takes back when it likes
    threads: int


@dataclass(slots=True)
class Story:
    """What happened: the events, the workers that ended by themselves, and how big they were."""

    struck: list[Struck] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    seconds: float = 0.0


class Driver:
    """Plays events on a setting; two workers stand all along, but for what the events do to them."""

    def __init__(self, setting: Setting, say: Callable[[str], None]) -> None:
        self._setting = setting
        self._say = say
        self.story = Story()
        self._begun_s = monotonic()
        self._hands: dict[str, Hand] = {}
        self._still: set[str] = set()  # slots whose worker stands still
        self._doomed: set[str] = set()  # ... whose worker is to kill itself at a failpoint
        self._away: set[str] = set()  # ... whose worker is to stay away for now
        self._undo: list[tuple[float, Struck, Callable[[], None]]] = []
        self._zombies: list[tuple[Hand, Struck]] = []
        self._sampled_s = 0.0

    def play(self, events: list[Event], seconds: float) -> None:
        """Play the events until they or the seconds are over, and wait until all is calm again."""
        for slot in STANDING:
            self._hire(slot)
        self._until(lambda: self._shown(self._setting.source.begin_ns), "the first rows come")
        self._begun_s = monotonic()
        for event in events:
            ready_s = monotonic() + event.gap_s
            self._until(partial(self._has_come, event, ready_s, seconds), "its turn comes")
            if monotonic() - self._begun_s >= seconds:
                break
            self._strike(event)
        calm_by_s = monotonic() + CALM_S
        self._until(lambda: (not self._undo and self._calm()) or monotonic() > calm_by_s, "all is calm again")
        waiting = [struck.event.words for struck in self.story.struck if struck.recovered_s is None]
        assert self._calm(), f"after {CALM_S:.0f} s not all had recovered: {waiting}, doomed {self._doomed}"
        self.story.seconds = monotonic() - self._begun_s

    def finish(self) -> None:
        """End the feed and let the workers read it to its end."""
        self._setting.feed.finish()
        for hand in self._hands.values():
            hand.ended_well()
        for zombie, struck in self._zombies:
            struck.note = zombie.gave_up() if zombie.wait() else "it went on as a member"

    def _strike(self, event: Event) -> None:
        for other in self.story.struck:
            if other.recovered_s is None:
                other.alone = False
        struck = self._struck(event, alone=self._calm())
        self.story.struck.append(struck)
        self._say(f"{struck.at_s:7.1f} s  {event.words}")
        undo = self._act(event, struck)
        if undo is None:
            struck.undone_s = monotonic()
        else:
            self._undo.append((struck.begun_s + event.lasts_s, struck, undo))

    def _struck(self, event: Event, *, alone: bool) -> Struck:
        now_s = monotonic()
        return Struck(event, now_s - self._begun_s, now_s, self._setting.feed.now_ns, alone=alone)

    def _act(self, event: Event, struck: Struck) -> Callable[[], None] | None:
        """Do it, and return what undoes it when it has lasted long enough."""
        acts: dict[str, Callable[[Event, Struck], Callable[[], None] | None]] = {
            "worker killed": self._kill_worker,
            "worker stands still": self._stop_worker,
            "worker replaced": self._replace_worker,
            "broker killed": self._kill_broker,
            "broker stands still": self._stop_broker,
            "answers lost": self._lose_answers,
            "member joins": self._join,
            "member leaves": self._leave,
            "stranger": self._take_id,
        }
        return acts[event.kind](event, struck)

    def _kill_worker(self, event: Event, _struck: Struck) -> Callable[[], None]:
        hand = self._hands[event.slot]
        self._away.add(event.slot)
        _signal(hand, signal.SIGKILL)
        if hand.wait() != -signal.SIGKILL:
            self._tell(event.slot, hand)
        if event.wiped:
            shutil.rmtree(self._setting.state(event.slot), ignore_errors=True)
        return lambda: self._hire(event.slot, event.failpoint)

    def _stop_worker(self, event: Event, _struck: Struck) -> Callable[[], None]:
        hand = self._hands[event.slot]
        _signal(hand, signal.SIGSTOP)
        self._still.add(event.slot)

        def undo() -> None:
            _signal(hand, signal.SIGCONT)
            self._still.discard(event.slot)

        return undo

    def _replace_worker(self, event: Event, struck: Struck) -> Callable[[], None]:
        zombie = self._hands[event.slot]
        _signal(zombie, signal.SIGSTOP)
        self._hire(event.slot)
        self._zombies.append((zombie, struck))
        return lambda: _signal(zombie, signal.SIGCONT)

    def _kill_broker(self, _event: Event, _struck: Struck) -> Callable[[], None]:
        self._setting.broker.kill()
        return self._setting.broker.start

    def _stop_broker(self, _event: Event, _struck: Struck) -> Callable[[], None]:
        self._setting.broker.send(signal.SIGSTOP)
        return lambda: self._setting.broker.send(signal.SIGCONT)

    def _lose_answers(self, event: Event, _struck: Struck) -> Callable[[], None]:
        proxy = self._setting.broker.proxy
        proxy.drop = (END_TRANSACTION, f"{self._setting.source.prefix}-{event.slot}")

        def undo() -> None:
            proxy.drop = None

        return undo

    def _join(self, event: Event, _struck: Struck) -> None:
        environment = {"TIDEMARK_WORKER__STATIC_MEMBER": str(event.static).lower()}
        self._hire(GUEST, environment=environment)

    def _leave(self, _event: Event, _struck: Struck) -> None:
        guest = self._hands.pop(GUEST)
        _signal(guest, signal.SIGTERM)
        # Before it has joined, which a broker that stands still can hold up, a signal just ends it.
        joining = "task opened" not in guest.said()
        if guest.wait() and not (joining and guest.wait() == -signal.SIGTERM):
            self._tell(GUEST, guest)

    def _take_id(self, event: Event, struck: Struck) -> None:
        stranger = Producer(
            {
                "bootstrap.servers": self._setting.broker.bootstrap,
                "transactional.id": f"{self._setting.source.prefix}-{event.slot}",
                "log_level": 2,
            }
        )
        try:
            stranger.init_transactions(STRANGER_S)
        except KafkaException as refused:
            struck.note = f"the stranger was refused: {refused}"
        # What the worker committed while the stranger came to it shows nothing yet.
        struck.event_ns = self._setting.feed.now_ns + 1

    def _has_come(self, event: Event, ready_s: float, seconds: float) -> bool:
        now_s = monotonic()
        return now_s - self._begun_s >= seconds or (now_s >= ready_s and self._may(event))

    def _may(self, event: Event) -> bool:
        """Whether an event can take place now; what strikes the broker waits until it is well."""
        if event.calm and not self._calm():
            return False
        busy = {struck.event.kind for _, struck, _ in self._undo}
        if (event.kind in BROKER_KINDS or event.kind == "stranger") and busy & set(BROKER_KINDS):
            return False
        if event.kind == "worker replaced" and event.kind in busy:
            return False
        if event.kind == "member joins":
            return GUEST not in self._hands
        if event.kind == "member leaves":
            return GUEST in self._hands and not busy & set(BROKER_KINDS)
        return event.slot == "" or (
            event.slot in self._hands
            and event.slot not in self._still | self._away | self._doomed
            and self._hands[event.slot].alive
        )

    def _calm(self) -> bool:
        return not self._doomed and all(struck.recovered_s is not None for struck in self.story.struck)

    def _shown(self, event_ns: int) -> bool:
        return self._setting.watcher.shown_s(self._begun_s, event_ns) is not None

    def _until(self, holds: Callable[[], bool], what: str) -> None:
        """Let time pass until something holds."""
        moved_s, before = monotonic(), 0
        while not holds():
            self._tend()
            now = min(self._setting.watcher.newest_ns.values())
            if now > before:
                moved_s, before = monotonic(), now
            assert monotonic() - moved_s < STALLED_S, (
                f"no rows for {STALLED_S:.0f} s, while waiting until {what}"
            )
            sleep(TICK_S)

    def _tend(self) -> None:
        assert self._setting.feed.alive(), "the feed has died"
        self._setting.watcher.require_reading()
        now_s = monotonic()
        for due_s, struck, undo in [one for one in self._undo if one[0] <= now_s]:
            undo()
            struck.undone_s = monotonic()
            self._undo.remove((due_s, struck, undo))
        for slot, hand in list(self._hands.items()):
            if slot not in self._away and not hand.alive:
                self._ended(slot, hand)
        for struck in self.story.struck:
            if struck.recovered_s is None and struck.undone_s is not None:
                shown_s = self._setting.watcher.shown_s(struck.begun_s, struck.event_ns)
                struck.recovered_s = None if shown_s is None else shown_s - struck.begun_s
        if now_s - self._sampled_s >= SAMPLE_S:
            self._sampled_s = now_s
            self._sample(now_s - self._begun_s)
            waiting = [struck.begun_s for struck in self.story.struck if struck.recovered_s is None]
            self._setting.watcher.forget(min(waiting, default=now_s))

    def _ended(self, slot: str, hand: Hand) -> None:
        """A worker has ended: by its failpoint, or by itself, which is told; another one takes its place."""
        code = hand.wait()
        doomed = slot in self._doomed
        self._doomed.discard(slot)
        if doomed and code == -signal.SIGKILL:
            died = Event(kind="worker died", slot=slot)
            struck = self._struck(died, alone=False)
            struck.undone_s = struck.begun_s
            self.story.struck.append(struck)
        else:
            self._tell(slot, hand)
        self._hire(slot)

    def _tell(self, slot: str, hand: Hand) -> None:
        at_s = monotonic() - self._begun_s
        self.story.ended.append(f"{at_s:.1f} s, slot {slot}: {hand.gave_up()}")
        self._say(f"{at_s:7.1f} s  slot {slot} has ended by itself")

    def _hire(self, slot: str, failpoint: str = "", environment: dict[str, str] | None = None) -> None:
        extra = {"TIDEMARK_WORKER__STATE": str(self._setting.state(slot)), **(environment or {})}
        self._away.discard(slot)
        if failpoint:
            self._doomed.add(slot)
        self._hands[slot] = self._setting.crew.hire(slot, failpoint=failpoint, environment=extra)

    def _sample(self, at_s: float) -> None:
        for slot, hand in self._hands.items():
            if hand.alive:
                sample = Sample(at_s, slot, hand.size(), hand.size_anonymous(), hand.threads())
                self.story.samples.append(sample)


def _signal(hand: Hand, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it may have ended by itself this very moment
        hand.send(number)
