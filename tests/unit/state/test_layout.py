"""The laws of the checkpoint record as bytes."""

import pytest

from state.layout import (
    CHECKPOINT_KEY,
    ENTRY_PREFIX,
    ENTRY_UPPER,
    LayoutError,
    VersionError,
    decode_checkpoint,
    encode_checkpoint,
    entry_key,
)
from tests.stage.task_state import checkpoint_at


def test_a_checkpoint_survives_its_bytes() -> None:
    checkpoint = checkpoint_at(12)
    assert decode_checkpoint(encode_checkpoint(checkpoint)) == checkpoint


def test_a_frontier_at_the_beginning_of_the_clock_survives() -> None:
    checkpoint = checkpoint_at(0)
    beginning = type(checkpoint)(
        identity="Börse/ü", frontier_ns=-(2**63), next_offsets={"a": 2**62}, watermarks_ns={"a": -(2**63)}
    )
    assert decode_checkpoint(encode_checkpoint(beginning)) == beginning


@pytest.mark.parametrize("place", range(5, 120, 7))
def test_a_flipped_byte_in_the_body_is_noticed(place: int) -> None:
    value = bytearray(encode_checkpoint(checkpoint_at(1)))
    value[place] ^= 1
    with pytest.raises(LayoutError, match="checksum"):
        decode_checkpoint(bytes(value))


def test_another_version_is_named_with_both() -> None:
    value = bytearray(encode_checkpoint(checkpoint_at(1)))
    value[0] = 9
    with pytest.raises(VersionError, match="version 9, this program reads 2"):
        decode_checkpoint(bytes(value))


def test_a_cut_record_is_no_checkpoint() -> None:
    value = encode_checkpoint(checkpoint_at(1))
    for size in range(len(value)):
        with pytest.raises(LayoutError):
            decode_checkpoint(value[:size])


def test_no_entry_key_can_be_the_checkpoint() -> None:
    for key in (b"", b"c", b"\xff" * 9):
        assert ENTRY_PREFIX <= entry_key(key) < ENTRY_UPPER
        assert entry_key(key) != CHECKPOINT_KEY
