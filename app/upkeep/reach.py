"""How far a changed setting reaches: a restart, the next period, or a pipeline of its own."""

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

Reach = Literal["live", "period", "generation"]

MEANS: Final[dict[Reach, str]] = {
    "live": "stop the workers, change the file, start them: rows mean what they meant",
    "period": "likewise, but later rows mean something else than those before: best between two days",
    "generation": "refused, or of no use with these commits: another `pipeline.prefix`, or `app reset`",
}


class Kind(NamedTuple):
    """Settings that are alike in what a change of them does.

    Each of `keys` is a setting, or a table and all in it that no kind before names; `*` is any name.
    """

    keys: tuple[str, ...]
    reach: Reach
    does: str


KINDS: Final = (
    Kind(
        ("pipeline.prefix", "pipeline.left", "pipeline.right", "streams.*.topic"),
        "generation",
        "another pipeline, or one with other inputs: offsets of these do not exist, or are refused",
    ),
    Kind(("pipeline.clock",), "generation", "rows are ordered by another time: refused until `app reset`"),
    Kind(
        (
            "pipeline.direction",
            "pipeline.allow_exact",
            "pipeline.tolerance_ns",
            "pipeline.carry",
            "streams.*.columns",
        ),
        "period",
        "later rows are right by the new rule: the worker says what changed, and reads back as far as that "
        "needs; where the inputs no longer hold that, it says so. To have no tolerance, `topics apply` first",
    ),
    Kind(
        ("pipeline", "streams.*.grace_ns", "streams.*.idle_after_ms", "streams.*.late"),
        "live",
        "grace, idle inputs, times too far ahead, what becomes of late rows: holds from then on",
    ),
    Kind(("bus.partitions",), "generation", "refused: `topics repartition`, and another prefix"),
    Kind(
        ("bus.group_protocol",),
        "live",
        "stop every worker first: the two protocols are not spoken side by side here",
    ),
    Kind(("bus.replication",), "live", "holds for topics made from then on; those that are there stay"),
    Kind(
        ("bus.bootstrap",),
        "live",
        "another way to the same cluster; another cluster is refused, offsets of one mean nothing there",
    ),
    Kind(("bus",), "live", "how clients connect and read"),
    Kind(
        ("worker.format", "outputs.aligned"),
        "period",
        "rows of another form, or in another topic: readers follow. A topic with both forms is read by "
        "nobody, so give a new form a topic of its own",
    ),
    Kind(("worker.state",), "live", "local state is rebuilt in the other folder"),
    Kind(("worker", "metrics"), "live", "limits, intervals, policies and addresses: holds from then on"),
    Kind(("history",), "live", "where copies of what an object store holds lie, and how many bytes of them"),
    Kind(
        ("outputs.last_known", "outputs.tasks", "outputs.state", "outputs.models"),
        "generation",
        "what a restart needs lies in the topic of before",
    ),
    Kind(
        ("outputs.late", "outputs.dead"), "live", "later letters go there; earlier ones stay where they are"
    ),
    Kind(("outputs",), "period", "rows of that node go to another topic: its readers follow"),
    Kind(
        (
            "streams.*.key",
            "streams.*.key_from",
            "streams.*.sequence",
            "streams.*.event_time",
            "streams.*.known_time",
            "streams.*.format",
            "streams.*.framing",
            "streams.*.message",
            "streams.*.schema_file",
        ),
        "generation",
        "which rows there are, or their order: local state is rebuilt, but rows read before keep what was "
        "made of them",
    ),
    Kind(
        ("streams.*.fields", "streams.*.scales", "streams.*.aliases"),
        "period",
        "local state is rebuilt where needed; later rows have the new columns, frames another layout",
    ),
    Kind(
        ("streams.*.rules", "streams.*.incompatible"),
        "period",
        "local state is rebuilt; later rows are judged by the new rules",
    ),
    Kind(("graph.models",), "live", "the folder where artefacts lie; which is valid when, a topic says"),
    Kind(
        ("graph", "calendars"),
        "period",
        "nodes that mean the same keep what they remember; new and changed ones take the rows that they need "
        "from the aligned topic: `app graph diff` and `graph plan` say which. `topics apply` makes the topic "
        "of a new output",
    ),
)


def kind_of(key: str) -> Kind | None:
    """What a change of a setting does, by its full name such as `streams.quote.grace_ns`; None if unknown."""
    parts = key.split(".")
    for kind in KINDS:
        for pattern in kind.keys:
            wanted = pattern.split(".")
            if len(wanted) <= len(parts) and all(map(_fits, wanted, parts)):
                return kind
    return None


def _fits(wanted: str, part: str) -> bool:
    return wanted in ("*", part)


def reach_table() -> Iterator[str]:
    """The lines of the table for people, as Markdown."""
    yield "| setting | reach | what a change does |"
    yield "|---|---|---|"
    for kind in KINDS:
        keys = ", ".join(f"`{key}`" for key in kind.keys)
        yield f"| {keys} | {kind.reach} | {kind.does} |"
    yield ""
    for reach, words in MEANS.items():
        yield f"- **{reach}**: {words}."
