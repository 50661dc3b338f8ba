"""Objects that are models: a user's own with four methods, or an estimator of scikit-learn as it is."""

import inspect
import io
import json
import re
import zipfile
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final, NamedTuple

from app.wiring.function_source import Reached, SourceError

# What a file of theirs holds is run as it is loaded, whoever wrote it.
PICKLES: Final = frozenset({"pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"})
LIBRARY: Final = "sklearn."
SCHEMA: Final = "schema.json"
ID: Final = re.compile(r"\d{6,}")
WAYS: Final = (
    "write fit(self, x, y), predict(self, x), save(self) -> bytes and a classmethod load(cls, raw); an "
    "estimator of scikit-learn needs none of them"
)


class ModelKind(NamedTuple):
    """How models of one node are made, and become bytes and models again."""

    make: Callable[[], Any]
    as_bytes: Callable[[Any], bytes]
    of_bytes: Callable[[bytes], Any]


def require_no_pickle(reached: Reached, place: str) -> None:
    """Raise SourceError where the artefacts of a model would be files that are run as they are loaded."""
    loaded = [f"{place}: it reaches {name}" for name in sorted(PICKLES & reached.packages.keys())]
    loaded += [f"{of} is in it" for of in reached.pickles]
    if loaded:
        raise SourceError(
            f"{loaded[0]}: a file of that runs what is in it as it is loaded: no model is kept in one; save "
            "numbers, as with numpy.savez or torch.load(..., weights_only=True), or JSON"
        )


def kind_of(named: Any, place: str) -> ModelKind:
    """The kind of what a table names: a class, or a function without arguments that makes a model.

    Raises SourceError where it is no model.
    """
    if not callable(named):
        raise SourceError(f"{place}: it is neither a class nor a function that makes a model")
    try:
        inspect.signature(named).bind()
    except (TypeError, ValueError):
        raise SourceError(f"{place}: it is made without arguments: give each a default") from None
    try:
        model = named()
    except Exception as wrong:  # whatever the model of somebody else raises
        raise SourceError(f"{place}: it cannot be made: {type(wrong).__name__}: {wrong}") from None
    if not all(callable(getattr(model, name, None)) for name in ("fit", "predict")):
        raise SourceError(f"{place}: {type(model).__name__} is no model: {WAYS}")
    if all(callable(getattr(model, name, None)) for name in ("save", "load")):
        return ModelKind(named, lambda fitted: _bytes_of(fitted.save(), place), type(model).load)
    if type(model).__module__.startswith(LIBRARY):
        _skops(place)
        return ModelKind(named, lambda fitted: _saved(fitted, place), lambda raw: _loaded(raw, place))
    raise SourceError(f"{place}: {type(model).__name__} has no save and load: {WAYS}")


def _bytes_of(saved: object, place: str) -> bytes:
    if not isinstance(saved, bytes):
        raise SourceError(f"{place}: save gave {type(saved).__name__}, not bytes")
    return saved


def _skops(place: str) -> Any:
    """The library that keeps estimators without pickle; raises SourceError where it is not installed."""
    try:
        return import_module("skops.io")
    except ImportError:
        raise SourceError(
            f"{place}: an estimator of scikit-learn is kept by skops, which is not installed: install the "
            "group `models`, or write save and load"
        ) from None


def _saved(fitted: Any, place: str) -> bytes:
    """An estimator as skops keeps it, with nothing in it that is another each time."""
    raw = _same_each_time(_skops(place).dumps(fitted))
    _require_trusted(raw, place)
    return raw


def _loaded(raw: bytes, place: str) -> Any:
    return _skops(place).loads(raw, trusted=_require_trusted(raw, place))


def _require_trusted(raw: bytes, place: str) -> list[str]:
    """The types in an artefact that skops asks about, all of scikit-learn; raises SourceError for others."""
    asked: list[str] = _skops(place).get_untrusted_types(data=raw)
    strange = [name for name in asked if not name.startswith(LIBRARY)]
    if strange:
        raise SourceError(f"{place}: the artefact holds {strange[0]}, which is not of scikit-learn: {WAYS}")
    return asked


def _same_each_time(raw: bytes) -> bytes:
    """The archive with times left out, and addresses of objects numbered by where they come first."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    schema = parts.pop(SCHEMA).decode()
    addresses = _addresses(json.loads(schema))
    numbers: dict[str, str] = {}

    def number(match: re.Match[str]) -> str:
        text = match[0]
        return numbers.setdefault(text, str(len(numbers))) if text in addresses else text

    renamed = {SCHEMA: ID.sub(number, schema).encode()}
    for name, content in parts.items():
        renamed[ID.sub(number, name)] = content
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in sorted(renamed):
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), renamed[name])
    return out.getvalue()


def _addresses(node: object) -> set[str]:
    """The addresses by which the description of an archive names its objects and files."""
    found: set[str] = set()
    if isinstance(node, dict):
        if isinstance(address := node.get("__id__"), int):
            found.add(str(address))
        if isinstance(file := node.get("file"), str):
            found.add(file.partition(".")[0])
        for value in node.values():
            found |= _addresses(value)
    elif isinstance(node, list):
        for value in node:
            found |= _addresses(value)
    return found
