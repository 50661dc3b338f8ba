"""`python -m app reset`: a pipeline set back to its beginning, so that its inputs are joined once more."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Final

import typer

from app.cli import Bootstrap, ConfigFile, app, console, say
from app.config import Settings, load_settings
from app.reset.carry_out import await_members, carry_out, member_words
from app.reset.plan import ResetPlan, TopicLoad, plan_reset
from app.wiring.open import open_bus

MEMBERS_GRACE_S: Final = 3.0  # beyond the session timeout: the broker looks at it now and then


@app.command()
def reset(
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    inputs: Annotated[
        bool,
        typer.Option("--inputs", help="Delete the input topics too, and what says how much was published."),
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Delete what is named.  Without it nothing is changed.")
    ] = False,
) -> None:
    """Show what joining the inputs once more from their start would delete; with --yes, delete it.

    That is the output topics, the offsets of the group and of `dead replay`, and local state on this machine.
    Inputs stay, and so does what publishers committed.  Refused while the group has workers.  A reset that
    was stopped half-way is finished by the same command.

    Example: python -m app reset --config tidemark.toml --yes
    """
    settings = load_settings(config, {"bus": {"bootstrap": bootstrap}})
    admin = open_bus(settings).admin()
    plan = plan_reset(admin, settings, inputs=inputs)
    if yes:
        plan = await_members(
            lambda: plan_reset(admin, settings, inputs=inputs),
            wait_s=settings.worker.session_timeout_ms / 1_000 + MEMBERS_GRACE_S,
            on_wait=say,
        )
    keys = [settings.topic_key(name) for name in settings.stream_names]
    foreign = {key.topic: key.key for key in keys if not key.is_default}
    lines = list(_kept(plan)) if yes else [*_deleted(plan, foreign), *_kept(plan)]
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
    if plan.empty:
        console.print(
            f"nothing to delete: {settings.pipeline.prefix} has no outputs, no commits and no state here"
        )
        return
    if not yes:
        console.print("nothing is deleted yet: the same command with --yes does it", soft_wrap=True)
        return
    carry_out(
        admin, plan, on_done=lambda name: console.print(f"deleted {name}", markup=False, soft_wrap=True)
    )
    console.print(_next(settings, inputs=inputs), markup=False, soft_wrap=True)


def _deleted(plan: ResetPlan, foreign: Mapping[str, str]) -> Iterator[str]:
    """A line for each thing that would go; `foreign` are inputs that a setting names, with its key."""
    for load in plan.outputs:
        yield f"delete  {_words(load)}"
    for group in plan.groups:
        yield f"delete  group {group.name}: offsets of {group.offsets} partitions"
    for load in plan.inputs:
        yield f"delete  {_words(load)}, an input"
        if load.name in foreign:
            yield (
                f"note    {load.name} has its name from {foreign[load.name]}: if others write or read it, "
                "they lose it too"
            )
    for folder in plan.folders:
        yield f"delete  {folder}: local state"


def _kept(plan: ResetPlan) -> Iterator[str]:
    """A line for each input that stays, and for what one should know before."""
    if plan.members:
        yield (
            f"note    stop the workers first, the group has {member_words(plan.members)}: --yes waits for "
            "one that has just stopped, and is refused while others are there"
        )
    for note in plan.notes:
        yield f"note    {note}"
    for load in plan.kept:
        yield f"keep    {_words(load)}, an input"
        if load.begins:
            number, low = next(iter(load.begins.items()))
            yield (
                f"note    {load.name}[{number}] begins at offset {low:,}: what retention removed before it "
                "is not joined again"
            )


def _words(load: TopicLoad) -> str:
    return f"{load.name}: {load.partitions} partitions, up to {load.messages:,} messages"


def _next(settings: Settings, *, inputs: bool) -> str:
    publish = ", publish again" if inputs else ""
    workers = f"start the workers of {settings.pipeline.prefix}"
    return f"next: `python -m app topics apply{settings.flag}`{publish}, then {workers}"
