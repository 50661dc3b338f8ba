"""The Kafka edge: the bus and its two implementations, the codec, the topics as code."""

import numba

from schemas.kernel_cache import kernel_cache

numba.config.CACHE_DIR = kernel_cache(numba.config.CACHE_DIR)  # type: ignore[attr-defined]
