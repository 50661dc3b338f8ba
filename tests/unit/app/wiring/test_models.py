"""Models of the user: which objects are models, what their artefacts may be, and how records are kept."""

import io
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from app.errors import RunError
from app.wiring.model_store import ModelRecord, ModelStore, RecordError, read_record
from operators.tiles.calls import TileError
from tests.stage.model_files import HEAD, PLAIN, Planted, fitted, load
from tests.stage.pages import page_model

RECORD = ModelRecord("score", "0" * 16, 7, "ab" * 32, 9, "1" * 16)


ROWS = pa.record_batch({"a": [1.0, 2.0, None, 4.0], "b": pa.array([1, 2, 3, 4], pa.int64())})


@pytest.mark.parametrize(("name", "times"), [("Sum", 1.0), ("doubled", 2.0)])
def test_a_class_or_a_function_that_makes_a_model_is_named(tmp_path: Path, name: str, times: float) -> None:
    models = fitted(tmp_path, HEAD + PLAIN, name)
    kind = models.fitted.kind
    sha256 = models.fitted.store.put(kind.as_bytes(kind.make()))
    made = models.fitted.load(sha256)(ROWS)
    assert made["score"].to_pylist() == [2.0 * times, 4.0 * times, None, 8.0 * times]


def test_a_model_may_give_several_columns(tmp_path: Path) -> None:
    text = HEAD + PLAIN.replace("sum(x.T) * self.times", "x * self.times")
    models = fitted(tmp_path, text, returns={"one": "float64", "two": "float64"})
    made = models.fitted.of(models.fitted.kind.make())(ROWS)
    assert made["two"].to_pylist() == [1.0, 2.0, None, 4.0]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("list(x[:, 0])", "predict gave list"),
        ("x[:1, 0]", r"shape \(1,\) for 3 rows"),
        ("x", r"shape \(3, 2\) for 3 rows"),
        ("x[:, 0].astype('float32')", "an array of float32"),
    ],
)
def test_what_is_not_a_value_for_each_row_is_refused(tmp_path: Path, value: str, message: str) -> None:
    models = fitted(tmp_path, HEAD + PLAIN.replace("sum(x.T) * self.times", value))
    with pytest.raises(ValueError, match=message):
        models.fitted.of(models.fitted.kind.make())(ROWS)


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        (HEAD + PLAIN, "Summ", "my_models.py has no model Summ; Sum?"),
        (HEAD + PLAIN.replace("times=1.0", "times"), "Sum", "made without arguments"),
        (HEAD + PLAIN.replace("def predict", "def other"), "Sum", "Sum is no model"),
        (HEAD + PLAIN.replace("def save", "def other"), "Sum", "Sum has no save and load"),
        (
            "import pickle\n\n\n" + PLAIN.replace("float(raw)", "pickle.loads(raw)"),
            "Sum",
            "it reaches pickle",
        ),
        (
            HEAD + PLAIN.replace("float(raw)", "np.load(raw, allow_pickle=True)"),
            "Sum",
            "my_models.py:21: allow_pickle other than False is in it",
        ),
        (
            "import pandas as pd\n\n\n" + PLAIN.replace("float(raw)", "pd.read_pickle(raw)"),
            "Sum",
            "my_models.py:21: read_pickle is in it",
        ),
        ("import joblib_like\n\n\n" + PLAIN.replace("float(raw)", "joblib_like.x"), "Sum", "joblib_like"),
    ],
)
def test_what_is_no_model_is_refused_with_its_place(
    tmp_path: Path, text: str, name: str, message: str
) -> None:
    function, why = load(tmp_path, text, name)
    assert function is None
    assert message in why


def test_the_source_of_a_model_is_its_meaning(tmp_path: Path) -> None:
    one = load(tmp_path, HEAD + PLAIN)[0]
    other = load(tmp_path, HEAD + PLAIN.replace("pass", "self.times = float(y.mean())"))[0]
    words = load(tmp_path, HEAD + PLAIN.replace("times a number", "times some number"))[0]
    assert one is not None
    assert other is not None
    assert words is not None
    assert one.meaning == words.meaning != other.meaning
    assert one.place == "my_models.py:4"


