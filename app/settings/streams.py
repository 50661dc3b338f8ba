"""The tables `[streams.<name>]`: what a stream needs beyond its schema, and which rules its rows keep."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from app.settings.section import Policy, Section, TopicName, WholeNs
from schemas.clocks import EVENT_NS, KNOWN_NS
from topics.times import Form

Format = Literal["avro", "json", "protobuf", "arrow"]
SCALE_MAX = 10**12  # beyond it a float has no such digits
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

    def columns_by_rule(self) -> dict[str, tuple[str, ...] | tuple[tuple[str, str], ...]]:
        """The columns of each rule, by its name: what decides which rows are left out."""
        return {name: rule.columns for name, rule in self._rules().items()}

    def columns(self) -> frozenset[str]:
        """The columns that some rule is about."""
        either = [one for columns in self.columns_by_rule().values() for one in columns]
        return frozenset(name for one in either for name in ([one] if isinstance(one, str) else one))

    def policies(self) -> dict[str, RulePolicy]:
        """The policy of each rule, by its name; a rule without one of its own is left out."""
        policies = {name: rule.policy for name, rule in self._rules().items()}
        return policies | ({"null_key": self.null_key} if self.null_key else {})

    def _rules(self) -> dict[str, ColumnRule | PairRule]:
        return {name: getattr(self, name) for name in type(self).model_fields if name != "null_key"}


class TimeSettings(Section):
    """Where the times of one clock come from: a field of the message, or the record's own time."""

    field: Annotated[str, Field(min_length=1)] | None = None  # a name, or a path with dots
    form: Form | None = None  # of numbers the unit, of text the unit or "iso"; none: the field's type says it
    zone: Annotated[str, Field(min_length=1)] | None = None  # of times that name none; none: they are refused
    record: bool = False  # the time that the producer or the broker gave the record, in ms

    @model_validator(mode="before")
    @classmethod
    def _table(cls, given: object) -> object:
        if isinstance(given, str):
            raise ValueError(f'a time needs a table: {{ field = "{given}", form = "ms" }}, or us, ns, s, iso')
        return given

    @model_validator(mode="after")
    def _one_source(self) -> "TimeSettings":
        if (self.field is None) == (not self.record):
            raise ValueError('say where the time is: field = "NAME", or record = true')
        if self.record and (self.form is not None or self.zone is not None):
            raise ValueError("the record's own time has no form and no zone: leave them out")
        return self


class FieldSettings(Section):
    """One column: the field it is read from, and for JSON its type; in the file the type may stand for it."""

    type: str | None = None  # as Arrow writes it: int64, double, string, bool, decimal128(18, 4)
    path: Annotated[str, Field(min_length=1)] | None = None  # ... with dots; none: the column's own name

    @model_validator(mode="before")
    @classmethod
    def _text_is_type(cls, given: object) -> object:
        return {"type": given} if isinstance(given, str) else given


