"""The topics of a pipeline beside those of the bus: what is missing, what differs, what is to be known."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Final

from app.config import Settings
from app.errors import UsageError
from app.wiring.pipeline import topic_specs
from schemas.clocks import NS_PER_MS
from topics.bus import Admin, Bus
from topics.catalogue import Plan, plan
from topics.inputs import InputNeeds

SIMILAR_MAX: Final = 3  # names that are shown for one that does not exist


def topic_plan(admin: Admin, settings: Settings) -> Plan:
    """Compare the topics that a pipeline needs with those of the bus; its inputs may be somebody else's."""
    needs = {settings.topic(name): _needs(settings, name) for name in settings.stream_names}
    return plan(admin, topic_specs(settings), needs)


def require_topics(bus: Bus, settings: Settings) -> None:
    """Raise UsageError where a topic is missing, or another than the pipeline needs."""
    admin = bus.admin()
    planned = topic_plan(admin, settings)
    wrong = []
    if planned.create:
        wrong.append(missing_words(admin, settings, [spec.name for spec in planned.create]))
    if planned.mismatches:
        wrong.append(f"{'; '.join(map(str, planned.mismatches))}: {planned.advice}")
    if wrong:
        raise UsageError(f"{'; '.join(wrong)}; see `python -m app topics plan{settings.flag}`")


def missing_words(admin: Admin, settings: Settings, missing: Sequence[str]) -> str:
    """Which topics do not exist, those with names like an input's, and the command that makes them."""
    words = [f"{', '.join(missing)} {'does' if len(missing) == 1 else 'do'} not exist"]
    for name in settings.stream_names:
        if settings.topic(name) in missing and (like := similar(admin, settings, name)):
            key = settings.topic_key(name).key
            words.append(f"{settings.topic(name)} may be {' or '.join(like)}: name it in {key}")
    return f"{'; '.join(words)}; what is missing is created by `python -m app topics apply{settings.flag}`"


def anew(settings: Settings) -> str:
    """How to begin anew where committed offsets are of no use: in outputs of its own, or in the same."""
    return (
        "choose another pipeline.prefix, with the inputs named in [streams.NAME] topic, to join what they "
        f"hold now into outputs of its own; or stop all workers of {settings.pipeline.prefix}, and run "
        f"`python -m app reset{settings.flag}`, which says what it would delete, and "
        f"`python -m app topics apply{settings.flag}`"
    )


def similar(admin: Admin, settings: Settings, stream: str) -> list[str]:
    """Topics of the bus whose name, or the last part of it, is like that of a stream's missing topic."""
    own = {settings.topic(name) for name in (*settings.stream_names, *settings.output_names)}
    return near_names(set(admin.names()) - own, settings.topic(stream), stream)


def near_names(names: Iterable[str], whole: str, part: str) -> list[str]:
    """Those of the names that are like `whole`, then those of which a part is like `part`."""
    shown = sorted(name for name in names if not name.startswith("__"))
    in_whole = get_close_matches(whole, shown, SIMILAR_MAX, cutoff=0.75)
    in_part = [name for name in shown if get_close_matches(part, _parts(name), 1, cutoff=0.8)]
    return list(dict.fromkeys([*in_whole, *in_part]))[:SIMILAR_MAX]


def _parts(name: str) -> list[str]:
    return name.lower().replace("-", ".").replace("_", ".").split(".")


def _needs(settings: Settings, name: str) -> InputNeeds:
    """A restart reads again what may still match, or what waited as last rows were written to their topic."""
    pipeline, worker = settings.pipeline, settings.worker
    if pipeline.tolerance_ns is None:
        match_ns = worker.last_known_interval_ms * NS_PER_MS
    else:
        match_ns = pipeline.tolerance_ns
    return InputNeeds(
        restart_ms=-(-(match_ns + settings.grace_ns(name)) // NS_PER_MS),
        message_size_max=worker.message_size_max,
    )
