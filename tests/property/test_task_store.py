"""A task's store against a dictionary: whatever is written, in whatever order, is what a start finds."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stage.task_state import checkpoint_at, opened

# Few keys, so that puts replace and deletes hit; the empty key and the key of the checkpoint among them.
keys = st.sampled_from([b"", b"a", b"b", b"c", b"e", b"\xff\xff"])
puts = st.lists(st.tuples(keys, st.binary(max_size=20)), max_size=5)
writes = st.lists(st.tuples(puts, st.lists(keys, max_size=4), st.booleans()), min_size=1, max_size=6)


@settings(max_examples=25)
@given(writes)
def test_a_start_finds_what_a_dictionary_would_hold(
    rounds: list[tuple[list[tuple[bytes, bytes]], list[bytes], bool]],
) -> None:
    expected: dict[bytes, bytes] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        for number, (put, deleted, verify) in enumerate(rounds, start=1):
            with opened(path) as store:
                written = store.write(checkpoint_at(number), put, deleted)
                for key in deleted:
                    expected.pop(key, None)
                expected.update(put)
                assert written.entries == len(expected)
                if verify:
                    store.verify()
        with opened(path) as store:
            assert store.checkpoint == written
            assert list(store.entries()) == sorted(expected.items())
