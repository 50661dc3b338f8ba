"""What a check tells of models: whether a fit is the same twice, hangs on no later row, and how it rounds."""

from typing import Final

import numpy as np
import pyarrow as pa

from app.fit.fitting import FittedModel, fit_model, predicted
from app.fit.samples import Samples, samples_of
from app.fit.splits import trainable
from app.graph.outcome import Outcome
from app.graph.trial import Difference, Outputs, Trial
from app.wiring.models import FittedModels, Floats, matrix_of
from operators.graph.plan import PlannedNode
from operators.tiles.settings import ModelSettings
from schemas.clocks import NS_PER_S

WHAT: Final = "a fit twice, and with the rows behind its moment replaced; tiles of 1 and 1,000 rows"
TILE_ROWS: Final = 1_000
ROWS_MAX: Final = 5_000  # that are predicted one by one
SHARE: Final = 0.6  # of the labels: as of when they are known the model is fitted
ONCE: Final = ("fitted once", "fitted again")
NOT_THE_SAME: Final = (
    "not the same twice: fit gives another artefact of the same rows; give it a seed, and one thread"
)
LEAKS: Final = "looks ahead: rows that are not known at the moment of its fit change it"
ROUNDS: Final = (
    "predict rounds by batch: give it tile = ..., so short that it holds one row, or let predict take one "
    "row after another (sums over columns, and no product of matrices)"
)


def has_models(trial: Trial) -> bool:
    """Whether any node has a model."""
    tiles = [] if trial.plan is None else [node.tiles for node in trial.plan.nodes]
    return any(one is not None and one.settings.model is not None for one in tiles)


def models(trial: Trial, wanted: Outputs, draws: np.random.Generator) -> Outcome:
    """Every model of the graph, fitted with the labels of the day that are known by a moment of it."""
    plan = trial.plan
    assert plan is not None, "models are of a plan"
    words = []
    for node in plan.nodes:
        models_of = None if node.tiles is None else node.tiles.function.models
        if node.tiles is None or node.tiles.settings.model is None or not isinstance(models_of, FittedModels):
            continue
        model = node.tiles.settings.model
        samples = samples_of(model, pa.Table.from_batches([wanted[model.y_node]]), trial.on)
        if not samples.rows:
            words.append(f"{node.name} has no row with a label to be fitted with")
            continue
        moment_ns = int(np.quantile(samples.known_ns, SHARE, method="lower")) + 1
        train = trainable(samples, moment_ns, model.fit, plan.sessions)
        if not train.any():
            words.append(f"{node.name} has no label that is known before its embargo")
            continue
        made = fit_model(models_of.fitted, samples.choose(train))
        apart = _fit_apart(trial, node, models_of, samples, moment_ns, made, draws)
        apart = apart or _rounds(trial, node, model, wanted, made)
        if apart is not None:
            return apart
        words.append(f"{node.name} equal")
    return Outcome("models", WHAT, "; ".join(words))


def _fit_apart(
    trial: Trial,
    node: PlannedNode,
    models_of: FittedModels,
    samples: Samples,
    moment_ns: int,
    made: FittedModel,
    draws: np.random.Generator,
) -> Outcome | None:
    """What a fit hangs on besides the rows that train; None where it is nothing."""
    assert trial.plan is not None
    assert node.tiles is not None
    assert node.tiles.settings.model is not None
    fit = node.tiles.settings.model.fit
    train = trainable(samples, moment_ns, fit, trial.plan.sessions)
    again = fit_model(models_of.fitted, samples.choose(train))
    if again.raw != made.raw:
        return _outcome(Difference(node.name, ""), NOT_THE_SAME, ONCE)
    poisoned = _poisoned(samples, moment_ns, draws)
    others = fit_model(
        models_of.fitted, poisoned.choose(trainable(poisoned, moment_ns, fit, trial.plan.sessions))
    )
    if others.raw != made.raw:
        return _outcome(Difference(node.name, ""), LEAKS, ("as it was", "with other rows behind it"))
    return None


def _poisoned(samples: Samples, moment_ns: int, draws: np.random.Generator) -> Samples:
    """Samples with others in the place of all whose label is not known by a moment."""
    later = samples.known_ns >= moment_ns
    shape = samples.x.shape
    return samples._replace(
        x=np.where(later[:, None], samples.x * draws.uniform(-2.0, 2.0, shape), samples.x),
        y=np.where(later, draws.permutation(samples.y) + 1.0, samples.y),
        known_ns=np.where(
            later, samples.known_ns + draws.integers(0, NS_PER_S, samples.rows), samples.known_ns
        ),
    )


def _rounds(
    trial: Trial, node: PlannedNode, model: ModelSettings, wanted: Outputs, made: FittedModel
) -> Outcome | None:
    """Where a model gives a row other bits alone than among others; None where it does nowhere."""
    rows = wanted[node.name]
    x = matrix_of(rows.column(name) for name in model.x)
    places = np.flatnonzero(np.isfinite(x).all(axis=1))[:ROWS_MAX]
    one, many = (_in_tiles(made, x[places], count) for count in (1, TILE_ROWS))
    apart = (one.view(np.int64) != many.view(np.int64)).any(axis=1)
    if not apart.any():
        return None
    at = int(apart.argmax())
    column = int((one[at].view(np.int64) != many[at].view(np.int64)).argmax())
    place = int(places[at])
    key = tuple(rows.column(part)[place].as_py() for part in trial.key_of(node.name))
    time_ns = rows.column(trial.on)[place].as_py()
    values = (float(one[at, column]), float(many[at, column]))
    difference = Difference(node.name, node.features.columns[column], key, time_ns, *values)
    return _outcome(difference, ROUNDS, ("in a tile of its own", f"in one of {TILE_ROWS:,} rows"))


def _in_tiles(made: FittedModel, x: Floats, rows: int) -> Floats:
    parts = [predicted(made.prediction, x[lower : lower + rows]) for lower in range(0, len(x), rows)]
    return np.concatenate(parts) if parts else np.empty((0, 1))


def _outcome(apart: Difference, cause: str, ways: tuple[str, str]) -> Outcome:
    return Outcome("models", WHAT, "differs", apart, cause, ways)
