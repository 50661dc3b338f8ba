"""The laws of an aligned stream as a PyTorch dataset."""

import copy
import json
import warnings
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gpu_sink.errors import HeldWarning, OptionError, StateError
from gpu_sink.source import AlignedStream
from tests.stage.aligned import rows_of, trades

torch = pytest.importorskip("torch", reason="PyTorch is not installed (TORCH=0)")

from torch.utils.data import DataLoader  # noqa: E402  # behind the skip

from gpu_sink.torch_dataset import AlignedDataset  # noqa: E402


def dataset(seed: int = 1, **options: Any) -> AlignedDataset:
    """Trades in four partitions."""
    defaults = {"batch_rows": 16, "dictionaries": {"symbol": ["AAA", "BB", "C", "DDDD"]}}
    return AlignedDataset(AlignedStream.from_frames(trades(seed)), **{**defaults, **options})


def numbers(batches: Any) -> list[int]:
    """The rows' numbers."""
    return [n for batch in batches for n in batch["event_ns"].tolist()]


def test_a_loader_gives_whole_batches_of_tensors() -> None:
    first = next(iter(DataLoader(dataset(), batch_size=None)))
    assert first["event_ns"].shape == (16,)
    assert {name: tensor.dtype for name, tensor in first.items()} == {
        "symbol": torch.int32,
        "event_ns": torch.int64,
        "price": torch.float64,
        "price_valid": torch.bool,
        "size": torch.int32,
        "size_valid": torch.bool,
    }
    assert first.rows == 16


def test_tensors_are_views_of_a_slot_that_goes_round() -> None:
    addresses = {batch["price"].data_ptr() for batch in dataset(prefetch=2)}
    assert len(addresses) == 3


def test_the_state_stands_at_the_rows_that_the_loader_gave() -> None:
    whole = numbers(DataLoader(dataset(shuffle_rows=64), batch_size=None))
    before = dataset(shuffle_rows=64)
    loading = iter(DataLoader(before, batch_size=None))
    found = numbers(next(loading) for _ in range(5))
    after = dataset(shuffle_rows=64)
    after.load_state_dict(json.loads(json.dumps(before.state_dict())))
    assert found + numbers(DataLoader(after, batch_size=None)) == whole


def test_ranks_have_shares_without_a_row_in_common() -> None:
    shares = [numbers(dataset(rank=rank, world=4)) for rank in range(4)]
    assert all(shares)
    assert sorted(n for share in shares for n in share) == sorted(numbers(dataset()))


def test_a_rank_without_a_world_is_refused() -> None:
    with pytest.raises(OptionError, match="rank and world go together"):
        dataset(rank=1)


def test_two_epochs_of_a_shuffled_stream_have_the_same_rows_in_another_order() -> None:
    shuffled = dataset(shuffle_rows=64)
    first, second = numbers(shuffled), numbers(shuffled)
    assert first != second
    assert sorted(first) == sorted(second)


def test_padded_batches_all_have_one_shape() -> None:
    assert {batch["price"].shape for batch in dataset(pad=True)} == {(16,)}


def test_a_copy_of_a_dataset_reads_for_itself() -> None:
    ours = dataset()
    next(iter(ours))
    assert numbers(copy.deepcopy(ours)) == numbers(dataset())


def test_a_spawned_worker_keeps_its_parents_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 2)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 4)
    ours = dataset()
    share = numbers(dataset(rank=2, world=4))
    assert numbers(ours) == share
    sent = copy.deepcopy(ours)
    monkeypatch.undo()
    assert numbers(sent) == share


@pytest.mark.slow
def test_worker_processes_share_the_partitions_and_keep_the_state(tmp_path: Path) -> None:
    for number in range(3):
        rows = pa.Table.from_batches([rows_of(list(range(100 * number, 100 * number + 40)))])
        pq.write_table(rows, tmp_path / f"part-{number}.parquet")
    made = AlignedDataset(AlignedStream.from_folder(tmp_path), batch_rows=16)
    loader = DataLoader(made, batch_size=None, num_workers=2, multiprocessing_context="fork")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found = numbers(loader)
    assert sorted(found) == [100 * number + n for number in range(3) for n in range(40)]
    with pytest.raises(StateError, match="read by worker processes"):
        made.state_dict()
    assert numbers(DataLoader(made, batch_size=None))
    assert made.state_dict()["begun"]


@pytest.mark.slow
def test_workers_forked_from_a_process_that_read_have_shares_of_their_own_and_no_state_of_it() -> None:
    made = dataset()
    state = made.state_dict()
    loader = DataLoader(made, batch_size=None, num_workers=2, multiprocessing_context="fork")
    assert sorted(numbers(loader)) == sorted(numbers(dataset()))
    made.load_state_dict(state)
    with pytest.raises(StateError, match="a state was loaded into the dataset, but worker processes read it"):
        numbers(loader)


@pytest.mark.parametrize("options", [{"batch_size": 64}, {}, {"batch_size": 2, "drop_last": True}])
def test_a_loader_that_would_stack_batches_is_told_that_they_are_batches(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="pass batch_size=None, the dataset makes batches"):
        next(iter(DataLoader(dataset(batch_rows=4), **options)))


@pytest.mark.slow
def test_a_loader_with_workers_is_told_too() -> None:
    loader = DataLoader(dataset(), batch_size=2, num_workers=1, multiprocessing_context="fork")
    with pytest.raises(OptionError, match="pass batch_size=None"):
        next(iter(loader))


def test_a_tensor_that_is_kept_is_reported_in_the_debug_mode() -> None:
    loading = iter(DataLoader(dataset(debug=True, prefetch=0), batch_size=None))
    kept = next(loading)["event_ns"][3:]
    next(loading)
    with pytest.warns(HeldWarning, match="columns of batch 0"):
        next(loading)
    assert len(kept) == 13
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert numbers(DataLoader(dataset(debug=True), batch_size=None)) == numbers(dataset())
