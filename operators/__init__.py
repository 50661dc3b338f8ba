"""The pure core: columns in, columns and effects out; no clock, no I/O, no randomness."""

import numba

from schemas.kernel_cache import kernel_cache

numba.config.CACHE_DIR = kernel_cache(numba.config.CACHE_DIR)  # type: ignore[attr-defined]
