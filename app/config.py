"""Every setting with its unit, default and reason: flags over the environment over the file over defaults.

Each table is a module of `app.settings`.  Only this module reads configuration files and
the environment (`TIDEMARK_PIPELINE__CLOCK=known`).
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Any

from pydantic import BaseModel, Field, PrivateAttr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from app.errors import UsageError
from app.settings.bus import BusSettings
from app.settings.durations import MisstatedDurationError, duration_keys, in_whole_units
from app.settings.graph import GraphTable, node_in_whole_units
from app.settings.history import HistorySettings
from app.settings.metrics import MetricsSettings
from app.settings.mistakes import of_sessions, told
from app.settings.outputs import OUTPUT_KEYS, TopicKey, output_key, require_apart
from app.settings.pipeline import PipelineSettings
from app.settings.section import Name, Policy, TopicName
from app.settings.sessions import CalendarTable, PlacedError
from app.settings.streams import StreamSettings
from app.settings.worker import WorkerSettings
from operators.formula.suggest import did_you_mean
from operators.graph.render import render_value
from replay.store.cache import use_cache
from topics.catalogue import LAST_KNOWN, MODELS, OUTPUTS, STATE, TASKS, default_topic

_PREFIX = "TIDEMARK_"
_TABLES: Mapping[str, type[BaseModel]] = {
    "pipeline": PipelineSettings,
    "bus": BusSettings,
    "worker": WorkerSettings,
    "metrics": MetricsSettings,
    "history": HistorySettings,
}


class Settings(BaseSettings):
    """One pipeline, whole."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=_PREFIX, env_nested_delimiter="__"
    )

    pipeline: PipelineSettings = PipelineSettings()
    bus: BusSettings = BusSettings()
    worker: WorkerSettings = WorkerSettings()
    metrics: MetricsSettings = MetricsSettings()
    history: HistorySettings = HistorySettings()
    streams: dict[Name, StreamSettings] = Field(default_factory=dict)
    outputs: dict[str, TopicName] = Field(default_factory=dict)  # by output; default `<prefix>.<output>`
    graph: GraphTable = GraphTable()
    calendars: dict[Name, CalendarTable] = Field(default_factory=dict)  # of venues, for graph.anchor
    _file: Path | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _streams_are_used(self) -> "Settings":
        unused = sorted(set(self.streams) - set(self.stream_names))
        if unused:
            raise ValueError(
                f"streams.{unused[0]} is neither left nor right of the pipeline"
                f"{did_you_mean(unused[0], self.stream_names)}; left is {self.pipeline.left}, right is "
                f"{', '.join(self.pipeline.right)}: rename the table, say so in pipeline.left or "
                "pipeline.right, or let a node of the graph read it"
            )
        if self.pipeline.direction != "backward" and self.pipeline.tolerance_ns is None:
            raise ValueError(
                f"pipeline.direction = {self.pipeline.direction!r} needs pipeline.tolerance_ns, or tolerance "
                'such as "5s": without one a row would wait for its match without bound'
            )
        if self.pipeline.carry == "column" and self.pipeline.direction != "backward":
            raise ValueError('pipeline.carry = "column" is for direction = "backward" only')
        if taken := sorted(set(self.graph.nodes) & set(self.stream_names)):
            raise ValueError(f"graph.{taken[0]} cannot be a node: {taken[0]} is a stream")
        return self

    @model_validator(mode="after")
    def _anchor_is_there(self) -> "Settings":
        name = None if self.graph.anchor is None else self.graph.anchor.calendar
        if name is not None and name not in self.calendars:
            near = did_you_mean(name, self.calendars)
            raise PlacedError(
                f"there is no calendar {name}{near}: write a table [calendars.{name}]", "graph", "anchor"
            )
        return self

    @model_validator(mode="after")
    def _each_topic_has_one_use(self) -> "Settings":
        if taken := sorted(set(self.output_names) & set(self.stream_names)):
            raise ValueError(f"{taken[0]} cannot be a stream: {taken[0]} is an output of the pipeline")
        known = (*OUTPUT_KEYS, *self.node_outputs)
        if unknown := sorted(set(self.outputs) - set(known)):
            raise ValueError(
                f"outputs.{unknown[0]} is no output{did_you_mean(unknown[0], known)}; the outputs are "
                f"{', '.join(known)}"
            )
        for name in self.node_outputs:
            if name in self.outputs and self._topic_in_graph(name) is not None:
                raise ValueError(
                    f"outputs.{name} and graph.{name}.out.topic are both given: one of them is enough"
                )
        require_apart(self.topic_key(name) for name in (*self.stream_names, *self.output_names))
        return self

    def read_from(self, path: Path | None) -> "Settings":
        """These settings, which were read from that file: messages name its lines."""
        self._file = path
        return self

    def source(self) -> tuple[str, str]:
        """The name and the text of the file these settings were read from, for messages about its lines."""
        return ("settings", "") if self._file is None else (str(self._file), self._file.read_text())

    @property
    def flag(self) -> str:
        """How a command is told to read the same file: ` -c my.toml`, empty where there is none."""
        return "" if self._file is None else f" -c {quote(str(self._file))}"

    @property
    def file(self) -> Path | None:
        """The file these settings were read from."""
        return self._file

    @property
    def node_outputs(self) -> tuple[str, ...]:
        """The nodes of the graph whose rows go to a topic of their own, in the order of the file."""
        return tuple(name for name, node in self.graph.nodes.items() if node.out is not None)

    @property
    def output_names(self) -> tuple[str, ...]:
        """All that has a topic to write to: aligned, late, dead, the nodes' rows, and what restarts need."""
        return (*OUTPUTS, *self.node_outputs, *self.restart_topics)

    @property
    def restart_topics(self) -> tuple[str, ...]:
        """The compacted outputs that a restart reads back."""
        wanted = {
            LAST_KNOWN: self.keeps_last_known,
            TASKS: bool(self.node_outputs),
            STATE: self._keeps_node_state,
            MODELS: self.graph.has_models,
        }
        return tuple(name for name, is_wanted in wanted.items() if is_wanted)

    @property
    def stream_names(self) -> tuple[str, ...]:
        """The inputs, left first, and last those that are not joined."""
        return (self.pipeline.left, *self.pipeline.right, *self._beside)

    @property
    def _beside(self) -> tuple[str, ...]:
        """The inputs that only nodes of the graph read: the join of the pipeline does not."""
        joined = (self.pipeline.left, *self.pipeline.right)
        read = {name for node in self.graph.nodes.values() for name in node.sources}
        return tuple(name for name in self.streams if name in read and name not in joined)

    def stream(self, name: str) -> StreamSettings:
        """A stream's settings, defaults where the file says nothing."""
        return self.streams.get(name, StreamSettings())

    def topic(self, name: str) -> str:
        """The topic of an input stream, of a node, or of `aligned`, `late`, `dead`, `last-known`, `tasks`."""
        return self.topic_key(name).topic

    def topic_key(self, name: str) -> TopicKey:
        """The topic of a stream or an output, and the key that sets its name: nothing else derives names."""
        in_graph = self._topic_in_graph(name)
        if name in self.stream_names:
            key, topic = f"streams.{name}.topic", self.stream(name).topic
        elif in_graph is not None:
            key, topic = f"graph.{name}.out.topic", in_graph
        else:
            key, topic = f"outputs.{output_key(name)}", self.outputs.get(output_key(name))
        return TopicKey(topic or default_topic(self.pipeline.prefix, name), key, topic is None)

    def _topic_in_graph(self, name: str) -> str | None:
        node = self.graph.nodes.get(name)
        return None if node is None or node.out is None else node.out.topic

    @property
    def keeps_last_known(self) -> bool:
        """Whether the join may need a row however old it is, and so a topic of last-known rows."""
        return self.pipeline.direction == "backward" and self.pipeline.tolerance_ns is None

    @property
    def _keeps_node_state(self) -> bool:
        """Whether nodes whose rows go out remember earlier rows, and so a topic of what they remember."""
        return bool(self.node_outputs) and self.graph.remembers

    def grace_ns(self, name: str) -> int:
        """How far the watermark of a stream trails its newest row."""
        own = self.stream(name).grace_ns
        return self.pipeline.grace_ns if own is None else own

    def idle_after_ms(self, name: str) -> int | None:
        """How long a stream's partition is waited for at the end of its log; None for ever."""
        own = self.stream(name).idle_after_ms
        return self.pipeline.idle_after_ms if own is None else own

    def late(self, name: str) -> tuple[Policy, str]:
        """What becomes of a late row of a stream, and the setting that says so."""
        own = self.stream(name).late
        return (self.worker.late, "worker.late") if own is None else (own, f"streams.{name}.late")


