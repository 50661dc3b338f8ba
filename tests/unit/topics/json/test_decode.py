"""What JSON messages are read as: rows, nulls, and dead messages with their reason."""

import json
import os
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.stage.blocks import block_of
from tests.stage.json_columns import one, read, refusal_of, rows
from topics.json.decode import JsonValues
from topics.values import DecodeLimits, FieldPath
from topics.wire import CodecError, DeadRow

pytestmark = pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="reads memory by address: needs numba"
)
TRADE = [
    FieldPath(pa.field("symbol", pa.string()), ("symbol",)),
    FieldPath(pa.field("price", pa.float64()), ("price",)),
    FieldPath(pa.field("size", pa.int64()), ("size",)),
]


def reason(message: bytes | None, **settings: Any) -> str:
    """Why a message is dead as a trade."""
    values = read(TRADE, message, **settings)
    assert values.columns is None
    return values.dead[0].reason


def test_an_object_is_a_row_and_an_array_of_objects_a_row_each() -> None:
    values = read(
        TRADE,
        b'{"symbol":"A","price":1.5,"size":3}',
        b'[{"size":4,"symbol":"B","price":2},{"symbol":"C"}]',
        b"[]",
        b'{"symbol":"D"}',
    )
    assert [row["symbol"] for row in rows(values)] == ["A", "B", "C", "D"]
    assert [row["size"] for row in rows(values)] == [3, 4, None, None]
    assert values.message.tolist() == [0, 1, 2, 3]
    assert values.rows_of.tolist() == [1, 2, 0, 1]
    assert values.index.tolist() == [0, 0, 1, 0]
    assert values.index.dtype == np.int32
    assert values.dead == []


def test_all_columns_may_be_null_whatever_was_declared() -> None:
    strict = FieldPath(pa.field("n", pa.int64(), nullable=False), ("n",))
    decoder = JsonValues([strict])
    assert decoder.schema == pa.schema([("n", pa.int64())])
    assert rows(read([strict], b"{}")) == [{"n": None}]


def test_no_messages_give_no_rows() -> None:
    values = read(TRADE)
    assert values.columns is None
    assert values.rows_of.size == values.index.size == 0


def test_only_the_messages_asked_for_are_read() -> None:
    block = block_of([(b"K", f'{{"size":{n}}}'.encode(), n) for n in range(4)])
    values = JsonValues(TRADE).read(block, np.array([1, 3]))
    assert [row["size"] for row in rows(values)] == [1, 3]
    assert values.message.tolist() == [1, 3]


def test_a_dead_message_is_named_by_its_index_into_the_block() -> None:
    block = block_of([(b"K", b"{", n) for n in range(4)])
    values = JsonValues(TRADE).read(block, np.array([1, 3]))
    assert [dead.message for dead in values.dead] == [1, 3]


def test_keys_are_found_in_any_order_and_between_others() -> None:
    written = {"x": [1, {"size": 9}], "size": 1, "pric": 2, "prices": 3, "symbol": "A", "": 0, "price": 4.0}
    messages = [json.dumps(dict(list(written.items())[n:] + list(written.items())[:n])) for n in range(7)]
    values = read(TRADE, *map(str.encode, messages))
    assert rows(values) == 7 * [{"symbol": "A", "price": 4.0, "size": 1}]


def test_a_path_leads_through_objects() -> None:
    fields = one(pa.int64(), "data", "inner", "p")
    values = read(
        fields,
        b'{"p":1,"data":{"p":2,"inner":{"q":{"p":3},"p":4},"z":5},"inner":{"p":6}}',
        b'{"data":{"inner":{}}}',
        b'{"data":{"inner":null}}',
        b'{"data":null}',
        b'{"data":{}}',
        b"{}",
    )
    assert [row["value"] for row in rows(values)] == [4, None, None, None, None, None]


def test_what_is_no_object_on_the_way_is_dead() -> None:
    fields = one(pa.int64(), "data", "inner", "p")
    values = read(fields, b'{"data":1}', b'{"data":{"inner":[]}}', b'[{"data":{}},{"data":"x"}]')
    reasons = [dead.reason for dead in values.dead]
    assert reasons == ["data is no object", "data.inner is no object", "row 1: data is no object"]


