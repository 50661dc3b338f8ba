"""How findings are shown: a table or JSON, a line for each problem, and exit 1 where there is one."""

import json
from collections.abc import Sequence
from dataclasses import asdict

import typer
from rich.table import Table
from rich.text import Text

from app.cli import console, say
from app.watch.finding import Finding


def show_findings(findings: Sequence[Finding], *, json_: bool) -> None:
    """Show what was found; raises typer.Exit where something is a problem."""
    if json_:
        console.print_json(json.dumps([asdict(finding) for finding in findings]))
    else:
        console.print(_table(findings))
    problems = [finding for finding in findings if finding.level == "problem"]
    for problem in problems:
        say(f"problem: {problem.what}: {problem.found}; {problem.advice}")
    if problems:
        raise typer.Exit(1)


def _table(findings: Sequence[Finding]) -> Table:
    colours = {"ok": "green", "note": "yellow", "problem": "bold red"}
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        table.add_row(Text(finding.level, colours[finding.level]), finding.what, Text(finding.found))
    return table
