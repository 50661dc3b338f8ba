"""The cache of object stores is that of the settings."""

from pathlib import Path

import pytest

from app.config import load_settings
from app.errors import UsageError
from replay.store.cache import CacheSettings, current_cache, use_cache


def test_a_process_uses_the_cache_of_the_settings_it_read_last(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text(f'[history]\ncache = "{tmp_path / "copies"}"\ncache_size_max = 12_345\n')
    load_settings(file)
    assert current_cache().settings == CacheSettings(folder=tmp_path / "copies", size_max=12_345)
    load_settings(None)
    use_cache(CacheSettings())


def test_a_cache_without_room_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text("[history]\ncache_size_max = 0\n")
    with pytest.raises(UsageError, match="cache_size_max"):
        load_settings(file)