def test_one_key_may_be_read_into_several_columns() -> None:
    fields = [
        FieldPath(pa.field("exact", pa.string()), ("p",), token=True),
        FieldPath(pa.field("near", pa.float64()), ("p",)),
        FieldPath(pa.field("money", pa.decimal128(9, 2)), ("p",)),
    ]
    values = read(fields, b'{"p":"12.50"}', b'{"p":null}', b"{}")
    assert rows(values)[0] == {"exact": "12.50", "near": 12.5, "money": Decimal("12.50")}
    assert rows(values)[1:] == 2 * [dict.fromkeys(["exact", "near", "money"])]


def test_of_a_key_that_stands_twice_the_last_one_counts() -> None:
    values = read(
        [*one(pa.int64(), "data", "p"), FieldPath(pa.field("n", pa.int8()), ("n",))],
        b'{"n":1,"n":2}',
        b'{"n":"no number","n":2}',
        b'{"n":2,"n":null}',
        b'{"data":{"p":1},"data":{}}',
        b'{"data":7,"data":{"p":1,"p":3}}',
        b'[{"n":1},{"n":1,"\\u006e":2},{"n":3}]',
    )
    found = [(row["value"], row["n"]) for row in rows(values)]
    assert found[:5] == [(None, 2), (None, 2), (None, None), (None, None), (3, None)]
    assert found[5:] == [(None, 1), (None, 2), (None, 3)]
    assert values.index.tolist() == [0, 0, 0, 0, 0, 0, 1, 2]
    assert values.dead == []


def test_keys_may_be_written_with_escapes_and_hold_what_must_be_escaped() -> None:
    fields = [*one(pa.int64(), 'a"b'), FieldPath(pa.field("e", pa.int64()), ("é",))]
    assert rows(read(fields, b'{"a\\"b":1,"\\u00e9":2}')) == [{"value": 1, "e": 2}]
    assert rows(read(fields, '{"é":2}'.encode())) == [{"value": None, "e": 2}]
    assert rows(read(one(pa.int64(), "a\\n"), b'{"a\\n":1}')) == [{"value": None}]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (None, "null value"),
        (b"", "the message is empty"),
        (b" \n", "the message is empty"),
        (b"\xef\xbb\xbf", "the message is empty"),
        (b"null", "the message is null, wanted an object or an array of objects"),
        (b"12", "the message is a number, wanted an object or an array of objects"),
        (b'"x"', "the message is a string, wanted an object or an array of objects"),
        (b'[{"size":1}, 7]', "row 1 is a number, wanted an object"),
        (b"[[{}]]", "row 0 is an array, wanted an object"),
        (b'[{"size":1},{"size":1.5}]', "row 1: size is 1.5, wanted a whole number"),
        (b'{"symbol":"\xff"}', "not UTF-8"),
        (b'{"symbol":"\xed\xa0\x80"}', "not UTF-8"),
        (b'{"symbol":"AAPL" "price":1}', "not JSON: ',' or '}' expected at byte 17"),
        (b'{"size":1', "not JSON: ',' or '}' expected at byte 9, where the message ends"),
        (b'{"size":1}}', "not JSON: the end of the message expected at byte 10"),
        (b'{"size":1,}', "not JSON: a name in quotes expected at byte 10"),
        (b"{", "not JSON: a name in quotes or '}' expected at byte 1, where the message ends"),
        (b"{1:2}", "not JSON: a name in quotes or '}' expected at byte 1"),
        (b'{"size" 1}', "not JSON: ':' expected at byte 8"),
        (b'{"size":}', "not JSON: a value expected at byte 8"),
        (b'{"size":01}', "not JSON: ',' or '}' expected at byte 9"),
        (b'{"size":1.}', "not JSON: a digit expected at byte 10"),
        (b'{"size":-}', "not JSON: a digit expected at byte 9"),
        (b'{"size":1e}', "not JSON: a digit expected at byte 10"),
        (b'{"size":+1}', "not JSON: a value expected at byte 8"),
        (b'{"size":tru}', "not JSON: a value expected at byte 8"),
        (b'{"x":nul', "not JSON: a value expected at byte 5"),
        (b'{"symbol":"a\nb"}', "not JSON: a control character in a text at byte 12"),
        (b'{"symbol":"a\\x"}', "not JSON: an escape expected at byte 13"),
        (b'{"symbol":"\\u12g4"}', "not JSON: an escape expected at byte 12"),
        (b'{"symbol":"abc', "not JSON: '\"' expected at byte 14, where the message ends"),
        (b'{"symbol":"abc\\', "not JSON: an escape expected at byte 15, where the message ends"),
        (b'{"x":[1,]}', "not JSON: a value expected at byte 8"),
        (b'{"x":[', "not JSON: a value or ']' expected at byte 6, where the message ends"),
        (b'{"x":[1}', "not JSON: ',' or ']' expected at byte 7"),
        (b"[{}", "not JSON: ',' or ']' expected at byte 3, where the message ends"),
        (b"[{},]", "not JSON: a value expected at byte 4"),
        (b"[,]", "not JSON: a value or ']' expected at byte 1"),
        (b"[", "not JSON: a value or ']' expected at byte 1, where the message ends"),
        (b"{'size':1}", "not JSON: a name in quotes or '}' expected at byte 1"),
    ],
)  # fmt: skip
def test_a_message_that_cannot_be_read_says_why(message: bytes | None, expected: str) -> None:
    assert reason(message) == expected


