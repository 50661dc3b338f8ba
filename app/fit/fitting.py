"""A model fitted with samples: its artefact, which comes back as it was, and how well it does."""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from app.errors import RunError
from app.fit.samples import Samples
from app.wiring.apart import without_pickle
from app.wiring.function_source import SourceError
from app.wiring.models import Fitted, Floats, Prediction
from operators.tiles.calls import failure_words


class FittedModel(NamedTuple):
    """An artefact, what it gives, and how many samples it was fitted with."""

    raw: bytes
    prediction: Prediction
    rows: int


class Measure(NamedTuple):
    """How well a model does on some rows; None where it cannot be said.

    `error`        the mean of the squared differences between label and prediction.
    `correlation`  between both, -1 to 1.
    `hits`         the share of rows with a label other than 0 whose sign is that of the prediction.
    """

    rows: int
    error: float | None = None
    correlation: float | None = None
    hits: float | None = None

    @property
    def words(self) -> str:
        """In a line."""
        if not self.rows:
            return "no rows"
        parts = [f"{self.rows:,} rows"]
        parts += [] if self.error is None else [f"squared error {self.error:.4g}"]
        parts += [] if self.correlation is None else [f"correlation {self.correlation:+.3f}"]
        parts += [] if self.hits is None else [f"sign right {self.hits:.1%}"]
        return ", ".join(parts)


def fit_model(fitted: Fitted, samples: Samples) -> FittedModel:
    """Fit a new model with samples, and take its artefact back; raises RunError where either fails.

    The model gets copies: what it does to them stays with it.
    """
    model = _made(fitted, samples)
    try:
        raw = fitted.apart.call(fitted.kind.as_bytes, model)
        again = fitted.of(fitted.apart.call(without_pickle, fitted.kind.of_bytes, raw))
    except SourceError as wrong:
        raise RunError(str(wrong)) from None
    except Exception as wrong:  # whatever the model of somebody else raises
        raise RunError(f"{fitted.place}: save and load: {failure_words(wrong)}") from None
    few = samples.x[:1_000]
    apart = _first_apart(predicted(fitted.of(model), few), predicted(again, few))
    if apart is not None:
        raise RunError(
            f"{fitted.place}: what load gives predicts otherwise than what was saved, first for row {apart} "
            "of the training rows: save keeps too little"
        )
    return FittedModel(raw, again, samples.rows)


def predicted(prediction: Prediction, x: Floats) -> Floats:
    """What a model gives for rows, float64 [rows, columns]; raises RunError where it fails."""
    names = [str(number) for number in range(x.shape[1])]
    rows = pa.RecordBatch.from_arrays([pa.array(x[:, number]) for number in range(x.shape[1])], names=names)
    try:
        columns = list(prediction(rows).values())
    except Exception as wrong:  # whatever the model of somebody else raises
        raise RunError(f"predict: {failure_words(wrong)}") from None
    made = [column.cast(pa.float64()).to_numpy(zero_copy_only=False) for column in columns]
    return np.stack(made, axis=1)


def measured(prediction: Prediction, samples: Samples) -> Measure:
    """How well the first column of a model does on samples."""
    if not samples.rows:
        return Measure(0)
    made, y = predicted(prediction, samples.x)[:, 0], samples.y
    whole = np.isfinite(made)
    made, y = made[whole], y[whole]
    if not made.size:
        return Measure(0)
    varies = made.size > 1 and float(np.ptp(made)) > 0 and float(np.ptp(y)) > 0
    signed = y != 0
    return Measure(
        int(made.size),
        float(np.mean((made - y) ** 2)),
        float(np.corrcoef(made, y)[0, 1]) if varies else None,
        float(np.mean(np.sign(made[signed]) == np.sign(y[signed]))) if signed.any() else None,
    )


def _made(fitted: Fitted, samples: Samples) -> Any:
    if not samples.rows:
        raise RunError(f"{fitted.place}: no row trains: take more days, or a shorter embargo")
    try:
        model = fitted.apart.call(fitted.kind.make)
        fitted.apart.call(model.fit, samples.x.copy(), samples.y.copy())
    except Exception as wrong:  # whatever the model of somebody else raises
        raise RunError(f"{fitted.place}: fit with {samples.rows:,} rows: {failure_words(wrong)}") from None
    return model


def _first_apart(one: Floats, other: Floats) -> int | None:
    """The first row in which two arrays are not the same bits."""
    apart = (one.view(np.int64) != other.view(np.int64)).any(axis=1)
    return int(apart.argmax()) if apart.any() else None
