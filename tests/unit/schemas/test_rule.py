from dataclasses import replace

import pytest

from schemas.rule import Rule, RuleError, parse_rule

RULE = Rule(
    clock="event",
    direction="backward",
    allow_exact=True,
    tolerance_ns=5_000_000_000,
    carry="row",
    columns="1a2b3c4d",
    keys="5e6f7a8b",
)
FAR = Rule(
    clock="known",
    direction="nearest",
    allow_exact=False,
    tolerance_ns=2**63 - 1,
    carry="column",
    columns="00000000",
    keys="ffffffff",
    formulas="01234567",
)


def test_a_rule_is_one_line_of_ascii_that_reads_back() -> None:
    assert str(RULE) == "event backward exact row tolerance=5000000000 columns=1a2b3c4d keys=5e6f7a8b"
    for rule in (RULE, FAR, replace(RULE, tolerance_ns=None), replace(RULE, tolerance_ns=0)):
        text = str(rule)
        assert text.isascii()
        assert len(text) <= 130
        assert parse_rule(text) == rule


@pytest.mark.parametrize(
    "text",
    ["", f"{RULE} more=1", f"{RULE}\n", str(RULE).replace("backward", "sideways"), str(RULE)[:-1]],
)
def test_another_text_is_no_rule(text: str) -> None:
    with pytest.raises(RuleError, match="not a rule"):
        parse_rule(text)


def test_a_difference_is_in_words_with_both_sides() -> None:
    assert RULE.differences(RULE) == ()
    assert RULE.differences(replace(RULE, tolerance_ns=500_000_000)) == ("tolerance 5 s -> 500 ms",)
    assert RULE.differences(replace(RULE, tolerance_ns=None)) == ("tolerance 5 s -> none",)
    assert RULE.differences(FAR) == (
        "clock event -> known",
        "direction backward -> nearest",
        "allow_exact true -> false",
        "tolerance 5 s -> 9,223,372,036.854775807 s",
        "carry row -> column",
        "columns changed",
        "keys changed",
        "formulas changed",
    )


def test_tolerances_that_differ_by_a_nanosecond_read_apart() -> None:
    (words,) = RULE.differences(replace(RULE, tolerance_ns=5_000_000_001))
    assert words == "tolerance 5 s -> 5.000000001 s"
    (words,) = replace(RULE, tolerance_ns=0).differences(replace(RULE, tolerance_ns=1_500))
    assert words == "tolerance 0 ns -> 1.5 µs"


def test_a_rule_is_described_by_what_is_not_the_default() -> None:
    assert RULE.describe() == "tolerance 5 s"
    assert FAR.describe() == "tolerance 9,223,372,036.854775807 s, nearest, strict, carry column"


def test_equal_digests_are_equal_rules() -> None:
    rules = [RULE, FAR, replace(RULE, tolerance_ns=None), replace(RULE, formulas="01234567")]
    assert len({rule.digest for rule in rules}) == len(rules)
    assert parse_rule(str(RULE)).digest == RULE.digest