def test_a_message_that_is_no_json_is_said_to_be_so_also_where_a_value_does_not_fit() -> None:
    assert reason(b'{"size":"x","price":}').startswith("not JSON")


def test_what_nobody_wants_is_checked_too() -> None:
    good = b'{"x":{"a":[1,-2.5e3,true,false,null,"\\u0041",NaN,{}],"b":[]},"size":1}'
    assert rows(read(TRADE, good))[0]["size"] == 1
    for place in range(len(good) - 1):
        assert reason(good[: place + 1])
    assert reason(good.replace(b"-2.5e3", b"-2.5e")) == "not JSON: a digit expected at byte 18"


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_nesting_is_bounded(opening: bytes, closing: bytes) -> None:
    def nested(depth: int, prefix: bytes = b'{"x":', suffix: bytes = b"}") -> bytes:
        return prefix + depth * opening + b"0" + depth * closing + suffix

    assert read(TRADE, nested(63)).dead == []
    assert reason(nested(64)) == "not JSON: nested deeper than 64"
    assert reason(nested(100_000)) == "not JSON: nested deeper than 64"
    assert read(TRADE, nested(62, b'[{"x":', b"}]")).dead == []
    assert reason(nested(63, b'[{"x":', b"}]")) == "not JSON: nested deeper than 64"
    assert reason(100_000 * opening).startswith("not JSON: nested deeper than 64")


def test_a_path_may_be_as_deep_as_the_nesting_and_its_objects_count() -> None:
    path = tuple(f"k{depth}" for depth in range(63))
    message = b"".join(b'{"%s":' % key.encode() for key in path) + b"5" + 63 * b"}"
    assert rows(read(one(pa.int64(), *path), message)) == [{"value": 5}]
    deeper = message.replace(b"5" + 63 * b"}", b"[[]]" + 63 * b"}")
    assert read(one(pa.int64(), *path), deeper).dead == [DeadRow(0, -1, "not JSON: nested deeper than 64")]
    with pytest.raises(CodecError, match="path of 64 keys"):
        JsonValues(one(pa.int64(), *path, "k"))


def test_white_space_and_a_byte_order_mark_are_skipped() -> None:
    message = b'\xef\xbb\xbf \r\n\t{ "symbol" : "A" ,\n"size"\t:\r1 } \n'
    assert rows(read(TRADE, message)) == [{"symbol": "A", "price": None, "size": 1}]
    assert reason(b'{"size":\xc2\xa01}') == "not JSON: a value expected at byte 8"


