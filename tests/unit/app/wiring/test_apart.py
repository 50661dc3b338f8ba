"""Code of somebody else changes nothing outside of it, and ends as an exception; no pickle is a model."""

import decimal
import io
import pickle
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from app.wiring.apart import Apart, Ended
from operators.tiles.calls import TileError
from tests.stage.model_files import HEAD, PLAIN, Planted, fitted


def settings() -> tuple[Any, ...]:
    return np.geterr(), decimal.getcontext().prec, list(warnings.filters)


def set_all() -> None:
    np.seterr(all="raise")
    decimal.getcontext().prec = 3


def as_loaded() -> None:
    set_all()
    warnings.simplefilter("error")


def test_what_a_file_sets_holds_in_its_calls_and_nowhere_else() -> None:
    before, apart = settings(), Apart()
    apart.load(as_loaded)
    assert settings() == before
    assert apart.call(np.geterr)["over"] == "raise"
    assert apart.call(decimal.getcontext).prec == 3


def test_what_a_call_sets_is_gone_with_it() -> None:
    before, apart = settings(), Apart()
    apart.call(set_all)
    assert settings() == before
    assert apart.call(np.geterr) == before[0]
    assert apart.call(decimal.getcontext).prec == before[1]


def leave() -> None:
    sys.exit(0)


def panic() -> None:
    raise pl.exceptions.PanicException("boom")


@pytest.mark.parametrize(("end", "words"), [(leave, "SystemExit: 0"), (panic, "PanicException: boom")])
def test_an_exit_and_a_panic_are_exceptions_with_their_traceback(end: Any, words: str) -> None:
    with pytest.raises(Ended, match=words) as raised:
        Apart().call(end)
    assert traceback.extract_tb(raised.value.__traceback__)[-1].name == end.__name__
    with pytest.raises(Ended, match=words):
        Apart().load(end)


def test_an_interrupt_passes() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Apart().call(interrupted)


WAYS = {
    "another name of it": ("import _pickle\n", "_pickle.loads(raw)"),
    "a name of pandas": ("import io\nfrom pandas import read_pickle\n", "read_pickle(io.BytesIO(raw))"),
    "by its place": ("import io\n", "np.load(io.BytesIO(raw), None, True)[0]"),
    "by keywords": ("import io\n", "np.load(io.BytesIO(raw), **{'allow_' + 'pickle': True})[0]"),
}


@pytest.mark.parametrize("way", WAYS)
def test_no_model_is_made_out_of_a_pickle_whichever_way_its_source_goes(tmp_path: Path, way: str) -> None:
    imports, loads = WAYS[way]
    models = fitted(tmp_path, imports + HEAD + PLAIN.replace("float(raw)", loads))
    planted = io.BytesIO()
    if "np.load" in loads:
        np.save(planted, np.array([Planted()], dtype=object), allow_pickle=True)
    else:
        pickle.dump(Planted(), planted)
    before = Planted.calls
    with pytest.raises(TileError, match="cannot be loaded: PickleFound"):
        models.fitted.load(models.fitted.store.put(planted.getvalue()))
    assert Planted.calls == before
    assert pickle.loads(pickle.dumps(Path())) == Path()  # noqa: S301 (of others, pickles are as they were)
