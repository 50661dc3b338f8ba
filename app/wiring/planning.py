"""Planning: from settings and the columns of the inputs to the join and the graph behind it."""

from collections.abc import Mapping
from dataclasses import replace

from app.config import Settings
from app.errors import UsageError
from app.wiring.functions import load_functions
from app.wiring.graph_columns import graph_aliases, graph_scales, require_columns
from app.wiring.sessions import graph_sessions
from operators.graph.declare import GraphSettings
from operators.graph.errors import GraphError
from operators.graph.plan import Plan, plan_graph
from operators.graph.render import render_errors, render_value
from operators.join.settings import AsofSettings
from operators.sealed import ALIGNED
from schemas.stream import Stream
from topics.avro.schema import column_name


def join_settings(settings: Settings, streams: Mapping[str, Stream]) -> AsofSettings:
    """The join of these inputs; raises StreamError or SettingsError where their columns do not bear it."""
    return AsofSettings(
        left=streams[settings.pipeline.left],
        rights=tuple(streams[name] for name in settings.pipeline.right),
        beside=tuple(streams[name] for name in settings.stream_names[1 + len(settings.pipeline.right) :]),
        clock=settings.pipeline.clock,
        direction=settings.pipeline.direction,
        allow_exact=settings.pipeline.allow_exact,
        tolerance_ns=settings.pipeline.tolerance_ns,
        carry=settings.pipeline.carry,
        max_ahead_ns=settings.pipeline.max_ahead_ns,
        max_ahead_of=settings.pipeline.max_ahead_of,
        grace_ns={name: settings.grace_ns(name) for name in settings.stream_names},
        buffer_size_max=dict.fromkeys(settings.stream_names, settings.worker.buffer_size_max),
        buffer_rows_max=dict.fromkeys(settings.stream_names, settings.worker.buffer_rows_max),
        columns={
            name: tuple(map(column_name, chosen))
            for name in settings.pipeline.right
            if (chosen := settings.stream(name).columns) is not None
        },
    )


def rows_meaning(asof: AsofSettings) -> str:
    """What a column of the joined rows means beside its name and type: the rule they are joined by.

    Whatever other columns there are: a field that a producer adds changes no feature, and no node's state.
    """
    return str(replace(asof.rule(), columns=""))


def declared_graph(settings: Settings) -> GraphSettings:
    """The graph as it is declared, with the sessions of its anchor; raises UsageError as `graph_sessions`."""
    # Behind the newest row of any input, its watermark trails so long: no bar is closed by time before that.
    by_event = settings.pipeline.clock == "event"
    known_after_ns = max(map(settings.grace_ns, settings.stream_names)) if by_event else 0
    scales, aliases = graph_scales(settings), graph_aliases(settings)
    sessions, functions = graph_sessions(settings), load_functions(settings)
    return settings.graph.declared(sessions, scales, aliases, known_after_ns, functions)


def graph_plan(
    settings: Settings, asof: AsofSettings, meaning: str, declared: GraphSettings | None = None
) -> Plan | None:
    """The plan of the graph, None without one; raises UsageError with every error, and where it is.

    `meaning` is that of the joined rows (`rows_meaning`), which goes into the meaning of each node.
    `declared` is the graph where it is at hand: reading a calendar of many years takes a while.
    """
    if not settings.graph.nodes:
        return None
    require_columns(settings, asof.aligned_schema(), asof.left.key, asof.beside)
    try:
        plan = plan_graph(
            declared or declared_graph(settings),
            asof.aligned_schema(),
            meaning=meaning,
            key=asof.left.key,
            streams=asof.streams,
            clock=asof.clock,
        )
    except GraphError as wrong:
        raise UsageError(render_errors(*settings.source(), wrong.errors).rstrip()) from None
    if asof.hold_ns:
        _require_backward(settings, plan)
    return plan


def _require_backward(settings: Settings, plan: Plan) -> None:
    """Raise UsageError where a row's moment would hang on which later row the pipeline's join met."""
    for node in plan.nodes:
        if node.available and ALIGNED in node.roots:
            location = ("graph", node.name, "out", "available")
            message = (
                f"{'.'.join(location)}: a join that looks ahead gives no available_ns, since rows wait for "
                'later ones: leave it out, or join with direction = "backward"'
            )
            raise UsageError(render_value(*settings.source(), location, message))
