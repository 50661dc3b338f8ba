"""The variables of `make replay` are flags of the command, by the names that the Makefile gives them."""

import re

import typer

from app.cli import app
from app.commands import replay
from tests.stage.programs import ROOT


def test_every_variable_of_make_replay_is_a_flag() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    flags = {flag for option in commands[replay.replay.__name__].params for flag in option.opts}
    makefile = (ROOT / "Makefile").read_text()
    said = makefile[makefile.index("REPLAY_FLAGS =") :].partition("\n\n")[0]
    passed = dict(re.findall(r"\$\(call flag,(\w+),([\w-]+)\)", said))
    assert {f"--{flag}" for flag in passed.values()} <= flags
    assert (passed["TOLERANCE"], passed["GRACE"]) == ("tolerance", "grace")
    assert (passed["TOLERANCE_NS"], passed["GRACE_NS"]) == ("tolerance-ns", "grace-ns")
