"""Laws of joined strings: each is found again at its address, and a null is not an empty one."""

import ctypes

import pytest

from topics.joined import join


@pytest.mark.parametrize(
    "strings",
    [[], [b"a"], [b"a", b"", b"bcd"], [None], [b"", b""], [None, b"ab", None, b"", b"c"]],
)
def test_every_string_is_found_at_its_address(strings: list[bytes | None]) -> None:
    joined = join(strings)
    found = [
        None if size < 0 else ctypes.string_at(int(address), int(size)) if size else b""
        for address, size in zip(joined.address, joined.size, strict=True)
    ]
    assert found == strings
