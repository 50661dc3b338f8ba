"""Laws of the partitioner: the Java client's hash, for every key."""

import pytest

from topics.partitioner import murmur2, partition_of


@pytest.mark.parametrize(
    ("key", "hashed"),
    [  # the values of the Java client's own tests
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_the_hash_is_the_java_clients(key: bytes, hashed: int) -> None:
    assert murmur2(key) == hashed


def test_a_negative_hash_still_gives_a_partition() -> None:
    assert murmur2(b"21") < 0
    assert partition_of(b"21", 7) == (-973932308 & 0x7FFFFFFF) % 7
