"""Wiring: what a pipeline is made of, built from its settings."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from app.config import Settings
from app.process.clock import monotonic_ns, pause
from app.task.placement import Placement
from app.task.row_rules import RowRules, RuledDecoder
from app.task.sink import Sink
from app.wiring.formats import StreamFormat, file_meaning, meaning
from app.wiring.model_store import ModelStore
from app.wiring.models import NodeModels, models_of, put_records
from app.wiring.planning import declared_graph, graph_plan, join_settings, rows_meaning
from operators.graph.gone import Gone
from operators.graph.past import pasts_of
from operators.graph.task_graph import TaskGraph
from operators.graph.warm import warm as warm_nodes
from operators.nodes.warm import warm as warm_formulas
from operators.operator import Operator
from operators.sealed import ALIGNED
from operators.warm import warm as warm_operators
from schemas.clocks import NS_PER_MS, clock_column
from schemas.rule import rule_digest
from schemas.stream import StreamError
from topics.avro.schema import RowLayout, avro_schema
from topics.bus import Bus, LogId, MessageLimit, TopicSpec
from topics.catalogue import LAST_KNOWN, OUTPUTS, compacted_topic, pipeline_topics
from topics.decoder import RowDecoder
from topics.registry.unknown import UnknownIds
from topics.warm import warm as warm_topics
from topics.wire import CodecError, SchemaRegistry


class Pipeline:
    """The inputs, the operator and the topics of one configuration, for any number of workers."""

    def __init__(
        self, settings: Settings, bus: Bus, registry: SchemaRegistry, formats: Mapping[str, StreamFormat]
    ) -> None:
        self.settings = settings
        self.bus = bus
        # One memory for all tasks: an id that nobody knows is asked for once, not once a task.
        if not isinstance(registry, UnknownIds):
            registry = UnknownIds(registry, monotonic_ns, pause)
        self.registry: SchemaRegistry = registry
        self.formats = formats
        streams = {name: one.stream for name, one in formats.items()}
        self.streams = streams
        self._files = {name: file_meaning(settings.stream(name)) for name in streams}
        self._rules = {
            name: RowRules(stream, settings.stream(name).rules) for name, stream in streams.items()
        }
        self.asof = join_settings(settings, streams)
        if settings.worker.format == "avro":
            _require_avro(self.asof.aligned_schema())
        self.declared = declared_graph(settings)
        self.graph = graph_plan(settings, self.asof, rows_meaning(self.asof), self.declared)
        # Formulas alone say what is computed, whatever rule the rows they are computed from were matched by.
        formulas = graph_plan(settings, self.asof, "", self.declared)
        self._formulas = formulas
        if models := self.models:
            put_records(models, ModelStore.of(settings).records())
        self.rule = self.asof.rule("" if formulas is None else rule_digest(formulas.meaning))

    @property
    def input_topics(self) -> dict[str, str]:
        """Each input topic and the stream it carries, left first."""
        return {self.settings.topic(name): name for name in self.settings.stream_names}

    @property
    def models(self) -> dict[str, NodeModels]:
        """By node its models; from when each is valid the folder of models says, until somebody else does."""
        return models_of(self._formulas)

    @property
    def graph_meaning(self) -> str:
        """What the graph means, whatever rule its rows are matched by; empty without one."""
        return "" if self._formulas is None else self._formulas.meaning

    @property
    def remembers(self) -> bool:
        """Whether any node remembers earlier rows."""
        return self.graph is not None and bool(pasts_of(self.graph))

    def operator(self) -> Operator:
        """A new operator for one task."""
        return TaskGraph(self.asof, self.graph, Gone(self.settings.worker.keep_gone_ms * NS_PER_MS))

    def decoder(self, stream: str) -> RowDecoder:
        """A new decoder of one input, which knows its limits and its rules: it alone says what is a row."""
        plain = self.formats[stream].decoder(self.settings, self.registry)
        return RuledDecoder(plain, self._rules[stream], clock_column(self.settings.pipeline.clock))

    def decoders(self) -> dict[str, tuple[str, RowDecoder]]:
        """New decoders for one task's inputs, by topic."""
        return {topic: (name, self.decoder(name)) for topic, name in self.input_topics.items()}

    def placement(self, stream: str, partition: int) -> Placement:
        """Where the keys of one input of a task must lie."""
        return Placement(
            stream=stream,
            topic=self.settings.topic(stream),
            partition=partition,
            partitions=self.settings.bus.partitions,
            key=self.settings.stream(stream).key,
        )

    def ahead_limit(self) -> str:
        """What bounds a time from above, in words for whoever reads a dead letter."""
        pipeline = self.settings.pipeline
        of = "the wall clock" if pipeline.max_ahead_of == "wall" else "the newest time of the inputs"
        return f"{of} plus pipeline.max_ahead_ns = {pipeline.max_ahead_ns}"

    def state_path(self, partition: int) -> Path:
        """Where a task keeps its local state."""
        return self.settings.worker.state / self.settings.pipeline.prefix / f"{partition:05d}"

    def sinks(self, partition: int) -> dict[str, Sink]:
        """New sinks of a task, by name, without parity yet."""
        settings = self.settings
        aligned = Sink(
            name=ALIGNED,
            topic=settings.topic(ALIGNED),
            partition=partition,
            schema=self.asof.aligned_schema(),
            on=clock_column(settings.pipeline.clock),
            form="avro" if settings.worker.format == "avro" else "frame",
            key=settings.stream(settings.pipeline.left).key,
            rule=str(self.asof.rule()),
        )
        planned = () if self.graph is None else self.graph.nodes
        formulas = () if self._formulas is None else self._formulas.nodes
        rules = {node.name: str(self.asof.rule(rule_digest(node.meaning))) for node in formulas}
        nodes = {
            node.name: Sink(
                name=node.name,
                topic=settings.topic(node.name),
                partition=partition,
                schema=output.layout,
                on=aligned.on,
                rule=rules[node.name],
                features=output.features,
            )
            for node in planned
            if (output := node.output) is not None
        }
        return {aligned.name: aligned, **nodes}

    def output_limits(self) -> dict[str, MessageLimit]:
        """How large a message each output topic takes, as the bus has it now."""
        topics = {spec.name for spec in topic_specs(self.settings)} - self.input_topics.keys()
        return self.bus.message_limits(sorted(topics))

    def log_ids(self) -> dict[str, LogId]:
        """By topic what tells the logs of inputs and last rows from others of that name, at this moment."""
        return self.bus.admin().log_ids(counted_topics(self.settings))

    def identity(self, partition: int, logs: Mapping[str, LogId]) -> str:
        """Changes with anything that changes which rows a task reads, of which topics; `logs` by topic.

        What becomes of a row that breaks a rule is not in it, since it is left out whatever becomes of it.
        Nor is what is made of the rows: entries lie under the meaning of what keeps them.
        """
        lines = [self.settings.pipeline.prefix, self.settings.pipeline.clock, str(partition)]
        for topic, name in self.input_topics.items():
            own = self.settings.stream(name)
            rules = own.rules.columns_by_rule()
            log = "/".join(logs[topic])
            lines.append(f"{topic} {log} {name} {rules}{meaning(own)}{self._files[name]}")
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

    def with_slot(self, slot: str) -> "Pipeline":
        """The same pipeline for another worker."""
        worker = self.settings.worker.model_copy(update={"slot": slot})
        return Pipeline(
            self.settings.model_copy(update={"worker": worker}), self.bus, self.registry, self.formats
        )


