"""What happens in half an hour, and which alert each of it must raise, may raise, or none."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tests.broker.chaos.storm.prometheus import Fired

LEAD_S: Final = 3.0  # clocks of a scrape and of ours
SETTLE_S: Final = 90.0  # behind the end of an incident an alert of its own may still begin
KILL_EVERY_S: Final = (35, 70)
BEGIN_S: Final = 30.0  # until rows flow and the first scrapes are done


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that happens `at_s` after the begin and lasts so long.

    Each alert of `must` has to fire for it, and those of `may` can; no other alert has a reason.
    """

    kind: str
    at_s: float
    lasts_s: float = 0.0
    slot: str = ""
    must: frozenset[str] = frozenset()
    may: frozenset[str] = frozenset()

    @property
    def end_s(self) -> float:
        """When an alert for it can begin at the latest."""
        return self.at_s + self.lasts_s + SETTLE_S

    def explains(self, fired: Fired) -> bool:
        """Whether an alert, by the time since the begin, is one for this."""
        begun_in_time = self.at_s - LEAD_S <= fired.begin_s <= self.end_s
        return begun_in_time and fired.name in self.must | self.may


# What is planned beside the kills; a shorter run has those that end in time.
PLANNED: Final = (
    Incident("worker stands still", 60, 15, slot="2"),
    Incident("poison", 90, must=frozenset({"DeadLetters"})),
    Incident(
        "transaction left open",
        120,
        240,
        must=frozenset({"UpstreamTransactionOpen", "FrontierStuck"}),
    ),
    Incident(
        "all workers down",
        460,
        180,
        must=frozenset({"TaskUnowned", "Gone"}),
        may=frozenset({"FrontierStuck", "Behind"}),
    ),
    Incident("late rows", 760, 420, must=frozenset({"LateRows"})),
    Incident(
        "answers lost",
        1_290,
        110,
        slot="1",
        must=frozenset({"TransactionsUndone"}),
        may=frozenset({"CommitsStopped", "FrontierStuck", "SealSlow", "Behind"}),
    ),
    Incident(
        "broker stands still",
        1_520,
        45,
        may=frozenset({"CommitsStopped", "FrontierStuck", "TransactionsUndone"}),
    ),
)
QUIET: Final = frozenset({"all workers down", "answers lost", "broker stands still"})  # no kills meanwhile


def plan(seconds: float, seed: int) -> list[Incident]:
    """The incidents of a run of so many seconds, in order: those planned, and kills drawn from the seed."""
    chosen = [one for one in PLANNED if one.end_s <= seconds]
    quiet = [(one.at_s - 20, one.end_s) for one in chosen if one.kind in QUIET]
    rng = random.Random(seed)
    at_s = BEGIN_S
    while at_s + SETTLE_S <= seconds:
        if not any(lower <= at_s <= upper for lower, upper in quiet):
            chosen.append(Incident("worker killed", round(at_s, 1), slot=rng.choice("012")))
        at_s += rng.uniform(*KILL_EVERY_S)
    return sorted(chosen, key=lambda one: one.at_s)


def judged(incidents: Sequence[Incident], alerts: Iterable[Fired]) -> list[str]:
    """What is wrong: alerts without a reason, and incidents without their alert; times since the begin."""
    fired = list(alerts)
    wrong = [
        f"{one.name} fired at {one.begin_s:.0f} s for nothing that happened"
        for one in fired
        if not any(incident.explains(one) for incident in incidents)
    ]
    for incident in incidents:
        heard = {one.name for one in fired if incident.explains(one)}
        wrong += [
            f"{name} did not fire for: {incident.kind} at {incident.at_s:.0f} s"
            for name in sorted(incident.must - heard)
        ]
    return wrong
