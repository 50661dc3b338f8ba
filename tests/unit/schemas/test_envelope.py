"""What was cut, damaged or written by another version never comes out of an envelope."""

import pytest

from schemas.envelope import EnvelopeError, EnvelopeVersionError, open_envelope, seal_envelope


def test_what_goes_in_comes_out() -> None:
    for payload in (b"", b"x", bytes(range(256))):
        assert open_envelope(3, seal_envelope(3, payload)) == payload


def test_another_version_is_named_with_both() -> None:
    with pytest.raises(EnvelopeVersionError, match="is of version 3, this program reads 4"):
        open_envelope(4, seal_envelope(3, b"x"))


def test_a_cut_envelope_is_refused() -> None:
    value = seal_envelope(1, b"payload")
    for size in range(len(value)):
        with pytest.raises(EnvelopeError):
            open_envelope(1, value[:size])


def test_a_flipped_bit_is_noticed_wherever_it_is() -> None:
    value = seal_envelope(1, b"payload")
    for place in range(len(value)):
        broken = bytearray(value)
        broken[place] ^= 0x10
        with pytest.raises(EnvelopeError):
            open_envelope(1, bytes(broken))
