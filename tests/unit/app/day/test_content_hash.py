import pyarrow as pa

from app.day.content_hash import content_hash

ORDER = ["event_ns", "symbol"]


def rows(*values: tuple[int, str, float | None, int]) -> pa.Table:
    event_ns, symbol, price, left_offset = zip(*values, strict=True)
    return pa.table(
        {
            "event_ns": pa.array(event_ns, pa.int64()),
            "symbol": pa.array(symbol),
            "price": pa.array(price, pa.float64()),
            "left_offset": pa.array(left_offset, pa.int64()),
        }
    )


def test_the_order_of_partitions_and_the_offsets_do_not_count() -> None:
    one = rows((1, "A", 1.0, 0), (2, "A", 2.0, 1), (1, "B", 3.0, 0))
    other = rows((1, "B", 3.0, 7), (1, "A", 1.0, 8), (2, "A", 2.0, 9))
    assert content_hash(one, order_by=ORDER) == content_hash(other, order_by=ORDER)


def test_rows_of_one_key_and_time_keep_their_order() -> None:
    one = rows((1, "A", 1.0, 0), (1, "A", 2.0, 1))
    other = rows((1, "A", 2.0, 0), (1, "A", 1.0, 1))
    assert content_hash(one, order_by=ORDER) != content_hash(other, order_by=ORDER)


def test_a_null_is_not_a_zero() -> None:
    assert content_hash(rows((1, "A", None, 0)), order_by=ORDER) != content_hash(
        rows((1, "A", 0.0, 0)), order_by=ORDER
    )


def test_what_lies_under_a_null_does_not_count() -> None:
    validity = pa.py_buffer(b"\x02")
    one, other = (
        pa.Array.from_buffers(pa.float64(), 2, [validity, pa.array(v, pa.float64()).buffers()[1]])
        for v in ([5.0, 1.0], [6.0, 1.0])
    )
    keys = {"event_ns": pa.array([1, 2], pa.int64()), "symbol": ["A", "A"]}
    assert content_hash(pa.table({**keys, "x": one}), order_by=ORDER) == content_hash(
        pa.table({**keys, "x": other}), order_by=ORDER
    )


def test_how_the_rows_are_held_does_not_count() -> None:
    whole = rows((1, "A", 1.0, 0), (2, "B", None, 1), (3, "A", 2.0, 2))
    cut = pa.concat_tables([whole.slice(0, 1), whole.slice(1)])
    assert content_hash(whole, order_by=ORDER) == content_hash(cut, order_by=ORDER)


def test_how_text_is_held_does_not_count_but_what_a_column_is_does() -> None:
    plain = rows((1, "A", 1.0, 0), (2, "B", None, 1), (3, "A", 2.0, 2))
    plain = plain.append_column("cond", [["@", "F", "@"]])
    hashes = {content_hash(plain, order_by=ORDER)}
    for name in ("symbol", "cond"):
        wide = plain.column(name).cast(pa.large_string())
        held = plain.set_column(plain.column_names.index(name), name, wide)
        hashes.add(content_hash(held, order_by=ORDER))
    words = plain.set_column(4, "cond", plain.column("cond").dictionary_encode())
    hashes.add(content_hash(words, order_by=ORDER))
    assert len(hashes) == 1
    narrow = plain.set_column(2, "price", plain.column("price").cast(pa.float32()))
    assert content_hash(narrow, order_by=ORDER) not in hashes
