"""The faults F1 to F25, each with its scenes, what they need, and whether `make test-slow` plays them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from tests.broker.chaos import (
    scenes_broker,
    scenes_clocks,
    scenes_crashes,
    scenes_logs,
    scenes_published,
    scenes_rows,
    scenes_state,
)
from tests.broker.chaos.stage import Stage
from tests.broker.chaos.theatre import Theatre

Play = Callable[[Stage, Theatre], None]
NS_PER_HOUR: Final = 3_600 * 10**9


def nothing(_theatre: Theatre) -> str:
    """Needs nothing but the shared broker."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One row of the table: a scene under the settings `tables`.

    `needs` says why the scene cannot be played here, or nothing.  `broker` is where: on the shared one, or on
    one of its own behind a proxy.  `tested` marks those that `make test-slow` plays too.
    """

    code: str
    title: str
    play: Play
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    needs: Callable[[Theatre], str] = nothing
    broker: Literal["shared", "own"] = "shared"
    tested: bool = True
    registry: Literal["folder", "http"] = "folder"
    wall: bool = False  # the market's time is the wall clock's

    @property
    def name(self) -> str:
        """What the table and the tests call it."""
        return f"{self.code} {self.title}"


def _plain(scene: Callable[[Stage], None]) -> Play:
    return lambda stage, _: scene(stage)


def _at_broker(scene: Callable[..., None], *more: float) -> Play:
    return lambda stage, theatre: scene(stage, theatre.own(), *more)


ONCE: Final = {"worker": {"guarantee": "at_least_once"}}
CONSUMER: Final = {"bus": {"group_protocol": "consumer"}}

FAULTS: Final = (
    Fault(
        code="F1",
        title="a worker dies at each failpoint",
        play=_plain(scenes_crashes.killed_at_each_failpoint),
    ),
    Fault(
        code="F1",
        title="a worker dies at each failpoint, at least once",
        play=_plain(scenes_crashes.killed_at_each_failpoint),
        tables=ONCE,
        tested=False,
    ),
    Fault(
        code="F2",
        title="the broker dies",
        play=_at_broker(scenes_broker.the_broker_dies),
        broker="own",
        tested=False,
    ),
    Fault(
        code="F2",
        title="the broker dies, and is away beyond the transaction's timeout",
        play=_at_broker(scenes_broker.the_broker_dies, 8.0),
        broker="own",
        tested=False,
    ),
    Fault(
        code="F3",
        title="the broker stands still for 2 s",
        play=_at_broker(scenes_broker.the_broker_stands_still, 2.0),
        broker="own",
    ),
    Fault(
        code="F3",
        title="the broker stands still beyond the transaction's timeout",
        play=_at_broker(scenes_broker.the_broker_stands_still, 8.0),
        broker="own",
        tested=False,
    ),
    Fault(code="F4", title="a zombie wakes", play=_plain(scenes_crashes.a_zombie_wakes)),
    Fault(
        code="F4",
        title="a zombie wakes, consumer protocol",
        play=_plain(scenes_crashes.a_zombie_wakes),
        tables=CONSUMER,
        tested=False,
    ),
    Fault(
        code="F4",
        title="two workers under one slot",
        play=_plain(scenes_crashes.a_worker_takes_anothers_slot),
        tested=False,
    ),
    Fault(
        code="F4",
        title="a zombie of a taken slot wakes",
        play=_plain(scenes_crashes.a_zombie_of_a_taken_slot_wakes),
        tested=False,
    ),
    Fault(code="F5", title="workers come and go", play=_plain(scenes_crashes.workers_come_and_go)),
    Fault(
        code="F5",
        title="workers come and go, consumer protocol",
        play=_plain(scenes_crashes.workers_come_and_go),
        tables=CONSUMER,
        tested=False,
    ),
    Fault(
        code="F6",
        title="a member joins during recovery",
        play=_plain(scenes_crashes.a_member_joins_during_recovery),
    ),
    Fault(
        code="F7",
        title="a stranger takes the transactional id",
        play=_plain(scenes_crashes.a_stranger_takes_the_transactional_id),
    ),
    Fault(
        code="F8",
        title="the answer to a commit is lost",
        play=_at_broker(scenes_broker.the_answer_to_a_commit_is_lost),
        tables={"bus": {"kafka": {"producer.transaction.timeout.ms": "1000"}}},
        broker="own",
    ),
    Fault(
        code="F9",
        title="rows break rules",
        play=_plain(scenes_rows.rows_break_rules),
        tables={"streams": scenes_rows.RULES},
    ),
    Fault(
        code="F9",
        title="a rule stops the worker",
        play=_plain(scenes_rows.a_row_that_must_not_be_stops_the_worker),
        tables={"streams": scenes_rows.FAIL},
        tested=False,
    ),
    Fault(code="F10", title="bytes that are no rows", play=_plain(scenes_rows.bytes_that_are_no_rows)),
    Fault(code="F11", title="bombs", play=_plain(scenes_rows.bombs)),
    Fault(code="F12", title="an unknown schema", play=_plain(scenes_rows.an_unknown_schema), tested=False),
    Fault(
        code="F12",
        title="the registry is away",
        play=lambda stage, theatre: scenes_rows.the_registry_is_away(stage, theatre.registry()),
        registry="http",
    ),
    Fault(code="F13", title="a schema grows", play=_plain(scenes_rows.a_schema_grows)),
    Fault(
        code="F13",
        title="a worker starts after a schema grew",
        play=_plain(scenes_rows.a_worker_starts_after_a_schema_grew),
    ),
    Fault(
        code="F13",
        title="a schema breaks",
        play=_plain(scenes_rows.a_schema_breaks),
        tables={"worker": {"dead": "fail"}},
    ),
    Fault(code="F14", title="rows too late", play=_plain(scenes_clocks.rows_too_late)),
    Fault(
        code="F15",
        title="a partition falls silent",
        play=_plain(scenes_clocks.a_partition_falls_silent),
        tables={"pipeline": {"idle_after_ms": 300}},
    ),
    Fault(
        code="F16",
        title="the wall clock leaps",
        play=_plain(scenes_clocks.the_wall_clock_leaps),
    ),
    Fault(
        code="F17",
        title="a row from the future",
        play=_plain(scenes_clocks.a_row_from_the_future),
        tables={"pipeline": {"max_ahead_ns": NS_PER_HOUR}},
        wall=True,
    ),
    Fault(code="F18", title="the state cannot grow", play=_plain(scenes_state.the_disk_is_full)),
    Fault(
        code="F18",
        title="the state's disk is full",
        play=_plain(scenes_state.a_small_disk_is_full),
        needs=lambda _: scenes_state.may_mount(),
        tested=False,
    ),
    Fault(code="F19", title="the state is damaged", play=_plain(scenes_state.the_state_is_damaged)),
    Fault(
        code="F20",
        title="more than it may hold",
        play=_plain(scenes_state.more_than_it_may_hold),
        tables={"worker": {"buffer_rows_max": scenes_state.ROWS_MAX}},
    ),
    Fault(
        code="F21",
        title="retention overtook the group",
        play=_plain(scenes_logs.retention_overtook_the_group),
    ),
    Fault(
        code="F22",
        title="the last-known topic is cut",
        play=_plain(scenes_logs.the_last_known_topic_is_cut),
    ),
    Fault(
        code="F23",
        title="a topic gets more partitions",
        play=_plain(scenes_logs.a_topic_gets_more_partitions),
    ),
    Fault(code="F24", title="a replay is published twice", play=_plain(scenes_published.published_twice)),
    Fault(
        code="F25",
        title="the log rots",
        play=lambda stage, theatre: scenes_broker.the_log_rots(stage, theatre.own().log),
        broker="own",
    ),
)
