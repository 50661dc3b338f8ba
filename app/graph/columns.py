"""Where the columns of a graph's inputs are known from: a registry or files, else a day of history."""

from typing import NamedTuple

from app.config import Settings
from app.day.history import GENERATED, join_of_days
from app.errors import RunError, UsageError
from app.wiring.open import open_bus
from app.wiring.planning import join_settings
from app.wiring.schemas import registered_streams
from operators.join.settings import AsofSettings
from replay.store.days import HistoryStore
from replay.store.objects import Folder
from schemas.stream import Stream
from topics.registry.open import open_registry


class InputColumns(NamedTuple):
    """The join of the inputs, and where their columns are known from, empty for the registry or files."""

    asof: AsofSettings
    source: str


def input_columns(settings: Settings, store: Folder | None) -> InputColumns:
    """The columns as the newest schemas say, or those of the newest day in the history.

    No broker is asked, but for inputs that are frames, which alone say their columns.  With a `store` only
    that history is looked at.  Raises UsageError with what is missing where nobody knows the columns, and
    StreamError or SettingsError where they do not bear the join.
    """
    missing = ""
    if store is None:
        try:
            return InputColumns(join_settings(settings, _registered(settings)), "")
        except RunError as absent:
            missing = f"{str(absent).removesuffix(' (waited 0 s)')}; "
    history = HistoryStore(store or GENERATED)
    date = newest_date(history, settings)
    if date is None:
        raise UsageError(
            f"the columns of {' and '.join(settings.stream_names)} are not known: {missing}no day of them in "
            f"the history at {history.root}: publish once, name a streams.NAME.schema_file, or make a day, "
            "with `python -m replay generate --date 2024-01-15` or `python -m replay import`"
        )
    days = [history.day(name, date) for name in settings.stream_names]
    return InputColumns(join_of_days(settings, days), f"columns of {date} in {history.root}")


def newest_date(history: HistoryStore, settings: Settings) -> str | None:
    """The newest day that all inputs have; None without one."""
    dates = reversed(history.dates())
    return next((date for date in dates if {*settings.stream_names} <= {*history.streams(date)}), None)


def _registered(settings: Settings) -> dict[str, Stream]:
    registry = open_registry(settings.bus.schema_registry, settings.bus.registry_settings())
    in_frames = any(settings.stream(name).format == "arrow" for name in settings.stream_names)
    bus = open_bus(settings) if in_frames else None
    formats = registered_streams(settings, registry, bus, wait_s=0, on_wait=lambda _: None)
    return {name: one.stream for name, one in formats.items()}
