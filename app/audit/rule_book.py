"""The rules that rows of one partition were matched by: the settings' own, and others that frames name."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from app.audit.join import Rules
from app.audit.report import RuleChange
from app.audit.rules import UNJUDGED
from schemas.clocks import END_NS
from schemas.rule import Rule, RuleError, parse_rule

UNKNOWN: Final = "unknown"


class RuleBook:
    """Numbers rules as frames come by; number 0 are those of the settings, also of frames that name none.

    A rule of another clock, of other keys or of a later version cannot be judged by: UNJUDGED.
    """

    def __init__(self, partition: int, rules: Rules, settings: Rule) -> None:
        self.changes: list[RuleChange] = []
        self._partition = partition
        self._settings = settings
        self._rules = [rules]
        self._numbers = {"": 0, str(settings): 0}
        self._by_match = {_match(settings): 0}
        self._last: Rule | None = None

    @property
    def rules(self) -> Sequence[Rules]:
        """The rules by their numbers."""
        return self._rules

    @property
    def ahead_ns(self) -> int:
        """How far ahead of a left row its match may lie, by any of the rules."""
        return max(rules.ahead_ns for rules in self._rules)

    def number(self, text: str) -> int:
        """The number of the rule that a frame names."""
        if text not in self._numbers:
            self._numbers[text] = self._new(text)
        return self._numbers[text]

    def note(self, text: str, first_ns: int) -> None:
        """The rows of a frame, the first of which is of `first_ns`, were matched by this rule."""
        if not text or (self._last is not None and str(self._last) == text):
            return
        try:
            rule = parse_rule(text)
        except RuleError:
            return
        if self._last is not None:
            words = ", ".join(self._last.differences(rule))
            self.changes.append(RuleChange(self._partition, first_ns, words))
        self._last = rule

    def end(self) -> None:
        """No row follows: say where the last ones were matched by another rule than the settings have."""
        if self._last is not None and self._last != self._settings:
            words = ", ".join(self._last.differences(self._settings))
            told = f"{words} in these settings, by which no row was matched yet"
            self.changes.append(RuleChange(self._partition, END_NS, told))

    def _new(self, text: str) -> int:
        try:
            rule = parse_rule(text)
        except RuleError:
            return UNJUDGED
        if (rule.clock, rule.keys) != (self._settings.clock, self._settings.keys):
            return UNJUDGED
        if _match(rule) not in self._by_match:
            own = self._rules[0].pipeline.model_copy(
                update={
                    "direction": rule.direction,
                    "allow_exact": rule.allow_exact,
                    "tolerance_ns": rule.tolerance_ns,
                    "carry": rule.carry,
                }
            )
            self._by_match[_match(rule)] = len(self._rules)
            self._rules.append(replace(self._rules[0], pipeline=own))
        return self._by_match[_match(rule)]


def _match(rule: Rule) -> tuple[object, ...]:
    """What decides which right row is matched; columns that a row lacks are known by its layout."""
    return rule.direction, rule.allow_exact, rule.tolerance_ns, rule.carry


def formulas_of(text: str) -> str:
    """The formulas of a rule as a frame names it, empty where it names none; UNKNOWN of a later version."""
    try:
        return parse_rule(text).formulas if text else ""
    except RuleError:
        return UNKNOWN
