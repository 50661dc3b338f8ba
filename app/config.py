"""Every setting with its unit, default and reason: flags over the environment over the file over defaults.

Only this module reads configuration files and the environment (`TIDEMARK_PIPELINE__CLOCK=known`).
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from app.errors import UsageError
from app.process import failpoints
from app.settings.credentials import Credentials
from app.settings.section import Section
from schemas.clocks import Clock
from schemas.frame import Compression
from topics.kafka.settings import GroupProtocol, is_secret

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Policy = Literal["side", "drop", "fail"]
TopicName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,200}$")]


RulePolicy = Literal["dead", "drop", "fail"]


class Rule(Section):
    """What becomes of a row that breaks it; in the file a list of columns may stand for the table."""

    policy: RulePolicy = "dead"  # to the dead-letter topic; or only counted; or the worker stops

    @model_validator(mode="before")
    @classmethod
    def _list_is_columns(cls, given: object) -> object:
        return {"columns": given} if isinstance(given, list | tuple) else given


class ColumnRule(Rule):
    """A rule on single columns."""

    columns: tuple[str, ...] = ()


class PairRule(Rule):
    """A rule on pairs of columns."""

    columns: tuple[tuple[str, str], ...] = ()


class RulesSettings(Section):
    """What a row must keep beyond being readable; no rule unless named.  Null passes all but `not_null`."""

    not_null: ColumnRule = ColumnRule()
    finite: ColumnRule = ColumnRule()  # neither NaN nor infinite
    positive: ColumnRule = ColumnRule()  # NaN is not
    non_negative: ColumnRule = ColumnRule()  # NaN is not
    ordered: PairRule = PairRule()  # the first not above the second: a quote that is not crossed
    null_key: RulePolicy | None = None  # what becomes of a message without key; none: as worker.dead

    def policies(self) -> dict[str, RulePolicy]:
        """The policy of each rule, by its name; a rule without one of its own is left out."""
        rules = {name: getattr(self, name) for name in type(self).model_fields if name != "null_key"}
        found: dict[str, RulePolicy] = {name: rule.policy for name, rule in rules.items()}
        return found | ({"null_key": self.null_key} if self.null_key else {})


class StreamSettings(Section):
    """What one stream needs beyond its schema, which the registry holds."""

    topic: TopicName | None = None  # default `<prefix>.<stream>`
    key: tuple[str, ...] = ("symbol",)  # the columns whose values make the message key
    sequence: str | None = None  # int64 column that orders rows of equal time; none: the order of arrival
    grace_ns: Annotated[int, Field(ge=0)] | None = None  # default `pipeline.grace_ns`
    columns: tuple[str, ...] | None = None  # right columns to carry; none: all but the key
    rules: RulesSettings = RulesSettings()  # a row that breaks one is dead, dropped, or stops the worker
    idle_after_ms: Annotated[int, Field(ge=1)] | None = None  # default `pipeline.idle_after_ms`
    late: Policy | None = None  # default `worker.late`


class PipelineSettings(Section):
    """The join and its inputs."""

    prefix: TopicName = "tidemark"  # begins the topics' names and is the consumer group's name
    left: Name = "trade"  # one output row per row of this stream
    right: Annotated[tuple[Name, ...], Field(min_length=1)] = ("quote",)  # looked up for each left row
    clock: Clock = "event"  # join on when it happened, or on when it could be known
    direction: Literal["backward", "forward", "nearest"] = (
        "backward"  # the last row up to it, or with a tolerance the first from it on, or the closest
    )
    allow_exact: bool = True  # may a right row of the same nanosecond match
    tolerance_ns: Annotated[int, Field(ge=0)] | None = (
        None  # farthest right row that still matches; none: any
    )
    carry: Literal["row", "column"] = (
        "row"  # the row as it is, or per column the last value that was not null
    )
    # How far the watermark trails the newest row: less loses rows to the late topic, more delays sealing.
    # 50 ms covers what one venue's feed handlers were seen to reorder.
    grace_ns: Annotated[int, Field(ge=0)] = 50_000_000
    # A quiet partition holds every row that waits for it.  With this it is left out once it has been silent
    # for so long at the end of its log; what it sends later and below the frontier is late.
    idle_after_ms: Annotated[int, Field(ge=1)] | None = None
    # One wrong time far ahead would carry the watermark along and make all that follows late.
    max_ahead_ns: Annotated[int, Field(ge=0)] | None = (
        None  # a row further ahead is a dead letter; none: no limit
    )
    max_ahead_of: Literal["wall", "inputs"] = "wall"  # ahead of this machine's clock, or of all inputs so far

    @model_validator(mode="after")
    def _streams_are_distinct(self) -> "PipelineSettings":
        if len({self.left, *self.right}) != 1 + len(self.right):
            raise ValueError(f"left {self.left!r} and right {list(self.right)} must be different streams")
        return self


class BusSettings(Credentials):
    """Where the log is, and how to get at it."""

    bootstrap: str = "127.0.0.1:9092"  # host:port of a Kafka broker
    schema_registry: str = "build/schemas"  # URL of a registry, or a folder that serves as one
    kafka_reading: Literal["auto", "native", "plain"] = "auto"  # native: messages where librdkafka holds them
    partitions: Annotated[int, Field(ge=1, le=10_000)] = 4  # of every topic: they are co-partitioned
    replication: Annotated[int, Field(ge=1)] = 1
    group_protocol: GroupProtocol = "classic"  # "consumer" is KIP-848: no stop of all members, brokers >= 4.0

    @field_validator("schema_registry")
    @classmethod
    def _address_holds_no_secret(cls, value: str) -> str:
        if "@" in urlsplit(value).netloc:
            raise ValueError(
                "bus.schema_registry holds credentials, and it is printed: give "
                "bus.schema_registry_username, and TIDEMARK_BUS__SCHEMA_REGISTRY_PASSWORD in the environment"
            )
        return value


class WorkerSettings(Section):
    """The loop: how much it takes at once, how often it commits, what it may hold."""

    slot: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,40}$")] = "0"  # stable over restarts: names the
    # transactional id and the group member; two running workers never share one
    format: Literal["frame", "avro"] = "frame"  # Arrow frames, or one Avro record per row
    compression: Compression = "none"  # of a frame's buffers: fewer bytes to keep and send, but readers copy
    # Rows and offsets in one transaction, or each row at once and possibly again after a crash.
    guarantee: Literal["exactly_once", "at_least_once"] = "exactly_once"
    commit_interval_ms: Annotated[int, Field(ge=1)] = 100  # exactly-once rows become visible this often
    commit_rows_max: Annotated[int, Field(ge=1)] = 1_000_000  # ... or after this many rows
    poll_messages_max: Annotated[int, Field(ge=1)] = 20_000  # one turn's share; bounds a turn's memory ...
    poll_rows_max: Annotated[int, Field(ge=1)] = (
        200_000  # ... and about so many rows, where messages are blocks
    )
    poll_wait_ms_max: Annotated[int, Field(ge=1)] = 50  # an idle worker wakes this often
    frame_rows_max: Annotated[int, Field(ge=1)] = 16_384  # a frame of wide rows stays under 8 MiB
    buffer_size_max: Annotated[int, Field(ge=1)] = 64 << 20  # per stream and task; beyond it the stream waits
    buffer_rows_max: Annotated[int, Field(ge=1)] = 50_000_000  # ... or beyond this many rows
    message_size_max: Annotated[int, Field(ge=1)] = 8 << 20  # a larger message is dead, not decoded
    state: Path = Path("build/state")  # folder of the local state; a cache, safe to delete
    checkpoint_interval_ms: Annotated[int, Field(ge=1)] = (
        1_000  # local state trails the commit by this, or by more: writing takes 5 % of the time at most
    )
    last_known_interval_ms: Annotated[int, Field(ge=1)] = 30_000  # without a tolerance: a rebuild reads the
    # input of about this long again, and the last rows before it from their own topic
    late: Policy = "side"  # what becomes of a row below the frontier
    dead: Policy = "side"  # ... and of a message that cannot be read, or a row too far ahead
    session_timeout_ms: Annotated[int, Field(ge=1_000)] = 10_000  # a silent worker loses its partitions after
    static_member: bool = True  # keeps its partitions over a restart; false: gives them up when it stops
    # For tests: a failpoint of `app.process.failpoints`, `name` or `name:times`, at which the worker kills
    # itself.
    failpoint: Annotated[str, Field(pattern=r"^([a-z-]+(:[1-9][0-9]*)?)?$")] = ""

    @field_validator("failpoint")
    @classmethod
    def _failpoint_exists(cls, value: str) -> str:
        if value and value.partition(":")[0] not in failpoints.ALL:
            raise ValueError(f"worker.failpoint = {value!r}: the failpoints are {', '.join(failpoints.ALL)}")
        return value


class Settings(BaseSettings):
    """One pipeline, whole."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix="TIDEMARK_", env_nested_delimiter="__"
    )

    pipeline: PipelineSettings = PipelineSettings()
    bus: BusSettings = BusSettings()
    worker: WorkerSettings = WorkerSettings()
    streams: dict[Name, StreamSettings] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _streams_are_used(self) -> "Settings":
        unused = sorted(set(self.streams) - set(self.stream_names))
        if unused:
            raise ValueError(f"streams.{unused[0]} is neither left nor right of the pipeline")
        if self.pipeline.direction != "backward" and self.pipeline.tolerance_ns is None:
            raise ValueError(
                f"pipeline.direction = {self.pipeline.direction!r} needs pipeline.tolerance_ns: without "
                "one a row would wait for its match without bound"
            )
        if self.pipeline.carry == "column" and self.pipeline.direction != "backward":
            raise ValueError('pipeline.carry = "column" is for direction = "backward" only')
        return self

    @property
    def stream_names(self) -> tuple[str, ...]:
        """The inputs, left first."""
        return (self.pipeline.left, *self.pipeline.right)

    def stream(self, name: str) -> StreamSettings:
        """A stream's settings, defaults where the file says nothing."""
        return self.streams.get(name, StreamSettings())

    def topic(self, name: str) -> str:
        """The topic of an input stream, or of `aligned`, `late`, `dead`, `last-known`."""
        return self.stream(name).topic or f"{self.pipeline.prefix}.{name}"

    @property
    def keeps_last_known(self) -> bool:
        """Whether the join may need a row however old it is, and so a topic of last-known rows."""
        return self.pipeline.direction == "backward" and self.pipeline.tolerance_ns is None

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


