"""From a batch's columns to other libraries' arrays, over the same memory wherever that can be."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np

from gpu_sink.errors import DeviceError


def require(module: str, purpose: str, install: str) -> Any:
    """Return an optional library; raises DeviceError saying what to install where it is not there."""
    try:
        return import_module(module)
    except ImportError as missing:
        raise DeviceError(
            f"{purpose} needs {module}, which cannot be imported: install {install}"
        ) from missing


def to_dlpack(batch: Mapping[str, Any]) -> dict[str, Any]:
    """The columns as DLPack capsules, each to be taken once, over the batch's memory.

    On a card the legacy default stream waits for them, which is where libraries work unless told otherwise;
    whoever takes a capsule on another stream lets that one wait for the default stream.
    """
    return {name: column.__dlpack__(stream=None) for name, column in batch.items()}


def to_torch(batch: Mapping[str, Any]) -> dict[str, Any]:
    """The columns as tensors where they lie; tensors are returned as they are."""
    torch = require("torch", "to_torch", "tidemark-gpu-sink[torch]")
    return {
        name: column if torch.is_tensor(column) else torch.from_numpy(column)
        for name, column in batch.items()
    }


def to_cupy(batch: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a batch on a card as CuPy arrays, over the same memory; others are copied there."""
    cupy = require("cupy", "to_cupy", "cupy-cuda12x or cupy-cuda13x")
    return {
        name: cupy.asarray(column) if isinstance(column, np.ndarray) else cupy.from_dlpack(column)
        for name, column in batch.items()
    }


def to_jax(batch: Mapping[str, Any], device: Any = None) -> dict[str, Any]:
    """The columns as JAX arrays, copied when it returns: a JAX array never changes, a slot does.

    Columns on a card stay there; DLPack lets JAX's stream wait for PyTorch's.  Without `jax_enable_x64` JAX
    holds 32 bits: read times as differences, or say dtypes=.
    """
    jax = require("jax", "to_jax", "jax")

    def copied(column: Any) -> Any:
        if getattr(column, "is_cuda", False):
            return jax.numpy.from_dlpack(column, copy=True)
        return jax.numpy.array(np.asarray(column), copy=True)

    columns = {name: jax.device_put(copied(column), device) for name, column in batch.items()}
    done: dict[str, Any] = jax.block_until_ready(columns)  # else the slot may go round under a copy
    return done