class StreamSettings(Section):
    """What one stream needs beyond its schema, which the registry holds unless `format` says otherwise."""

    topic: TopicName | None = None  # default `<prefix>.<stream>`
    key: tuple[str, ...] = ("symbol",)  # the columns whose values make the message key
    sequence: str | None = None  # int64 column that orders rows of equal time; none: the order of arrival
    grace_ns: WholeNs | None = None  # default `pipeline.grace_ns`
    # Columns to read, besides key, clocks and sequence, and of a right stream to carry; none: all that can be
    # columns. A name with dots is the path of a field within records: "price.bid" becomes the column
    # price_bid.
    columns: tuple[str, ...] | None = None
    format: Format = (
        "avro"  # of messages; json has its columns in `fields`, arrow is another pipeline's output
    )
    # Where messages name their schemas: in a prefix of the value, nowhere, or in a header; none: as usual for
    # `format`.
    framing: Literal["prefix", "bare", "header"] | None = None
    schema_file: Path | None = (
        None  # avro: of bare messages, JSON; protobuf: a descriptor set, for want of ids
    )
    message: str | None = None  # protobuf: the message type in `schema_file`, where that has several
    fields: dict[str, FieldSettings] = Field(default_factory=dict)  # by column; in place of `columns`
    event_time: TimeSettings | None = None  # of the column event_ns; none: messages have it, as int64 ns
    known_time: TimeSettings | None = None  # of the column known_ns, likewise
    key_from: Literal["message", "columns"] = (
        "message"  # a row's key: the message's, or its key columns' text
    )
    incompatible: Literal["fail", "dead"] = "fail"  # messages of a schema of this topic that cannot be read
    rules: RulesSettings = RulesSettings()  # a row that breaks one is dead, dropped, or stops the worker
    # By column, a float or a decimal: what a graph computes with is whole numbers of units of 1/scale.
    scales: dict[str, Annotated[int, Field(ge=1, le=SCALE_MAX)]] = Field(default_factory=dict)
    # By column the name that a graph calls it by, close = "price"; joined to a left row it has the prefix.
    aliases: dict[str, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)
    idle_after_ms: Annotated[int, Field(ge=1)] | None = None  # default `pipeline.idle_after_ms`
    late: Policy | None = None  # default `worker.late`

    @model_validator(mode="after")
    def _format_has_what_it_needs(self) -> "StreamSettings":
        wrong = (
            _wrong_avro(self)
            if self.format == "avro"
            else _wrong_json(self)
            if self.format == "json"
            else _wrong_protobuf(self)
            if self.format == "protobuf"
            else _wrong_arrow(self)
        )
        if self.fields and self.columns is not None:
            wrong = "fields and columns are both given: fields says which columns there are"
        if self.format != "json" and (typed := [name for name, one in self.fields.items() if one.type]):
            wrong = (
                wrong or f"fields.{typed[0]}: messages of {self.format} say their types: leave the type out"
            )
        if self.message is not None and self.format != "protobuf":
            wrong = wrong or "message is the name of a Protobuf type: leave it out"
        wrong = wrong or _wrong_columns(self)
        if wrong:
            raise ValueError(wrong)
        return self

    @property
    def prefixed(self) -> bool:
        """Whether a schema id stands before each value."""
        if self.framing is None:
            return self.format in ("avro", "protobuf") and self.schema_file is None
        return self.framing == "prefix"

    @property
    def headed(self) -> bool:
        """Whether a header of each message names its schema."""
        return self.framing == "header"

    @property
    def names_schema(self) -> bool:
        """Whether each message names its schema."""
        return self.prefixed or self.headed


def _wrong_columns(stream: StreamSettings) -> str:
    if "" in stream.fields:
        return "fields has a column without a name"
    for clock, table, times in (
        (EVENT_NS, "event_time", stream.event_time),
        (KNOWN_NS, "known_time", stream.known_time),
    ):
        if clock in stream.fields and times is not None:
            return f"fields.{clock} and {table} both say the column {clock}: leave one of them out"
        if clock in stream.key:
            return f"key has {clock}, which is the time and no key: name what rows are about"
    if twice := [name for name in stream.key if stream.key.count(name) > 1]:
        return f"key has {twice[0]} twice: name each column once"
    return ""


def _wrong_avro(stream: StreamSettings) -> str:
    if not stream.names_schema and stream.schema_file is None:
        return 'framing = "bare" needs schema_file: bare Avro does not say its schema'
    if stream.names_schema and stream.schema_file is not None:
        return 'schema_file is for framing = "bare": the ids of messages say their schemas'
    return ""


def _wrong_json(stream: StreamSettings) -> str:
    if stream.headed:
        return "JSON is read by its fields, whatever a header says of its schema: leave framing out"
    if stream.schema_file is not None:
        return "JSON has its columns in fields, not in a schema_file"
    if not stream.fields:
        return (
            'format = "json" needs fields, the columns with their types; `python -m app topics infer` '
            "proposes them from a topic"
        )
    if untyped := [name for name, one in stream.fields.items() if one.type is None]:
        return f'fields.{untyped[0]} needs a type, such as {untyped[0]} = "double"'
    return ""


def _wrong_protobuf(stream: StreamSettings) -> str:
    if not stream.names_schema and stream.schema_file is None:
        return 'framing = "bare" needs schema_file: a bare Protobuf message does not say its type'
    if stream.names_schema and stream.schema_file is not None:
        return f"a {stream.framing} says the schema, so that schema_file is not read: leave one of them out"
    return ""


def _wrong_arrow(stream: StreamSettings) -> str:
    if stream.framing is not None or stream.schema_file is not None:
        return 'format = "arrow" says its schema in each message: leave framing and schema_file out'
    if stream.event_time is not None or stream.known_time is not None:
        return (
            'format = "arrow" has its times as they are, since each frame says how far these are complete: '
            "leave event_time and known_time out"
        )
    if stream.key_from != "columns":
        return 'format = "arrow" needs key_from = "columns": a message holds rows of many keys'
    return ""
