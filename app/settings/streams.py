"""The tables `[streams.<name>]`: what a stream needs beyond its schema, and which rules its rows keep."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from app.settings.section import Policy, Section, TopicName

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


class StreamSettings(Section):
    """What one stream needs beyond its schema, which the registry holds."""

    topic: TopicName | None = None  # default `<prefix>.<stream>`
    key: tuple[str, ...] = ("symbol",)  # the columns whose values make the message key
    sequence: str | None = None  # int64 column that orders rows of equal time; none: the order of arrival
    grace_ns: Annotated[int, Field(ge=0)] | None = None  # default `pipeline.grace_ns`
    # Columns to read, besides key, clocks and sequence, and of a right stream to carry; none: all that can be
    # columns. A name with dots is the path of a field within records: "price.bid" becomes the column
    # price_bid.
    columns: tuple[str, ...] | None = None
    incompatible: Literal["fail", "dead"] = "fail"  # messages of a schema of this topic that cannot be read
    rules: RulesSettings = RulesSettings()  # a row that breaks one is dead, dropped, or stops the worker
    idle_after_ms: Annotated[int, Field(ge=1)] | None = None  # default `pipeline.idle_after_ms`
    late: Policy | None = None  # default `worker.late`
