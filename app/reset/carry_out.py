"""Carries a reset out: what people and models read goes first, the commits that say it was joined last."""

import shutil
from collections.abc import Callable, Iterable

from app.errors import RunError, UsageError
from app.process.clock import pause
from app.reset.plan import ResetPlan
from app.wiring.slot import slot_of
from topics.bus import Admin, Member

ASK_AGAIN_S = 0.5


def await_members(
    look: Callable[[], ResetPlan], *, wait_s: float, on_wait: Callable[[str], None]
) -> ResetPlan:
    """Return the plan of a group that has no members, asking for it again for up to `wait_s`.

    A static member that has stopped is counted out after its session timeout only; `on_wait` hears once who
    is waited for.  Raises UsageError naming those that stay.
    """
    plan = look()
    if plan.members:
        on_wait(f"waiting up to {wait_s:.0f} s for the group to count out {member_words(plan.members)}")
    for _ in range(int(wait_s / ASK_AGAIN_S)):
        if not plan.members:
            break
        pause(ASK_AGAIN_S)
        plan = look()
    if plan.members:
        raise UsageError(
            f"nothing was deleted: the group still has {member_words(plan.members)}; stop every worker of "
            "this pipeline, then give the same command again"
        )
    return plan


def carry_out(admin: Admin, plan: ResetPlan, *, on_done: Callable[[str], None]) -> None:
    """Delete what the plan names; `on_done` hears of each thing that is gone.

    Outputs go before commits.  Stopped in between, it leaves workers that refuse to start for want of their
    topics, and never commits without outputs' rows or rows that would be joined a second time beside the old
    ones; the same command finishes it.  Raises BusError where the broker refuses, RunError where a folder
    cannot be deleted.
    """
    assert not plan.members, "a group at work is not reset"
    _delete_topics(admin, [load.name for load in plan.outputs], on_done)
    for group in plan.groups:
        admin.delete_group(group.name)
        on_done(f"group {group.name}")
    _delete_topics(admin, [load.name for load in plan.inputs], on_done)
    for folder in plan.folders:
        try:
            shutil.rmtree(folder)
        except OSError as refused:
            raise RunError(
                f"{folder}: cannot be deleted: {refused.strerror}; the rest is gone, and a worker wipes such "
                "state itself"
            ) from None
        on_done(str(folder))


def member_words(members: Iterable[Member]) -> str:
    """The members of a group, each with its host."""
    return ", ".join(f"{slot_of(member.client_id)} on {member.host}" for member in members)


def _delete_topics(admin: Admin, names: list[str], on_done: Callable[[str], None]) -> None:
    admin.delete(names)
    for name in names:
        on_done(name)
