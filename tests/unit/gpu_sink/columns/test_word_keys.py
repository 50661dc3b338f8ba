"""The laws of keys: short words are found by them, and nothing else is."""

import numpy as np
import pyarrow as pa
import pytest

from gpu_sink.columns.word_keys import PIECE_ROWS, WordKeys, key_of
from gpu_sink.columns.words import Dictionary
from gpu_sink.errors import ColumnError


def looked_up(keys: WordKeys, words: pa.Array, lower: int = 0) -> tuple[list[int], int | None]:
    """The codes of the words from `lower` on, and how many were unknown."""
    valid = np.array([word is not None for word in words.to_pylist()][lower:])
    out = np.empty(len(words) - lower, np.int32)
    unknown_count = keys.look_up(words, lower, valid, out)
    return out[valid].tolist(), unknown_count


def test_words_that_differ_in_trailing_zero_bytes_have_different_keys() -> None:
    words = ["", "\0", "\0\0", "A", "A\0", "A\0\0"]
    keys = WordKeys()
    keys.learn(words)
    assert looked_up(keys, pa.array(words[::-1])) == ([5, 4, 3, 2, 1, 0], 0)


def test_an_unknown_word_gets_the_code_behind_the_last_and_is_counted_and_a_null_is_not() -> None:
    keys = WordKeys()
    keys.learn(["ES", "NQ"])
    assert looked_up(keys, pa.array(["NQ", None, "CL", "ES", "", None])) == ([1, 2, 0, 2], 2)


def test_a_word_of_eight_bytes_is_nobodys_key() -> None:
    keys = WordKeys()
    keys.learn(["1234567", "12345678"])
    assert looked_up(keys, pa.array(["1234567"])) == ([0], 0)
    assert looked_up(keys, pa.array(["1234567", "12345678"]))[1] is None
    assert key_of("12345678") == key_of("ABCDEFGH") != key_of("1234567")


@pytest.mark.parametrize("type_", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()])
def test_every_one_of_many_words_is_found_wherever_the_rows_begin(type_: pa.DataType) -> None:
    """So many words that some share a slot, in more rows than are looked up at a time."""
    words = [f"{number:x}" for number in range(9_000)]
    keys = WordKeys()
    keys.learn(words)
    assert len(keys._levels) > 1  # noqa: SLF001  # else nothing shares a slot here
    order = np.random.default_rng(1).permutation(9_000)
    column = pa.array([words[number].encode() for number in order]).cast(type_)
    for lower in (0, 1, PIECE_ROWS - 1, 8_999):
        assert looked_up(keys, column, lower) == (order[lower:].tolist(), 0)
        assert looked_up(keys, column.slice(3), max(lower - 3, 0)) == (order[max(lower, 3) :].tolist(), 0)


def test_a_dictionary_writes_by_keys_what_it_looks_up_by_arrow_and_learns_on_the_way() -> None:
    for given in (["ES", "", "NQ"], ["ES", "NQ", "a long word"]):
        for closed in (given, None):
            ours, theirs = (Dictionary("symbol", pa.string(), closed) for _ in range(2))
            if closed is None:
                ours.learn(given)
                theirs.learn(given)
            for words in (
                [None, "ES"],
                ["NQ", "ES"],
                ["NQ", "CL", "ES", "another long word"],
                ["CL", "another long word", ""],
            ):
                out = np.empty(len(words), np.int32)
                ours.write(pa.array(words), 0, None, out)
                assert out.tolist() == theirs.codes(pa.array(words)).tolist()
            assert ours.words == theirs.words
            assert ours.unknown_count == theirs.unknown_count


def test_words_too_many_for_memory_are_refused_on_the_way_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpu_sink.columns.words.WORDS_MAX", 3)
    dictionary = Dictionary("note", pa.string())
    dictionary.learn(["a", "b", "c"])
    with pytest.raises(ColumnError, match="column note has more than 3 words"):
        dictionary.write(pa.array(["a", "d"]), 0, None, np.empty(2, np.int32))