def load_settings(path: Path | None, flags: Mapping[str, Mapping[str, object]] | None = None) -> Settings:
    """Read `path` (none: defaults), the environment and flags given as `{section: {key: value}}`.

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
            file = [TomlConfigSettingsSource(settings_cls, toml_file=path)] if path is not None else []
            return (init_settings, env_settings, *file)

    unknown = [name for name in os.environ if name.startswith("TIDEMARK_") and not _known_variable(name)]
    if unknown:
        raise UsageError(
            f"environment: {sorted(unknown)[0]} names no setting; see tidemark.toml for all of them"
        )
    try:
        return _Sources(**given)
    except ValidationError as invalid:
        raise UsageError(f"{path or 'settings'}: {_first_error(invalid)}") from None
    except SettingsError as garbled:
        raise UsageError(f"environment: a table or list must be JSON: {garbled}") from None


def child_environment(settings: Settings) -> dict[str, str]:
    """Our environment, and the secrets that the settings hold but a dump of them does not."""
    return {**os.environ, **settings.bus.environment()}


def _check_file(path: Path) -> None:
    try:
        tomllib.loads(path.read_text())
    except OSError as missing:
        raise UsageError(f"{path}: cannot read the configuration: {missing.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as broken:
        raise UsageError(f"{path}: not valid TOML: {broken}") from None


def _known_variable(name: str) -> bool:
    section, _, key = name.removeprefix("TIDEMARK_").lower().partition("__")
    field = Settings.model_fields.get(section)
    if field is None:
        return False
    if not key or section == "streams":
        return True
    table = field.annotation
    return (
        isinstance(table, type) and issubclass(table, BaseModel) and key.split("__")[0] in table.model_fields
    )


def _first_error(invalid: ValidationError) -> str:
    error = invalid.errors()[0]
    where = ".".join(str(part) for part in error["loc"]) or "settings"
    if error["type"] == "extra_forbidden":
        return f"unknown key {where}; {_known_keys(error['loc'])}"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":
        return message
    given = error["input"]
    if not isinstance(given, str | int | float) or any(
        is_secret(str(part).replace("_", ".")) for part in error["loc"]
    ):
        return f"{where}: {message[:1].lower()}{message[1:]}"  # it is a secret, or may hold one
    return f"{where} = {given!r}: {message[:1].lower()}{message[1:]}"


def _known_keys(location: tuple[int | str, ...]) -> str:
    tables: dict[str, type[BaseModel]] = {
        "pipeline": PipelineSettings,
        "bus": BusSettings,
        "worker": WorkerSettings,
        "streams": StreamSettings,
    }
    if len(location) == 1:
        return f"the tables are {', '.join(tables)}"
    return f"[{location[0]}] has {', '.join(tables[str(location[0])].model_fields)}"
