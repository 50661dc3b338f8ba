"""A run of fits: every fit of a mode made, measured, written down, and said in a line."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from app.config import Settings
from app.errors import RunError
from app.fit.fitting import FittedModel, fit_model, measured
from app.fit.history_rows import FitSource
from app.fit.splits import Fit, Mode, Shares, fits_of
from app.wiring.model_store import ModelRecord, ModelStore
from app.wiring.sessions import graph_sessions
from schemas.clocks import NS_PER_S

if TYPE_CHECKING:
    from schemas.batch import Int64s


class Wish(NamedTuple):
    """What a run of fits is to do.

    `valid_from_ns`  from when the one model of a mode is valid; None for the moment of its fit.
    """

    mode: Mode
    shares: Shares = Shares()
    valid_from_ns: int | None = None


def run_fits(
    settings: Settings, source: FitSource, wish: Wish, say: Callable[[str], None]
) -> list[ModelRecord]:
    """Make the fits of a mode over samples; their artefacts are written to the folder of models.

    The records are for the caller to add, once nothing can refuse them any more.  A fold leaves neither.  A
    moment of a rolling mode before which nothing can train, or nothing more than at the moment before, is
    passed over.  Raises RunError where a fit fails, and where a moment is recorded with another artefact.
    """
    store = ModelStore.of(settings)
    records: list[ModelRecord] = []
    trained: Int64s | None = None
    sessions = graph_sessions(settings)
    for fit in fits_of(wish.mode, source.samples, source.model.fit, sessions, wish.shares):
        if not fit.train.size and wish.mode == "rolling":
            say(f"{_moment_words(fit)}: too few rows before it")
            continue
        if wish.mode == "rolling" and trained is not None and np.array_equal(trained, fit.train):
            continue
        trained = fit.train
        made = fit_model(source.fitted.fitted, source.samples.choose(fit.train))
        artefact = ""
        if fit.moment_ns is not None:
            record = _record(
                source, fit.moment_ns if wish.valid_from_ns is None else wish.valid_from_ns, made, store
            )
            records.append(record)
            artefact = f", artefact {record.sha256[:12]}"
        say(f"{_moment_words(fit)}: {made.rows:,} rows{artefact}")
        for name, places in fit.tests.items():
            say(f"  {name:<10} {measured(made.prediction, source.samples.choose(places)).words}")
    if not records and wish.mode != "folds":
        raise RunError(
            f"{source.node}: no moment of these days has rows before it for as long as fit.over says: take "
            "more days, or another mode"
        )
    store.require_free(records)
    return records


def moment_words(time_ns: int) -> str:
    """A moment for a person: UTC, to the second."""
    return f"{datetime.fromtimestamp(time_ns // NS_PER_S, UTC):%Y-%m-%d %H:%M:%S}"


def record_line(record: ModelRecord) -> str:
    """A record for a person."""
    moment = f"{moment_words(record.valid_from_ns)} ({record.valid_from_ns})"
    return f"{record.model} {record.meaning}  from {moment}  {record.sha256[:12]}  {record.rows:,} rows"


def _moment_words(fit: Fit) -> str:
    return fit.name if fit.moment_ns is None else f"{fit.name} as of {moment_words(fit.moment_ns)}"


def _record(source: FitSource, valid_from_ns: int, made: FittedModel, store: ModelStore) -> ModelRecord:
    return ModelRecord(
        model=source.node,
        meaning=source.own.meaning,
        valid_from_ns=valid_from_ns,
        sha256=store.put(made.raw),
        rows=made.rows,
        graph=source.graph,
    )
