"""A message names what was typed: variables of make, or flags; never the other."""

import pytest

from app.day.typed import as_typed


@pytest.mark.parametrize(
    ("flags", "variables"),
    [
        ("--date '2024-1-5' is not a date", "DATE='2024-1-5' is not a date"),
        ("--bus embedded and --bootstrap exclude", "BUS=embedded and BOOTSTRAP= exclude"),
        ("name a folder with --data, or a history", "name a folder with DATA=, or a history"),
    ],
)
def test_variables_become_flags_where_python_was_typed(flags: str, variables: str) -> None:
    assert as_typed(variables, by_make=False) == flags
    assert as_typed(variables, by_make=True) == variables


@pytest.mark.parametrize(
    ("flags", "variables"),
    [
        ("name another with --event or --known", "name another with EVENT= or KNOWN="),
        ("give --unit us, or --unit auto where", "give UNIT=us, or UNIT=auto where"),
        (
            "with --naive-as, such as --naive-as UTC or --naive-as America/New_York",
            "with NAIVE_AS=, such as NAIVE_AS=UTC or NAIVE_AS=America/New_York",
        ),
        ("name the --timezone whose days the files hold", "name the TIMEZONE= whose days the files hold"),
        ("--tolerance '2sec': expected a duration", "TOLERANCE='2sec': expected a duration"),
        ("--grace and --grace-ns are both", "GRACE= and GRACE_NS= are both"),
        ("leave it out with --drop 'x'", "leave it out with --drop 'x'"),
    ],
)
def test_flags_of_an_import_become_variables_where_make_was_typed(flags: str, variables: str) -> None:
    assert as_typed(flags, by_make=True) == variables
    assert as_typed(flags, by_make=False) == flags


def test_commands_of_python_and_paths_stay_as_they_are() -> None:
    command = "(python -m replay import mine --store build/x has further options; then replay from STORE=y)"
    assert as_typed(command, by_make=True) == command
    assert as_typed("mine/trades/DATE=2024/x.csv", by_make=False) == "mine/trades/DATE=2024/x.csv"
