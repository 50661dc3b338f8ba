"""`dashboards`: what Prometheus and Grafana are given to watch a pipeline with."""

from typing import Annotated

import typer

from app.cli import app
from app.metrics.dashboard import dashboard_text
from app.metrics.reference import reference_text
from app.metrics.rules import RUNBOOKS, rules_text

dashboards_app = typer.Typer(
    help="Print alert rules for Prometheus, a dashboard for Grafana, and the list of all metrics.",
    no_args_is_help=True,
)
app.add_typer(dashboards_app, name="dashboards")


@dashboards_app.command()
def grafana() -> None:
    """Print the dashboard as JSON, to be imported into Grafana.

    Example: python -m app dashboards grafana
    """
    typer.echo(dashboard_text(), nl=False)


@dashboards_app.command()
def rules(
    runbooks: Annotated[
        str, typer.Option(help="Address of the page about alerts, for their annotation runbook_url.")
    ] = RUNBOOKS,
) -> None:
    """Print the alert rules as YAML, for rule_files of Prometheus.

    Example: python -m app dashboards rules --runbooks https://example.org/alerts.md
    """
    typer.echo(rules_text(runbooks), nl=False)


@dashboards_app.command()
def metrics() -> None:
    """Print every metric with its type, its labels and what it says, as Markdown.

    Example: python -m app dashboards metrics
    """
    typer.echo(reference_text(), nl=False)