def load_settings(
    path: Path | None,
    flags: Mapping[str, Mapping[str, object]] | None = None,
    *,
    topics_only: bool = False,
) -> Settings:
    """Read `path` (none: defaults), the environment and flags given as `{section: {key: value}}`.

    With `topics_only` a stream has its topic and nothing else, so that tables which are not finished yet, or
    that no stream of the pipeline has, are no mistake.

    Raises UsageError with one line that names the file, the key and what was wrong.
    """
    if path is not None:
        _check_file(path)
    given: dict[str, Any] = {
        section: {k: v for k, v in values.items() if v is not None}
        for section, values in (flags or {}).items()
    }

    class _Sources(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            file = [_File(settings_cls, toml_file=path)] if path is not None else []
            return (init_settings, _Environment(settings_cls), *file)

        @model_validator(mode="before")
        @classmethod
        def _without_drafts(cls, tables: dict[str, Any]) -> dict[str, Any]:
            return _with_topics_only(tables) if topics_only else tables

    unknown = sorted(name for name in os.environ if name.startswith(_PREFIX) and not _known_variable(name))
    if unknown:
        near = did_you_mean(unknown[0], _variables())
        raise UsageError(f"environment: {unknown[0]} names no setting{near}; tidemark.toml has all of them")
    try:
        settings = _Sources(**given)
    except ValidationError as invalid:
        raise UsageError(_mistake(invalid, path)) from None
    except MisstatedDurationError as misstated:
        raise UsageError(f"{_origin(misstated.location, path)}: {misstated}") from None
    except SettingsError as garbled:
        raise UsageError(f"environment: a table or list must be JSON: {garbled}") from None
    use_cache(settings.history.cache_settings())  # of this process, whoever opens a history in it
    return settings.read_from(path)


def tell_nobody(variable: str) -> None:
    """Set a library's variable so that it tells its makers of no run, unless somebody has set it."""
    os.environ.setdefault(variable, "0")


def service_manager() -> tuple[str, int]:
    """The socket of the service manager, empty without one, and its watchdog's time in us, 0 without one.

    A manager may have started another process than this one, and speak to that.
    """
    watchdog_us = os.environ.get("WATCHDOG_USEC", "0")
    is_ours = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    is_watched = is_ours and watchdog_us.isdecimal()
    return os.environ.get("NOTIFY_SOCKET", ""), int(watchdog_us) if is_watched else 0


def child_environment(settings: Settings) -> dict[str, str]:
    """Our environment, and the secrets that the settings hold but a dump of them does not."""
    return {**os.environ, **settings.bus.environment()}


def _with_topics_only(tables: dict[str, Any]) -> dict[str, Any]:
    """The tables with nothing but topics in those of the pipeline's streams, and without the others."""
    streams, pipeline = tables.get("streams"), tables.get("pipeline", {})
    if not isinstance(streams, dict) or not isinstance(pipeline, dict):
        return tables
    own = PipelineSettings()
    right = pipeline.get("right", own.right)
    used = (pipeline.get("left", own.left), *(right if isinstance(right, list | tuple) else ()))
    named = {name: one["topic"] for name, one in streams.items() if isinstance(one, dict) and "topic" in one}
    return tables | {"streams": {name: {"topic": topic} for name, topic in named.items() if name in used}}


def _check_file(path: Path) -> None:
    try:
        with path.open("rb") as file:  # as text a lone carriage return would pass for the end of a line
            tomllib.load(file)
    except OSError as missing:
        raise UsageError(f"{path}: cannot read the configuration: {missing.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as broken:
        raise UsageError(f"{path}: not valid TOML: {broken}") from None


def _known_variable(name: str) -> bool:
    section, _, key = name.removeprefix(_PREFIX).lower().partition("__")
    field = Settings.model_fields.get(section)
    if field is None:
        return False
    if not key or section in ("streams", "outputs", "graph", "calendars"):
        return True
    return key.split("__")[0] in _keys(section)


def _variables() -> list[str]:
    """The variables of single settings."""
    return [f"{_PREFIX}{table}__{key}".upper() for table in _TABLES for key in _keys(table)]


def _keys(section: str) -> tuple[str, ...]:
    table = _TABLES.get(section)
    return () if table is None else (*table.model_fields, *duration_keys(table))


def _mistake(invalid: ValidationError, path: Path | None) -> str:
    """The first of the mistakes; one of a venue's sessions with its line, as those of a graph."""
    error = invalid.errors()[0]
    location = error["loc"]
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, PlacedError):
        location = (*location, *cause.inside)
    origin, message = _origin(location, path), told({**error, "loc": location}, Settings)
    if path is None or origin != str(path) or not of_sessions(location):
        return f"{origin}: {message}"
    return render_value(str(path), path.read_text(), location, message)


def _origin(location: tuple[int | str, ...], path: Path | None) -> str:
    """Where the value of a setting came from: a variable of the environment, or the file."""
    variable = (_PREFIX + "__".join(str(part) for part in location)).upper()
    named = [name for name in os.environ if name.upper() == variable]
    return f"environment ({named[0]})" if named else str(path or "settings")


class _File(TomlConfigSettingsSource):
    """The file, with durations in one unit."""

    def __call__(self) -> dict[str, Any]:
        return _in_whole_units(super().__call__())


class _Environment(EnvSettingsSource):
    """The environment, likewise: each for itself, so that a variable wins over either key of the file."""

    def __call__(self) -> dict[str, Any]:
        return _in_whole_units(super().__call__())


def _in_whole_units(given: Mapping[str, Any]) -> dict[str, Any]:
    tables = dict(given)
    for name, table in _TABLES.items():
        if isinstance(tables.get(name), dict):
            tables[name] = in_whole_units(table, tables[name], (name,))
    if isinstance(graph := tables.get("graph"), dict):
        tables["graph"] = {
            name: node_in_whole_units(name, one) if isinstance(one, dict) and "from" in one else one
            for name, one in graph.items()
        }
    if isinstance(streams := tables.get("streams"), dict):
        tables["streams"] = {
            name: in_whole_units(StreamSettings, one, ("streams", name)) if isinstance(one, dict) else one
            for name, one in streams.items()
        }
    return tables
