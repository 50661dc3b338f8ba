"""Words and their codes: what a text column's int32 codes stand for, the same for the life of a stream."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gpu_sink.columns.word_keys import LENGTH_MAX, WordKeys
from gpu_sink.columns.word_keys import WORDS_MAX as KEYS_MAX
from gpu_sink.errors import ColumnError

NULL_CODE: Final = -1
WORDS_MAX: Final = 1 << 22  # an open dictionary beyond this is a column of free text, not of symbols

Word = str | bytes


class Dictionary:
    """The words of one column; a word keeps its code.

    Open: a new word gets the next code.  Closed (made from given words): any other word has the code
    `len(words)`, the one beyond the last, and is counted in `unknown_count`.
    """

    def __init__(self, column: str, type_: pa.DataType, words: Sequence[Word] | None = None) -> None:
        self.column = column
        self.closed = words is not None
        self.unknown_count = 0
        self.words: list[Word] = list(words or ())
        self._type = type_
        self._known = pa.array(self.words, type_)
        self._has_offsets = not pa.types.is_fixed_size_binary(type_)
        self._keys: WordKeys | None = None
        self._keyed_count = -1  # how many words the keys know
        if len(set(self.words)) != len(self.words):
            raise ColumnError(f"the dictionary of {column} names a word twice")

    @property
    def is_short(self) -> bool:
        """Whether rows are looked up by keys rather than by Arrow: their words are short, few and known."""
        if not (self._has_offsets and 0 < len(self.words) <= KEYS_MAX):
            return False
        if self._keyed_count != len(self.words):
            self._keyed_count = len(self.words)
            longest = int(pc.max(pc.binary_length(self._known)).as_py())
            self._keys = self._keys or WordKeys() if longest <= LENGTH_MAX else None
            if self._keys is not None:
                self._keys.learn(self.words)
        return self._keys is not None

    def write(
        self, words: pa.Array, lower: int, valid: npt.NDArray[np.bool_] | None, out: npt.NDArray[np.int32]
    ) -> None:
        """Write the codes of rows from `lower` on to `out`, as `codes` gives them.

        With `valid`, which says where there is a word, what is written for a null is any code.
        """
        if self.is_short and self._keys is not None and (valid is not None or not words.null_count):
            unknown_count = self._keys.look_up(words, lower, valid, out)
            if unknown_count == 0 or (self.closed and unknown_count is not None):
                self.unknown_count += unknown_count
                return
        np.copyto(out, self.codes(words.slice(lower, len(out))))

    def codes(self, words: pa.Array) -> npt.NDArray[np.int32]:
        """Return the code of each word, int32, -1 for null; an open dictionary learns those it lacks.

        Raises ColumnError beyond 4,194,304 words.
        """
        codes = pc.index_in(words, value_set=self._known)
        if codes.null_count == words.null_count:
            return _filled(codes, NULL_CODE)
        unknown = pc.and_(pc.is_null(codes), pc.is_valid(words))
        if self.closed:
            self.unknown_count += int(pc.sum(unknown).as_py())
            beyond = pa.scalar(len(self.words), pa.int32())
            return _filled(pc.if_else(unknown, beyond, codes), NULL_CODE)
        self.learn(pc.unique(words.filter(unknown)).to_pylist())
        return _filled(pc.index_in(words, value_set=self._known), NULL_CODE)

    def learn(self, words: Sequence[Word]) -> None:
        """Give the next codes to these words."""
        assert not self.closed
        if len(self.words) + len(words) > WORDS_MAX:
            raise ColumnError(
                f"column {self.column} has more than {WORDS_MAX} words: leave it out with columns="
            )
        self.words.extend(words)
        self._known = pa.array(self.words, self._type)

    def to_json(self) -> list[str]:
        """The words as JSON takes them: text as it is, bytes in hexadecimal."""
        return [word if isinstance(word, str) else word.hex() for word in self.words]

    def from_json(self, words: Sequence[Any]) -> None:
        """Take up the words of an earlier life, in their order."""
        assert not self.words
        binary = not (pa.types.is_string(self._type) or pa.types.is_large_string(self._type))
        self.learn([bytes.fromhex(word) if binary else str(word) for word in words])


def _filled(codes: pa.Array, under_null: int) -> npt.NDArray[np.int32]:
    if codes.null_count:
        codes = codes.fill_null(under_null)
    values: npt.NDArray[np.int32] = codes.to_numpy()
    return values
