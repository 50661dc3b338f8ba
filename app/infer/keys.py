"""Which columns make the key of a row: those whose text the message keys are, or those named as keys are."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from app.infer.columns import Columns
from app.infer.sample import Message, Sample
from schemas.key_types import can_be_key, is_text
from schemas.stream import SEPARATOR, message_keys
from topics.avro.header import HEADER_SIZE

DEFAULT: Final = ("symbol",)
_PARTS_MAX: Final = 4  # columns that make a key together
_SHOWN_MAX: Final = 40  # letters of a key in a comment
# Names of what rows are about, the surest first.
_NAMES: Final = (
    "symbol",
    "sym",
    "ticker",
    "instrument",
    "instrument_id",
    "instrumentid",
    "security",
    "security_id",
    "product_id",
    "product",
    "pair",
    "currency_pair",
    "market",
    "s",
    "coin",
    "contract",
    "isin",
    "ric",
    "figi",
    "code",
)


@dataclass(frozen=True, slots=True)
class KeyChoice:
    """The key columns; `from_columns` says that rows get it from these, whatever key messages have.

    `from_message` says that messages hold no such column, so that it is filled from the message key.
    """

    columns: tuple[str, ...]
    from_columns: bool
    from_message: bool
    notes: tuple[str, ...]


def choose_key(
    columns: Columns, sample: Sample, numbers: Sequence[int], clocks: Collection[str]
) -> KeyChoice:
    """Return the key of the sampled rows; the columns `clocks` are no keys."""
    messages = [sample.messages[number] for number in numbers]
    keyless = sum(message.original.key is None for message in messages)
    forms = Counter(
        _form_of(message.original.key) for message in messages if message.original.key is not None
    )
    names = [
        path.column.name
        for path in columns.paths
        if path.column.name not in clocks and can_be_key(path.column.type)
    ]
    if not forms:
        return _from_columns(columns, names, "the messages have no key")
    none = (
        f"{keyless:,} of {len(messages):,} messages have no key, and are dead letters so" if keyless else ""
    )
    if equal := _equal_columns(columns, sample, names):
        note = f"the message keys are the text of {' and '.join(equal)}"
        return KeyChoice(equal, False, False, tuple(filter(None, (note, none))))
    shown = _shown(next(message for message in messages if message.original.key is not None))
    (form, _), *others = forms.most_common()
    known = [name for name in names if name.lower() in _NAMES]
    if form != "text" or others or known:
        words = form if form != "text" else f"text, such as {shown}, and no column has it"
        return _from_columns(columns, names, f"the message keys are {words}")
    note = f"no column holds the message keys, such as {shown}: the column symbol is filled from them"
    return KeyChoice(DEFAULT, False, True, tuple(filter(None, (note, none))))


def _from_columns(columns: Columns, names: Sequence[str], why: str) -> KeyChoice:
    note = (
        f"{why}: rows get their key from columns, and must lie in the partition that murmur2 gives that key"
    )
    if known := [name for name in names if name.lower() in _NAMES]:
        best = min(known, key=lambda name: (_NAMES.index(name.lower()), names.index(name)))
        return KeyChoice((best,), True, False, (note,))
    texts = [name for name in names if is_text(columns.rows.schema.field(name).type)]
    if not texts:
        return KeyChoice((), False, False, (f"{why}, and no column looks like one: rows are joined without",))
    best = min(
        texts, key=lambda name: (pc.count_distinct(columns.rows.column(name)).as_py(), names.index(name))
    )
    guess = (
        f"{best} is a guess, being the text with the fewest values: name the column that rows are joined by"
    )
    return KeyChoice((best,), True, False, (note, guess))


def _equal_columns(columns: Columns, sample: Sample, names: Sequence[str]) -> tuple[str, ...]:
    """The columns whose text the message keys are in every row of a message that has one; none: ()."""
    keys = pa.array([sample.messages[number].original.key for number in columns.message], pa.binary())
    keyed = keys.is_valid()
    rows, keys = columns.rows.filter(keyed), keys.filter(keyed)
    texts = {name: message_keys(rows, (name,)) for name in names} if len(keys) else {}
    alone = [name for name, text in texts.items() if _all_equal(text, keys)]
    if alone:
        return (min(alone, key=lambda name: _place(name, names)),)
    parts = [key.split(SEPARATOR.encode()) for key in keys.to_pylist()]
    counts = {len(each) for each in parts}
    if len(counts) != 1 or not 1 < (count := counts.pop()) <= _PARTS_MAX:
        return ()
    chosen: list[str] = []
    for place in range(count):
        part = pa.array([each[place] for each in parts], pa.binary())
        matches = [name for name, text in texts.items() if name not in chosen and _all_equal(text, part)]
        if not matches:
            return ()
        chosen.append(min(matches, key=lambda name: _place(name, names)))
    return tuple(chosen)


def _all_equal(text: pa.Array, keys: pa.Array) -> bool:
    return bool(pc.all(pc.fill_null(pc.equal(text, keys), False)).as_py())


def _place(name: str, names: Sequence[str]) -> tuple[int, int]:
    """Where a column stands among those that would do: well-known names first."""
    lower = name.lower()
    return _NAMES.index(lower) if lower in _NAMES else len(_NAMES), names.index(name)


def _form_of(key: bytes) -> str:
    if key[:1] == b"\0" and len(key) > HEADER_SIZE:
        return "values behind a schema id"
    try:
        text = key.decode()
    except UnicodeDecodeError:
        return "bytes that are no text"
    if not text.isprintable():
        return "bytes that are no text"
    return "JSON" if text[:1] in ('"', "{", "[") else "text"


def _shown(message: Message) -> str:
    text = (message.original.key or b"").decode(errors="backslashreplace")
    return repr(text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…")