def _require_avro(aligned: pa.Schema) -> None:
    """Raise StreamError for a column that Avro cannot carry: else the first row would end the worker."""
    try:
        avro_schema(RowLayout(ALIGNED, aligned))
    except CodecError as wrong:
        raise StreamError(f'worker.format = "avro": {wrong}; or set worker.format = "frame"') from None


def counted_topics(settings: Settings) -> list[str]:
    """The topics that committed offsets rely on: those of the inputs, and of last rows where there is one."""
    names = [*settings.stream_names, *([LAST_KNOWN] if settings.keeps_last_known else [])]
    return [settings.topic(name) for name in names]


def topic_specs(settings: Settings) -> list[TopicSpec]:
    """The topics of a pipeline: its inputs, where aligned rows, rows of nodes, late rows and dead letters go.

    A join without a tolerance has the last-known topic too, and a graph with outputs that of its tasks.
    """
    names = (*settings.stream_names, *OUTPUTS, *settings.node_outputs)
    bus = settings.bus
    specs = pipeline_topics(
        prefix=settings.pipeline.prefix,
        streams=settings.stream_names,
        partitions=bus.partitions,
        replication=bus.replication,
        nodes=settings.node_outputs,
    )
    named = [replace(spec, name=settings.topic(name)) for name, spec in zip(names, specs, strict=True)]
    return named + [
        compacted_topic(name=settings.topic(name), partitions=bus.partitions, replication=bus.replication)
        for name in settings.output_names
        if name not in names
    ]


def member_config(settings: Settings) -> dict[str, str]:
    """Kafka settings of a worker: by default a static member, with its tasks back at once after a restart.

    Under the consumer protocol members are dynamic: it turns a restarted static member away until the broker
    has given up the old one, and sets the session timeout itself.
    """
    member: dict[str, str] = {}
    if settings.bus.group_protocol == "classic":
        member["consumer.session.timeout.ms"] = str(settings.worker.session_timeout_ms)
        if settings.worker.static_member:
            member["consumer.group.instance.id"] = f"{settings.pipeline.prefix}-{settings.worker.slot}"
    return {**member, **settings.bus.client_settings()}


def warm_up(settings: Settings | None = None, *, wire: bool = True) -> None:
    """Compile or load every kernel that a pipeline of these settings needs, before a broker waits for us.

    Without a graph those of formulas are not needed, which take as long to compile as all of the join's, and
    without `wire` none that encode or decode.
    """
    inputs = [] if settings is None else [settings.stream(name) for name in settings.stream_names]
    if wire:
        warm_topics({own.format for own in inputs if own.format != "avro" or meaning(own)})
    warm_operators()
    if settings is None or settings.graph.nodes:
        warm_formulas()
    if settings is not None:
        warm_nodes(settings.graph.kinds)
