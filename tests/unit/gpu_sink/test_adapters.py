"""The laws of handing columns to other libraries."""

import sys
from typing import Any

import numpy as np
import pytest

from gpu_sink.adapters import require, to_cupy, to_dlpack, to_jax, to_torch
from gpu_sink.columns.layout import page_aligned
from gpu_sink.errors import DeviceError, SourceError
from gpu_sink.source import AlignedStream

BATCH = {"price": np.array([1.5, 2.5]), "price_valid": np.array([True, False])}


class FromCapsule:
    """What a library sees that takes a DLPack capsule."""

    def __init__(self, capsule: Any) -> None:
        self._capsule = capsule

    def __dlpack__(self, **_: Any) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)


def test_a_column_goes_through_dlpack_over_the_same_memory() -> None:
    capsules = to_dlpack({"price": BATCH["price"]})
    taken = np.from_dlpack(FromCapsule(capsules["price"]))
    assert taken.ctypes.data == BATCH["price"].ctypes.data


def test_a_tensor_lies_where_the_column_lies() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed (TORCH=0)")
    tensors = to_torch(BATCH)
    assert tensors["price"].data_ptr() == BATCH["price"].ctypes.data
    assert to_torch(tensors)["price"] is tensors["price"]


class OnCard:
    """A column on a card that is not there."""

    is_cuda = True


class Jax:
    """JAX as far as the adapter uses it: notes what is done, in order."""

    def __init__(self) -> None:
        self.numpy = self
        self.noted: list[str] = []

    def array(self, column: Any, *, copy: bool) -> str:
        self.noted.append(f"copies {column.tolist()}, {copy}")
        return "array"

    def from_dlpack(self, column: Any, *, copy: bool) -> str:
        assert column.is_cuda
        self.noted.append(f"takes a column on a card by DLPack, {copy}")
        return "array"

    def device_put(self, array: str, device: Any) -> str:
        self.noted.append(f"puts it on {device}")
        return array

    def block_until_ready(self, arrays: dict[str, str]) -> dict[str, str]:
        self.noted.append(f"waits for {', '.join(arrays)}")
        return arrays


def test_jax_copies_columns_on_a_card_there_and_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    jax = Jax()
    monkeypatch.setitem(sys.modules, "jax", jax)
    assert to_jax({"price": BATCH["price"], "size": OnCard()}, "cuda:0") == {
        "price": "array",
        "size": "array",
    }
    assert jax.noted == [
        "copies [1.5, 2.5], True",
        "puts it on cuda:0",
        "takes a column on a card by DLPack, True",
        "puts it on cuda:0",
        "waits for price, size",
    ]


def test_jax_arrays_keep_what_a_slot_held() -> None:
    pytest.importorskip("jax", reason="JAX is not installed")
    slot = page_aligned(8 * 4_096).view(np.float64)
    slot[:] = 1.5
    arrays = to_jax({"price": slot})
    slot[:] = 2.5
    assert np.all(np.asarray(arrays["price"]) == 1.5)


@pytest.mark.parametrize(("module", "convert"), [("cupy", to_cupy), ("jax", to_jax), ("torch", to_torch)])
def test_a_library_that_is_not_there_is_named_with_what_to_install(
    module: str, convert: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent(module, monkeypatch)
    with pytest.raises(DeviceError, match=f"needs {module}, which cannot be imported: install "):
        convert(BATCH)


def test_a_stream_without_a_kafka_client_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    absent("confluent_kafka", monkeypatch)
    with pytest.raises(SourceError, match=r"install tidemark-gpu-sink\[kafka\]"):
        next(iter(AlignedStream.from_kafka("127.0.0.1:1", "aligned")))


def test_what_is_there_is_returned() -> None:
    assert require("json", "nothing", "nothing").loads("1") == 1


def absent(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a library be one that is not installed."""
    monkeypatch.setitem(sys.modules, module, None)
