"""Short words are numbers: up to seven bytes and their count make a 64-bit key, which one product finds.

Arrow's look-up makes a hash table of all words anew in every call, and hashes byte by byte.  Symbols are
short and known after the first frames, so here the table stays, and all rows take each step at once.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

LENGTH_MAX: Final = 7  # bytes of a word; the eighth byte of its key is its length
WORDS_MAX: Final = 1 << 14  # of more words the table would not stay in the caches; Arrow looks them up
PIECE_ROWS: Final = 4_096  # rows at a time: what lies between the steps stays in the cache
SLOTS_PER_WORD: Final = 32
TRIES: Final = 8  # multipliers; the one under which the fewest words meet is kept

_FIRST_BYTES: Final = np.array([(1 << 8 * length) - 1 for length in range(LENGTH_MAX + 1)], np.uint64)
_LENGTHS: Final = np.arange(LENGTH_MAX + 1, dtype=np.uint64) << np.uint64(56)

Keys = npt.NDArray[np.uint64]
_NO_KEYS: Final[Keys] = np.full(1, ~np.uint64(0))  # what no word has


class _Level(NamedTuple):
    """The code in each slot of a table; the slot of a key is the upper bits of its product."""

    multiplier: np.uint64
    shift: np.uint64
    codes: npt.NDArray[np.int32]


class WordKeys:
    """The codes of some words by their keys, and the scratch memory of a look-up.

    Of words that share a slot one is in the table; the others, one in some hundred, are in a second one, and
    so on.  Longer words are in none.
    """

    def __init__(self) -> None:
        self._keys: Keys = _NO_KEYS  # per code
        self._beyond = 0  # the code of what is no known word
        self._levels: list[_Level] = [_level(_NO_KEYS, np.zeros(1, np.int32))]
        self._bytes = np.zeros(PIECE_ROWS * LENGTH_MAX + 8, np.uint8)
        # The eight bytes from each byte on: those that lie at odd places, and aligned copies of them.
        self._odd: Keys = np.ndarray((PIECE_ROWS * LENGTH_MAX,), np.uint64, self._bytes, 0, (1,))
        self._eights: Keys = np.empty(PIECE_ROWS * LENGTH_MAX, np.uint64)
        self._begins = np.empty(PIECE_ROWS, np.intp)
        self._lengths = np.empty(PIECE_ROWS, np.intp)
        self._row_keys: Keys = np.empty(PIECE_ROWS, np.uint64)
        self._others: Keys = np.empty(PIECE_ROWS, np.uint64)
        self._matches = np.empty(PIECE_ROWS, np.bool_)
        self._narrow = np.empty(PIECE_ROWS, np.int32)

    def learn(self, words: Sequence[str | bytes]) -> None:
        """Know these words and no others; the code of a word is its place."""
        self._keys = np.array([key_of(word) for word in words], np.uint64) if words else _NO_KEYS
        self._beyond = len(words)
        left = np.flatnonzero(self._keys != _NO_KEYS[0]).astype(np.int32)
        self._levels = []
        while len(left) or not self._levels:
            level = _level(self._keys, left)
            self._levels.append(level)
            left = left[level.codes[_slots(self._keys[left], level)] != left]

    def look_up(
        self, words: pa.Array, lower: int, valid: npt.NDArray[np.bool_] | None, out: npt.NDArray[np.int32]
    ) -> int | None:
        """Write the codes of rows from `lower` on to `out`, and return how many of those are not known words.

        They get the code behind the last; what is written for a null is any code.  None where a word is
        too long to have a key.
        """
        offsets, data = _parts(words)
        unknown_count = 0
        for at in range(0, len(out), PIECE_ROWS):
            codes = out[at : at + PIECE_ROWS]
            first = words.offset + lower + at
            keys = self._keys_of(offsets[first : first + len(codes) + 1], data)
            if keys is None:
                return None
            unknown_count += self._find(keys, None if valid is None else valid[at : at + PIECE_ROWS], codes)
        return unknown_count

    def _find(self, keys: Keys, valid: npt.NDArray[np.bool_] | None, codes: npt.NDArray[np.int32]) -> int:
        """Write the codes of some keys; return how many are in no table."""
        others, index = self._others[: len(keys)], self._begins[: len(keys)]
        matches = self._matches[: len(keys)]
        first, *further = self._levels
        np.multiply(keys, first.multiplier, out=others)
        np.right_shift(others, first.shift, out=others)
        first.codes.take(others.view(np.intp), out=codes, mode="clip")
        np.copyto(index, codes)
        self._keys.take(index, out=others, mode="clip")
        np.equal(keys, others, out=matches)
        if valid is not None:
            np.greater_equal(matches, valid, out=matches)
        for level in further:
            rows = np.flatnonzero(~matches)
            few = keys[rows]
            codes[rows] = level.codes[_slots(few, level)]
            matches[rows] = self._keys[codes[rows]] == few
        if matches.all():
            return 0
        np.logical_not(matches, out=matches)
        np.putmask(codes, matches, self._beyond)
        return int(np.count_nonzero(matches))

    def _keys_of(self, offsets: npt.NDArray[Any], data: npt.NDArray[np.uint8]) -> Keys | None:
        """The keys of some words, None where one is too long."""
        count = len(offsets) - 1
        lower, size = int(offsets[0]), int(offsets[-1] - offsets[0])
        lengths, keys = self._lengths[:count], self._row_keys[:count]
        self._subtract(offsets[1:], offsets[:-1], lengths)
        longest = int(lengths.max())
        if longest > LENGTH_MAX:
            return None
        self._bytes[:size] = data[lower : lower + size]
        if longest * count == size:  # all of one length: no need to look for where they begin
            even: Keys = np.ndarray((count,), np.uint64, self._bytes, 0, (longest,))
            np.bitwise_and(even, _FIRST_BYTES[longest], out=keys)
            np.bitwise_or(keys, _LENGTHS[longest], out=keys)
            return keys
        begins, others = self._begins[:count], self._others[:count]
        self._subtract(offsets[:-1], offsets[0], begins)
        np.copyto(self._eights[:size], self._odd[:size])
        self._eights[:size].take(begins, out=keys, mode="clip")
        _FIRST_BYTES.take(lengths, out=others, mode="clip")
        np.bitwise_and(keys, others, out=keys)
        _LENGTHS.take(lengths, out=others, mode="clip")
        np.bitwise_or(keys, others, out=keys)
        return keys

    def _subtract(self, places: npt.NDArray[Any], from_: Any, out: npt.NDArray[np.intp]) -> None:
        """Differences of places, 64 bits wide; a cast inside of the subtraction would allocate."""
        if places.dtype == out.dtype:
            np.subtract(places, from_, out=out)
        else:
            np.subtract(places, from_, out=self._narrow[: len(out)])
            np.copyto(out, self._narrow[: len(out)])


def key_of(word: str | bytes) -> int:
    """The key of a word, all ones for a word that is too long for a key."""
    known = word.encode() if isinstance(word, str) else word
    if len(known) > LENGTH_MAX:
        return (1 << 64) - 1
    return int.from_bytes(known, "little") | len(known) << 56


def _slots(keys: Keys, level: _Level) -> Keys:
    slots: Keys = (keys * level.multiplier) >> level.shift
    return slots


def _level(keys: Keys, codes: npt.NDArray[np.int32]) -> _Level:
    """A table of these codes' keys, by the multiplier of some under which the fewest share a slot."""
    bits = (SLOTS_PER_WORD * len(codes)).bit_length()
    draw = np.random.default_rng(len(codes))
    best: tuple[int, _Level] | None = None
    for _ in range(TRIES):
        multiplier = draw.integers(1 << 63, dtype=np.uint64) << np.uint64(1) | np.uint64(1)
        level = _Level(multiplier, np.uint64(64 - bits), np.zeros(1 << bits, np.int32))
        distinct, places = np.unique(_slots(keys[codes], level), return_index=True)
        if best is None or len(distinct) > best[0]:
            level.codes[distinct] = codes[places]
            best = len(distinct), level
        if len(distinct) == len(codes):
            break
    assert best is not None
    return best[1]


def _parts(words: pa.Array) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint8]]:
    """The places where words begin, and their bytes, as they lie in a column."""
    _, offsets, data = words.buffers()
    is_large = pa.types.is_large_string(words.type) or pa.types.is_large_binary(words.type)
    nothing = np.empty(0, np.uint8)
    return (
        np.frombuffer(offsets, np.int64 if is_large else np.int32),
        nothing if data is None else np.frombuffer(data, np.uint8) if data.size else nothing,
    )
