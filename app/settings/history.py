"""The table `[history]`: copies of what an object store holds, on the disk of this machine."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from app.settings.section import Section
from replay.store.cache import CacheSettings


class HistorySettings(Section):
    """Where parts of a history are kept that came from an object store, and how many bytes of them."""

    cache: Path = CacheSettings().folder  # shared by all processes that name it; safe to delete
    cache_size_max: Annotated[int, Field(ge=1)] = CacheSettings().size_max  # what was used last stays

    def cache_settings(self) -> CacheSettings:
        """These as the cache takes them."""
        return CacheSettings(folder=self.cache, size_max=self.cache_size_max)
