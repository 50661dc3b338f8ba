"""The laws of words and their codes."""

import json

import pyarrow as pa
import pytest

from gpu_sink.columns.words import Dictionary
from gpu_sink.errors import ColumnError


def test_a_word_keeps_its_code_for_the_life_of_the_stream() -> None:
    dictionary = Dictionary("symbol", pa.string())
    assert dictionary.codes(pa.array(["NQ", "ES", "NQ"])).tolist() == [0, 1, 0]
    assert dictionary.codes(pa.array(["CL", "ES", None])).tolist() == [2, 1, -1]
    assert dictionary.words == ["NQ", "ES", "CL"]


def test_a_closed_dictionary_gives_any_other_word_the_code_behind_its_last_and_counts_it() -> None:
    dictionary = Dictionary("symbol", pa.string(), ["ES", "NQ"])
    assert dictionary.codes(pa.array(["NQ", "CL", None, "ZB", "ES"])).tolist() == [1, 2, -1, 2, 0]
    assert dictionary.unknown_count == 2
    assert dictionary.words == ["ES", "NQ"]


@pytest.mark.parametrize(("type_", "words"), [(pa.string(), ["a", "ß"]), (pa.binary(), [b"a", b"\xff"])])
def test_a_dictionary_survives_json(type_: pa.DataType, words: list[str | bytes]) -> None:
    before, after = Dictionary("x", type_), Dictionary("x", type_)
    before.codes(pa.array(words, type_))
    after.from_json(json.loads(json.dumps(before.to_json())))
    assert after.words == words
    assert after.codes(pa.array(words[::-1], type_)).tolist() == [1, 0]


def test_a_column_of_free_text_is_refused_before_it_fills_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpu_sink.columns.words.WORDS_MAX", 3)
    with pytest.raises(ColumnError, match="column note has more than 3 words"):
        Dictionary("note", pa.string()).codes(pa.array(["a", "b", "c", "d"]))


def test_a_dictionary_that_names_a_word_twice_is_refused() -> None:
    with pytest.raises(ColumnError, match="dictionary of symbol names a word twice"):
        Dictionary("symbol", pa.string(), ["ES", "ES"])
