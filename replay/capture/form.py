"""The form that the rows of a captured table were brought into: one for all, so that they can be compared."""

from typing import Final

from replay.errors import HistoryError
from replay.store.table import HistoryTable

FORM: Final = "tidemark.form"  # property of a table; none: rows are as they were sent
_PLAIN: Final = "values as they were sent"


def form_of(table: HistoryTable) -> str:
    """The form of a table's rows, empty where they are as they were sent."""
    return table.properties.get(FORM, "")


def require_form(table: HistoryTable, form: str) -> None:
    """Raise HistoryError unless a table's rows have this form; one without rows takes it."""
    before = form_of(table)
    if before == form:
        return
    if table.snapshot().rows == 0:
        table.set_properties({FORM: form})
        return
    raise HistoryError(
        f"the table {table.stream} in {table.store} has rows with {before or _PLAIN}, and this capture is "
        f"one with {form or _PLAIN}: say the same, or name another store"
    )
