"""Reading formulas: what is not of the language is refused at its place, and nothing is ever evaluated."""

import time

import pytest

from operators.formula.functions.table import FUNCTIONS
from operators.formula.read import DEPTH_MAX, NODES_MAX, TEXT_LENGTH_MAX, read_formula
from operators.formula.tree import Absent, Broken, Call, Constant, Name


def errors_of(text: str) -> list[tuple[str, str]]:
    """The message of each error and the part of the text it is of."""
    return [(error.message, text[error.start : error.end]) for error in read_formula(text)[1]]


REFUSED = [
    ("", "the formula is empty", ""),
    ("  # all of it a comment", "the formula is empty", "  # all of it a comment"),
    ("bid +", "the formula ends too early", "+"),
    ("bid ask", "the formula cannot be read: invalid syntax", "ask"),
    ("(bid", "the formula cannot be read: '(' was never closed", "("),
    ("bid) + (ask", "the formula cannot be read: unmatched ')'", ")"),
    ("bid = ask", "the formula cannot be read: invalid syntax", "="),
    ("a < bid < b", "one comparison at a time; write a < b and b < c", "a < bid < b"),
    ("1 + bid ** 2", "** is not part of formulas; write x * x", "bid ** 2"),
    ("bid // 2", "// is not part of formulas; / divides", "bid // 2"),
    ("a & b", "& is not part of formulas; write and", "a & b"),
    ("~a", "~ is not part of formulas; write not", "~a"),
    ("+bid", "a leading + is not part of formulas; leave it out", "+bid"),
    ("a is b", "'is' is not part of formulas; write ==", "a is b"),
    ("bid if up else ask", "'if ... else' is not part of formulas; write where(condition, a, b)", None),
    ("lambda: 1", "'lambda' is not part of formulas", None),
    (
        "1 + rows.price",
        "a dot after a name is not part of formulas; columns and features have plain names",
        "rows.price",
    ),
    ("price[0]", "[...] is not part of formulas", None),
    ("bid, ask", "a comma outside a call is not part of formulas; a formula is one value", None),
    ("bid + 'a'", "a text is no value of a formula; it can be compared: x == 'N'", "'a'"),
    ("f'{bid}'", "a text is no value of a formula", None),
    ("None", "None is not part of formulas; nulls come from the rows", None),
    ("1j * bid", "this is no value of a formula; there are numbers, True and False", "1j"),
    ("[x for x in bid]", "[...] is not part of formulas", None),
    ("(x for x in bid)", "this is not part of formulas", None),
    ("bid * 1e999", "the number is too large for a float64", "1e999"),
    (
        "9223372036854775808",
        "the number does not fit in 64 bits; with a decimal point it is a float",
        "9223372036854775808",
    ),
    ("mid @2", "@ gives a version and stands at the end, after a space: 'mid @2'; mid@2 is a column", None),
    ("1 + logg(bid)", "there is no function logg; log?", "logg"),
    ("Where(a, b, c)", "there is no function Where; where?", "Where"),
    ("open('/etc/passwd')", "there is no function open", "open"),
    ("sign(a, b)", "sign takes 1 value, not 2", "sign(a, b)"),
    (
        "where(up, 1)",
        "where takes 3 values (condition, value if true, value if false), not 2",
        "where(up, 1)",
    ),
    ("log(x, base=2)", "log has no setting base", "base=2"),
    ("min(a)", "min takes at least 2 values, not 1", None),
    ("min(a, b, skip=True)", "min has no setting skip; skip_null?", "skip=True"),
    ("min(a, b, **c)", "min has no setting **; it has skip_null", "**c"),
    ("min(a, b, skip_null=1)", "skip_null is True or False, not 1", "1"),
    ("min(a, b, skip_null=c)", "skip_null is a constant, and not computed from rows", "c"),
    ("power(x)", "power takes 2 values (value, k), not 1", None),
    ("power(x, 2, 3)", "power takes 2 values (value, k), not 3", None),
    ("power(x, 2, k=3)", "k is passed twice", "k=3"),
    ("power(x, y)", "k is a constant, and not computed from rows", "y"),
    ("power(x, -True)", "k is a constant, and not computed from rows", "-True"),
    ("power(x, 1e999)", "k is a number, not inf", "1e999"),
    ("power(x, '5m')", "k is a number, not '5m'; power computes from one row, and has no window", "'5m'"),
    ("clip()", "clip takes 1 to 3 values (value, lo, hi), not 0", None),
    ("clip(x)", "clip needs a bound: lo, hi or both", None),
    ("clip(x, 0, lo=1)", "lo is passed twice", "lo=1"),
    ("clip(x, lo=0, hi=-1)", "lo is at most hi, and 0 is more than -1", None),
    ("clip(x, low=0)", "clip has no setting low; lo?", "low=0"),
    ("sqrt(x, rows=5)", "sqrt computes from one row, and has no rows", "rows=5"),
    ("sqrt('5m')", "'5m' is a window, and no value of a formula", "'5m'"),
    ("sqrt('5x')", "a text is no value of a formula; it can be compared: x == 'N'", "'5x'"),
    ("mid(bid=a)", "bid is passed by its place: mid(bid, ask)", "bid=a"),
    ("mid(a, b, crossed='us')", "crossed is 'null' or 'use', not 'us'; use?", "'us'"),
    ("quote_age(a, output='stale')", "output='stale' needs max_age_ns='500ms', or another age", None),
    ("quote_age(a, max_age_ns=5)", "max_age_ns is of output='stale', which is not chosen", None),
    (
        "quote_age(a, output='stale', max_age_ns='5 m')",
        "max_age_ns is a length of time as '250ms' or in ns, not '5 m'",
        "'5 m'",
    ),
    (
        "quote_age(a, output='stale', max_age_ns=-1)",
        "max_age_ns is a length of time as '250ms' or in ns, not -1",
        "-1",
    ),
    ("f(x)(y)", "only a function can be called, by its name", None),
    (
        "2 * epps(mid, '5m')",
        f"epps is not there yet in this version; the functions are {', '.join(FUNCTIONS)}",
        "epps",
    ),
    ("lead(mid, rows=1)", "lead looks ahead; only a label node may, and labels are never served", "lead"),
    (
        "sample_asof(price, '1s')",
        "sample_asof changes the rows, so it is a node: 'A grid of moments' in docs/graph.md",
        "sample_asof",
    ),
    ("sum(size)", 'sum belongs to a node of bars: kind = "bars"', "sum"),
]


