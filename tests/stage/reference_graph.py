"""The reference set of thirty features as tables of settings: ten of the row, twenty that look back.

`quick` gives what hangs on the row, `deep` what hangs on earlier rows of it: two outputs beside the aligned
rows, one behind the other.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from tests.bench import features, formula

QUICK: Final = "quick"
DEEP: Final = "deep"
NODES: Final = (QUICK, DEEP)
ROW_FEATURES: Final = tuple(formula.FORMULAS)
PAST_FEATURES: Final = tuple(name for name in features.FORMULAS if name not in formula.FORMULAS)

# Columns of the chaos and the storm, in the place of those that a market has.
FEED_NAMES: Final = {
    "quote_bid_price": "quote_bid",
    "quote_ask_price": "quote_ask",
    "quote_bid_size": "quote_number",
    "quote_ask_size": "number",
    "size": "number",
}


def reference_graph(
    names: Mapping[str, str] | None = None, *, anchor: Any = None, name: str = "reference"
) -> dict[str, Any]:
    """The table `[graph]`; `names` are columns in the place of those that the formulas name."""
    formulas = {column: _renamed(text, names or {}) for column, text in features.FORMULAS.items()}
    graph: dict[str, Any] = {
        "name": name,
        QUICK: {"from": "aligned", "features": {one: formulas[one] for one in ROW_FEATURES}, "out": {}},
        DEEP: {
            "from": QUICK,
            "features": {one: formulas[one] for one in PAST_FEATURES},
            "out": {"columns": list(PAST_FEATURES)},
        },
    }
    return graph if anchor is None else {"anchor": anchor, **graph}


def _renamed(text: str, names: Mapping[str, str]) -> str:
    """A formula that names other columns."""
    return re.sub(r"\b[a-z_]\w*\b", lambda found: names.get(found[0], found[0]), text)
