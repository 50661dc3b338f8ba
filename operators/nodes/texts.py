"""Comparisons of texts, which a node makes before its kernels run: they are booleans to these."""

from collections.abc import Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from operators.formula.steps import Texts
from operators.formula.types import SYMBOLS

COMPARE: Final = {
    "equal": pc.equal,
    "unequal": pc.not_equal,
    "less": pc.less,
    "less_equal": pc.less_equal,
    "greater": pc.greater,
    "greater_equal": pc.greater_equal,
}
assert COMPARE.keys() <= SYMBOLS.keys(), "operators of another name"


def compare_texts(texts: Texts, names: Sequence[str], columns: Sequence[pa.Array]) -> pa.BooleanArray:
    """Whether the comparison holds, R8: texts by their bytes in UTF-8; null where either side is.

    `names` are those of the `columns`, one array of texts each, plain or as a dictionary.
    """
    compare = COMPARE[texts.operator]
    left = columns[names.index(texts.column)]
    if not texts.constant:
        return compare(_plain(left), _plain(columns[names.index(texts.other)]))
    other = pa.scalar(texts.other, pa.large_string())
    if not isinstance(left, pa.DictionaryArray):
        return compare(_plain(left), other)
    of_words = compare(left.dictionary.cast(pa.large_string()), other)
    return of_words.take(left.indices)  # a word is compared once, however many rows have it


def _plain(column: pa.Array) -> pa.Array:
    """The texts in the one form that all of them can be compared in."""
    texts = column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column
    return texts.cast(pa.large_string())