def test_the_confluent_header_is_skipped_and_must_be_there() -> None:
    header = b"\0\0\0\0\7"
    values = read(TRADE, header + b'{"size":1}', header + b"\xef\xbb\xbf[]", prefixed=True)
    assert rows(values)[0]["size"] == 1
    assert values.rows_of.tolist() == [1, 0]
    wanted = "no Confluent header: a 0 and 4 bytes of schema id before the JSON"
    for message in (b'{"size":1}', header[:4], b""):
        assert reason(message, prefixed=True) == wanted
    assert reason(header, prefixed=True) == "the message is empty"
    assert reason(header + b"{", prefixed=True).endswith("at byte 6, where the message ends")
    assert reason(header + b'{"size":1}').startswith("not JSON: a value expected at byte 0")


def test_more_rows_than_the_limit_are_a_dead_message() -> None:
    limits = DecodeLimits(rows_max=2)
    values = read(TRADE, b"[{},{},{}]", b"[{},{}]", b'[{"size":"x"},1,2]', limits=limits)
    assert values.rows_of.tolist() == [0, 2, 0]
    assert [dead.reason for dead in values.dead] == 2 * ["more rows than rows_max"]


def test_a_message_larger_than_the_limit_is_dead() -> None:
    limits = DecodeLimits(message_size_max=10)
    assert reason(b'{"size":12}', limits=limits) == "larger than message_size_max"
    assert read(TRADE, b'{"size":1}', limits=limits).dead == []


def test_arrays_of_many_rows_find_their_room_whichever_way_they_are_read() -> None:
    many = [{"symbol": f"é{n}", "size": n} for n in range(50_000)]
    text = json.dumps(many).encode()
    twice = text.replace(b'"size": 49999', b'"size":1, "size": 49999').replace(
        b'"size": 7}', b'"size":1,"size": 7}'
    )
    decoder = JsonValues(TRADE)
    for _ in range(2):
        block = block_of([(b"K", message, 0) for message in (twice, b'{"size":1}', text, text[:-1], text)])
        values = decoder.read(block, np.arange(5))
        assert values.rows_of.tolist() == [50_000, 1, 50_000, 0, 50_000]
        assert values.columns is not None
        values.columns.validate(full=True)
        assert values.columns.slice(0, 50_000).column("size").to_pylist() == list(range(50_000))
        assert values.columns.slice(50_001).column("symbol").to_pylist() == 2 * [
            row["symbol"] for row in many
        ]
        assert values.index[50_001:].tolist() == 2 * list(range(50_000))


def test_a_long_value_is_cut_short_in_a_reason() -> None:
    assert (
        refusal_of(pa.int64(), '"' + 100 * "x" + '"') == f"v is the string '{40 * 'x'}...', wanted a number"
    )


@pytest.mark.parametrize(
    "kind",
    [
        pa.binary(), pa.binary(4), pa.large_binary(), pa.timestamp("ns"), pa.date32(), pa.float16(),
        pa.null(),
        pa.list_(pa.int64()), pa.struct([("a", pa.int64())]), pa.dictionary(pa.int32(), pa.string()),
        pa.decimal256(50, 2), pa.decimal128(5, -2), pa.decimal128(2, 5), pa.string_view(), pa.duration("s"),
    ],
)  # fmt: skip
def test_a_type_that_json_is_not_read_as_is_refused(kind: pa.DataType) -> None:
    with pytest.raises(
        CodecError, match=r"column value is .*, which JSON is not read as: it can be bool, int8"
    ):
        JsonValues(one(kind))


def test_columns_that_contradict_each_other_are_refused() -> None:
    inner = FieldPath(pa.field("inner", pa.int64()), ("v", "p"))
    with pytest.raises(CodecError, match="column inner is within v, which column value wants as a value"):
        JsonValues([*one(pa.int64()), inner])
    with pytest.raises(CodecError, match="column value is asked for twice"):
        JsonValues([*one(pa.int64()), *one(pa.int64())])
    with pytest.raises(CodecError, match="path of 0 keys"):
        JsonValues([FieldPath(pa.field("value", pa.int64()), ())])
    with pytest.raises(CodecError, match="no column"):
        JsonValues([])
    with pytest.raises(CodecError, match="column value is int64: what is kept as it is written is a string"):
        JsonValues(one(pa.int64(), token=True))
    with pytest.raises(CodecError, match="no text that UTF-8 can write"):
        JsonValues(one(pa.int64(), "\ud800"))
