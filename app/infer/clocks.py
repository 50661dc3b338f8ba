"""Which columns hold times: by their types, by the size of their numbers, by their names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from app.infer.columns import Columns
from app.infer.sample import Sample
from schemas.batch import Int64s
from schemas.clocks import EVENT_NS, KNOWN_NS, NS_PER_DAY, NS_PER_MS, NS_PER_S, NS_PER_US
from topics.times import Form, TimeForm, TimeFormError, Times, require_form, to_ns

_EARLIEST_NS: Final = 631_152_000 * NS_PER_S  # 1990-01-01
_LATEST_NS: Final = 4_102_444_800 * NS_PER_S  # 2100-01-01
_NS_PER: Final[dict[Form, int]] = {"ns": 1, "us": NS_PER_US, "ms": NS_PER_MS, "s": NS_PER_S}
_GUESSED_ZONE: Final = "UTC"

# Names of the time of an event, the surest first; of two candidates the one that comes first is proposed.
_EVENT_NAMES: Final = (
    "event_time",
    "event_ts",
    "eventtime",
    "transact_time",
    "transacttime",
    "trade_time",
    "tradetime",
    "exchange_time",
    "exchange_ts",
    "exch_time",
    "exch_ts",
    "source_time",
    "timestamp",
    "ts",
    "time",
    "datetime",
    "T",
    "t",
    "E",
    "created_at",
    "date",
    "at",
)
_TIME_WORDS: Final = frozenset(
    {
        "time",
        "times",
        "timestamp",
        "ts",
        "at",
        "date",
        "datetime",
        "when",
        "epoch",
        "ns",
        "us",
        "ms",
        "nanos",
        "micros",
        "millis",
        "sec",
        "seconds",
    }
)
# Words of the time at which somebody got, wrote or sent a message.
_KNOWN_WORDS: Final = frozenset(
    {
        "recv",
        "received",
        "receive",
        "receipt",
        "receiver",
        "rcv",
        "ingest",
        "ingested",
        "ingestion",
        "arrival",
        "arrived",
        "capture",
        "captured",
        "local",
        "collected",
        "processed",
        "process",
        "published",
        "publish",
        "inserted",
        "insert",
        "stored",
        "known",
        "sent",
        "sending",
    }
)


@dataclass(frozen=True, slots=True)
class TimeColumn:
    """A column that can be read as times.

    `zone` is that of times that name none, which is a guess.  `share` is that of the rows which have a time.
    `reasons` says what speaks for it; `sure` that its name is a usual one for the time of an event, `known`
    that it is one for the time at which somebody got or sent the message.  `near` says that its times are
    within a day of those of the records.
    """

    path: str
    form: Form | None
    zone: str | None
    share: float
    reasons: tuple[str, ...]
    sure: bool
    known: bool
    near: bool
    rank: float

    def setting(self) -> dict[str, str]:
        """The value of `event_time` or `known_time` for it."""
        parts = {"field": self.path, "form": self.form, "zone": self.zone}
        return {name: part for name, part in parts.items() if part is not None}

    def words(self) -> str:
        """Why it may be the time, and what of that is a guess."""
        why = " and ".join(self.reasons) or "nothing but the size of its numbers, which is a guess"
        text = f"{self.path}, going by {why}"
        if self.zone is not None:
            text = f"{text}; its times name no zone, and {self.zone} is a guess"
        if self.share < 1:
            text = f"{text}; {100 * (1 - self.share):.1f} % of the rows have none, and are dead letters so"
        return text


def time_columns(columns: Columns, sample: Sample) -> list[TimeColumn]:
    """Return the columns that can be times, that of the event first."""
    recorded_ms = np.array([one.original.timestamp_ms for one in sample.messages], np.int64)[columns.message]
    candidates = []
    for number, path in enumerate(columns.paths):
        column = columns.rows.column(number)
        if not is_clock(path.column.name, column) and column.null_count < len(column):
            candidate = _candidate(".".join(path.path), column, recorded_ms)
            if candidate is not None:
                candidates.append(candidate)
    return sorted(candidates, key=lambda one: -one.rank)


def is_clock(name: str, column: pa.Array) -> bool:
    """Whether a column is a clock as it stands: by its name, and by its numbers, which are times in ns."""
    if name not in (EVENT_NS, KNOWN_NS) or column.type != pa.int64():
        return False
    times = to_ns(column, TimeForm(form="ns"))
    ns = times.ns[times.valid]
    return not ns.size or bool(((ns >= _EARLIEST_NS) & (ns < _LATEST_NS)).any())


def _candidate(path: str, column: pa.Array, recorded_ms: Int64s) -> TimeColumn | None:
    reading = _form_of(path, column)
    if reading is None:
        return None
    form, times = reading
    name = re.split(r"\.", path)[-1]
    words = _words(name)
    known = bool(_words(path) & _KNOWN_WORDS)
    near = _is_near(times, recorded_ms)
    timely = name in _EVENT_NAMES or bool(words & _TIME_WORDS)
    written = form.form in (None, "iso")
    reasons = [
        *(["its name"] if timely or known else []),
        *(["the record's own time, which is near"] if near else []),
        *(["its type"] if form.form is None else []),
        *(["the form of its text"] if form.form == "iso" else []),
    ]
    rank: float = 40 * timely + 20 * near + 15 * written - 60 * known - 2 * path.count(".")
    rank -= 20 * (form.form == "s" and not timely and not near)
    usual = name if name in _EVENT_NAMES else name.lower()
    if usual in _EVENT_NAMES:
        rank += len(_EVENT_NAMES) - _EVENT_NAMES.index(usual)
    share = float(times.valid.mean())
    rank -= 50 * (1 - share)
    sure = usual in _EVENT_NAMES
    return TimeColumn(path, form.form, form.zone, share, tuple(reasons), sure, known, near, rank)


def _form_of(path: str, column: pa.Array) -> tuple[TimeForm, Times] | None:
    """The form in which every value of the column is a time from 1990 to 2100, None where there is none."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        return _read(path, column, [TimeForm(), TimeForm(zone=_GUESSED_ZONE)])
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        forms = [TimeForm(form="iso"), TimeForm(form="iso", zone=_GUESSED_ZONE)]
        return _read(path, column, [*forms, *(TimeForm(form=unit) for unit in _NS_PER)])
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _read(path, column, [TimeForm(form=unit) for unit in _NS_PER])
    return None


def _read(path: str, column: pa.Array, forms: Sequence[TimeForm]) -> tuple[TimeForm, Times] | None:
    for form in forms:
        try:
            require_form(path, column.type, form)
        except TimeFormError:
            continue
        times = to_ns(column, form)
        ns = times.ns[times.valid]
        if not times.wrong.any() and ((ns >= _EARLIEST_NS) & (ns < _LATEST_NS)).all():
            return form, times
    return None


def _is_near(times: Times, recorded_ms: Int64s) -> bool:
    """Whether half of the times are within a day of those that the records have."""
    rows = times.valid & (recorded_ms > 0)
    if not rows.any():
        return False
    apart_ms = np.abs(times.ns[rows] // NS_PER_MS - recorded_ms[rows])
    return bool(np.median(apart_ms) < NS_PER_DAY // NS_PER_MS)


def _words(name: str) -> frozenset[str]:
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return frozenset(re.split(r"[^a-z]+", parted))