@pytest.mark.parametrize(("text", "message", "place"), REFUSED)
def test_what_is_not_of_the_language_is_refused_at_its_place(
    text: str, message: str, place: str | None
) -> None:
    assert errors_of(text) == [(message, text if place is None else place)]


def test_every_error_of_a_formula_is_reported() -> None:
    assert [place for _, place in errors_of("lead(a.b) + where(x) * 'a' + c[logg(1)]")] == [
        "lead",
        "a.b",
        "where(x)",
        "'a'",
        "c[logg(1)]",
        "logg",
    ]


def test_a_formula_is_a_tree_of_names_constants_and_calls() -> None:
    tree, errors = read_formula("-x / 2 + where(not up, -1.5, True)")
    assert not errors
    assert tree == Call(
        "add",
        (
            Call("divide", (Call("negate", (Name("x", 1, 2),), 0, 2), Constant(2, 5, 6)), 0, 6),
            Call(
                "where",
                (Call("not", (Name("up", 19, 21),), 15, 21), Constant(-1.5, 23, 27), Constant(True, 29, 33)),
                9,
                34,
            ),
        ),
        0,
        34,
    )


def test_and_of_three_is_and_of_the_first_two_and_the_third() -> None:
    assert read_formula("a and b and c") == (
        Call("and", (Call("and", (Name("a", 0, 1), Name("b", 6, 7)), 0, 7), Name("c", 12, 13)), 0, 13),
        [],
    )