def test_an_estimator_of_scikit_learn_is_kept_without_pickle(tmp_path: Path) -> None:
    pytest.importorskip("skops", reason="the group `models` is not installed")
    text = (
        "from sklearn.tree import DecisionTreeRegressor\n\n\ndef tree():\n"
        "    return DecisionTreeRegressor(max_depth=3, random_state=1)\n"
    )
    models = fitted(tmp_path, text, "tree")
    kind = models.fitted.kind
    draws = np.random.default_rng(1)
    x, y = draws.normal(size=(200, 2)), draws.normal(size=200)
    one, two = kind.make(), kind.make()
    one.fit(x, y)
    two.fit(x, y)
    raw = kind.as_bytes(one)
    assert raw == kind.as_bytes(two)
    assert np.array_equal(kind.of_bytes(raw).predict(x), one.predict(x))
    bad = fitted(tmp_path, text, "DecisionTreeRegressor")
    with pytest.raises(TileError, match="cannot be loaded"):
        bad.fitted.load(bad.fitted.store.put(b"no archive"))


def test_a_model_of_pytorch_is_kept_without_pickle(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed (TORCH=0)")
    text = page_model("import torch")
    models = fitted(tmp_path, text, "Net")
    kind = models.fitted.kind
    draws = np.random.default_rng(1)
    x = draws.normal(size=(300, 2))
    y = np.abs(x[:, 0]) - x[:, 1]
    one, two = kind.make(), kind.make()
    one.fit(x, y)
    two.fit(x, y)
    raw = kind.as_bytes(one)
    assert raw == kind.as_bytes(two)
    again = kind.of_bytes(raw)
    assert np.array_equal(again.predict(x), one.predict(x))
    assert np.square(one.predict(x) - y).mean() < np.var(y) / 4  # it did learn
    planted = io.BytesIO()
    torch.save({"level": Planted()}, planted)
    with pytest.raises(TileError, match=r"cannot be loaded: UnpicklingError"):
        models.fitted.load(models.fitted.store.put(planted.getvalue()))
    assert Planted.calls == 0
    loose = text.replace("weights_only=True", "weights_only=False")
    function, why = load(tmp_path, loose, "Net")
    assert function is None
    assert "weights_only other than True is in it" in why


def test_an_artefact_of_other_bytes_is_refused(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    sha256 = store.put(b"one")
    assert store.get(sha256) == b"one"
    store.path(sha256).write_bytes(b"two" * 10_000_000)
    tracemalloc.start()
    with pytest.raises(TileError, match="another file than its name says"):
        store.get(sha256)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000  # bytes: it is refused before it is in memory
    tracemalloc.stop()


def test_a_load_that_hangs_is_ended_as_a_call_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = tmp_path / "ended"
    monkeypatch.setattr("app.wiring.models.end_process", ended.write_text)
    text = PLAIN.replace(
        "return cls(float(raw))", f"while not Path({str(ended)!r}).exists():\n            pass"
    )
    models = fitted(tmp_path, "from pathlib import Path\n\n\n" + text, time_limit_ms=50)
    models.fitted.load(models.fitted.store.put(b"1.0"))
    assert ended.read_text().endswith("node score: predict or load took longer than time_limit = 50ms")


def test_records_are_kept_by_model_meaning_and_moment(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    assert store.records() == []
    store.add([RECORD, RECORD._replace(valid_from_ns=3)])
    store.add([RECORD])
    assert [one.valid_from_ns for one in store.records()] == [3, 7]
    with pytest.raises(RunError, match="take that back"):
        store.add([RECORD._replace(sha256="cd" * 32)])
    assert store.take_back("score", "0" * 16, 7) == RECORD
    assert store.take_back("score", "0" * 16, 7) is None
    assert [one.valid_from_ns for one in store.records()] == [3]


def test_a_moment_with_another_artefact_is_found_before_anything_is_written(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    other = RECORD._replace(sha256="cd" * 32)
    store.require_free([RECORD, RECORD])
    with pytest.raises(RunError, match="with another artefact"):
        store.require_free([RECORD, other])
    assert store.records() == []
    store.add([RECORD])
    with pytest.raises(RunError, match="with another artefact"):
        store.require_free([other._replace(valid_from_ns=3), other])
    assert store.records() == [RECORD]


def test_a_record_is_read_as_it_was_written() -> None:
    assert read_record(RECORD.value()) == RECORD


@pytest.mark.parametrize("value", [b"{}", b"[]", b"no", RECORD.value().replace(b"7", b'"7"'), b"\xff"])
def test_what_is_no_record_is_refused(value: bytes) -> None:
    with pytest.raises(RecordError, match="is no record of a model"):
        read_record(value)


def test_a_folder_with_something_else_is_refused_with_its_line(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    store.add([RECORD])
    with (store.folder / "records.jsonl").open("a") as file:
        file.write("nothing\n")
    with pytest.raises(RunError, match=r"records\.jsonl:2 is no record"):
        store.records()
