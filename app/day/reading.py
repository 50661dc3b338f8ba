"""How the files of a run's own folder are read: what `python -m replay import` would be told of them."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from app.errors import UsageError
from replay.imports.units import Unit

if TYPE_CHECKING:
    from replay.imports.options import OptionValues  # comes with Polars, which few runs need


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Columns, zones and units of the files in DATA; None, the import's own choice.

    The fields are those of `replay.imports.options.ImportOptions` that decide what a row's values mean.
    """

    event: str | None = None
    known: str | None = None
    symbol: str | None = None
    timezone: str | None = None
    naive_as: str | None = None
    unit: Unit | None = None

    def values(self) -> "OptionValues":
        """Those that somebody stated, as keywords of `import_folder`."""
        values: OptionValues = {}
        for name in (field.name for field in fields(self)):
            value = getattr(self, name)
            if value is not None:
                values[name] = value  # type: ignore[literal-required]  # the fields are its keys
        return values

    def require_none(self) -> None:
        """Raise UsageError where somebody stated one and there is no folder to read."""
        stated = [name.upper() for name in self.values()]
        if stated:
            raise UsageError(
                f"{stated[0]}= says how files are read, and there are none: name their folder with DATA="
            )
