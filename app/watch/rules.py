"""Which rule the tasks of a group seal by, as their commits say: one rule for all, that of the settings."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from schemas.rule import Rule, RuleError, parse_rule

_GROWN: Final = (
    "; the columns differ, since a schema or the settings have others by now: a worker takes them up as it "
    "starts"
)


class RuleReport(NamedTuple):
    """What is to be said of the rules of a group; `mixed` where its tasks have several."""

    words: str
    mixed: bool


def rule_report(rules: Mapping[int, str], own: Rule | None) -> RuleReport | None:
    """Compare the rules that tasks committed, by partition, with that of the settings.

    A rule is empty where nothing is known of it.  None where all is as the settings say.
    """
    tasks: dict[str, list[int]] = {}
    for number, text in sorted(rules.items()):
        if text:
            tasks.setdefault(text, []).append(number)
    if not tasks or (len(tasks) == 1 and (own is None or str(own) in tasks)):
        return None
    labels = _labels([*tasks, *([] if own is None else [str(own)])])
    parts = [f"{_names(numbers)} by {labels[text]}" for text, numbers in tasks.items()]
    verb = "seals" if len(next(iter(tasks.values()))) == 1 else "seal"
    parts[0] = parts[0].replace(" by ", f" {verb} by ", 1)
    settings = "" if own is None else f" (these settings say {labels[str(own)]})"
    why = _GROWN if any(" and columns " in label for label in labels.values()) else ""
    return RuleReport(f"{', '.join(parts)}{settings}{why}", len(tasks) > 1)


def _labels(texts: Iterable[str]) -> dict[str, str]:
    """Each rule in words; rules that read alike are told apart by the digests of what they differ in."""
    words: dict[str, str] = {}
    rules: dict[str, Rule] = {}
    for text in texts:
        try:
            rule = parse_rule(text)
        except RuleError:
            words[text] = f"a rule of a later version ({text})"
        else:
            words[text], rules[text] = rule.describe(), rule
    labels = dict(words)
    for text, rule in rules.items():
        alike = [other for other in rules if words[other] == words[text]]
        for part in ("columns", "keys", "formulas"):
            if len({getattr(rules[other], part) for other in alike}) > 1:
                labels[text] += f" and {part} {getattr(rule, part) or 'none'}"
    return labels


def _names(numbers: Sequence[int]) -> str:
    return f"task{'' if len(numbers) == 1 else 's'} {', '.join(map(str, numbers))}"
