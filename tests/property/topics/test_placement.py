"""The kernel that places many keys at once agrees with the partitioner, key by key."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from topics.partitioner import partition_of
from topics.placement import home_partitions

KEYS = st.lists(st.binary(max_size=40), max_size=60)


@given(keys=KEYS, partitions=st.integers(1, 1_000))
def test_every_key_has_the_partition_that_the_partitioner_gives_it(
    keys: list[bytes], partitions: int
) -> None:
    homes = home_partitions(pa.array(keys, pa.binary()), partitions)
    assert homes.tolist() == [partition_of(key, partitions) for key in keys]


@given(keys=KEYS, lower=st.integers(0, 60), partitions=st.integers(1, 12))
def test_a_slice_of_keys_is_placed_as_the_whole_is(keys: list[bytes], lower: int, partitions: int) -> None:
    whole = pa.array(keys, pa.binary())
    homes = home_partitions(whole, partitions)[lower:].tolist()
    assert home_partitions(whole.slice(lower), partitions).tolist() == homes