def test_places_are_characters_of_the_text_as_it_is_written() -> None:
    text = "\n  größe  # é: a comment\n\t+ ß.x"
    assert [place for _, place in errors_of(text)] == ["ß.x"]
    tree, _ = read_formula("\n größe +\n 1 # é")
    assert isinstance(tree, Call)
    assert tree.operands == (Name("größe", 2, 7), Constant(1, 11, 12))


def test_settings_are_constants_by_name_and_defaults_are_filled_in() -> None:
    tree, errors = read_formula("min(a, b, c)")
    assert not errors
    assert tree == Call(
        "min", (Name("a", 4, 5), Name("b", 7, 8), Name("c", 10, 11)), 0, 12, (("skip_null", False),)
    )
    tree, _ = read_formula("clip(x, hi=5)")
    assert tree == Call("clip", (Name("x", 5, 6), Absent(0, 13), Constant(5, 11, 12)), 0, 13)
    for text in ("power(x, -2)", "power(x, k=-2.0)"):
        tree, _ = read_formula(text)
        assert isinstance(tree, Call)
        assert tree.settings == (("k", -2.0),)
    for written in ("'500ms'", "500_000_000", "'500000us'"):
        tree, _ = read_formula(f"quote_age(a, max_age_ns={written}, output='stale')")
        assert isinstance(tree, Call)
        assert tree.settings == (("output", "stale"), ("max_age_ns", 500_000_000))


def test_a_hash_in_a_text_begins_no_comment() -> None:
    assert [place for _, place in errors_of("'#' + \"'#\" + a.b")] == ["'#'", '"\'#"', "a.b"]


def test_the_smallest_integer_can_be_written() -> None:
    assert read_formula("-9223372036854775808")[0] == Constant(-(2**63), 0, 20)


BOMBS = [
    ("1" * (TEXT_LENGTH_MAX + 1), f"the formula has 4097 characters, at most {TEXT_LENGTH_MAX} are read"),
    ("1 +" * 10_000_000, f"the formula has 30000000 characters, at most {TEXT_LENGTH_MAX} are read"),
    ("-" * 4_000 + "x", "nested too deeply"),
    ("(" * 4_000, "too many nested parentheses"),
    ("not " * 1_000 + "x", f"more than {DEPTH_MAX} deep"),
    ("x" + "+x" * DEPTH_MAX, f"more than {DEPTH_MAX} deep"),
    ("x" + " and x" * 600, f"more than {DEPTH_MAX} deep"),
    ("where(" * DEPTH_MAX + "x" + ",x,x)" * DEPTH_MAX, f"more than {DEPTH_MAX} deep"),
    ("log(" + ",".join("x" * NODES_MAX) + ")", f"more than {NODES_MAX} parts"),
    ("1" * 4_000, "does not fit in 64 bits"),
    ("0x" + "f" * 4_000, "does not fit in 64 bits"),
    ("9 ** 9 ** 9 ** 9", "** is not part of formulas"),
    ("x\0y", "the character '\\x00' cannot be in a formula"),
    ("x + \ud800", "the character '\\ud800' cannot be in a formula"),
]


@pytest.mark.parametrize(("text", "message"), BOMBS, ids=range(len(BOMBS)))
def test_what_would_cost_much_is_refused_at_once(text: str, message: str) -> None:
    start = time.process_time()
    tree, errors = read_formula(text)
    assert time.process_time() - start < 1
    assert message in errors[0].message
    assert isinstance(tree, Broken)


def test_the_largest_sum_is_read() -> None:
    tree, errors = read_formula("x" + "+x" * (DEPTH_MAX - 1))
    assert not errors
    assert isinstance(tree, Call)
