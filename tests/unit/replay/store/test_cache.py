"""What a cache of objects promises: its bytes, whole copies, and who goes first."""

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from replay.errors import HistoryError
from replay.store.cache import Cache, CacheSettings, Entry

SIZE_MAX = 1_000
PROCESSES = 4
HOLDS = 100  # of each process
# What each process does: hold objects of sizes drawn by its seed, check their bytes, and say the counts.
WORK = """
import sys
from pathlib import Path
import numpy as np
from replay.store.cache import Cache, CacheSettings
from tests.unit.replay.store.test_cache import HOLDS, content, entry, put
cache = Cache(CacheSettings(folder=Path(sys.argv[1]), size_max=int(sys.argv[2])))
draw = np.random.default_rng(int(sys.argv[3]))
for number in draw.integers(0, 40, HOLDS).tolist():
    held = cache.hold(entry(number), put(number))
    if held is not None:
        assert held.path.read_bytes() == content(number)
        held.close()
print(cache.counts.hits, cache.counts.misses, cache.counts.bypasses)
"""


def content(number: int) -> bytes:
    """The bytes of an object, 10 to 290 of them."""
    return bytes([number]) * (10 + 7 * number)


def entry(number: int) -> Entry:
    raw = content(number)
    return Entry(name=f"part-{number}", size=len(raw), digest=hashlib.sha256(raw).hexdigest()[:8])


class Fetch:
    """Writes an object, and counts how often it was asked for."""

    def __init__(self, number: int) -> None:
        self.number, self.count = number, 0

    def __call__(self, file: BinaryIO) -> None:
        self.count += 1
        file.write(content(self.number))


def put(number: int) -> Fetch:
    return Fetch(number)


def cache_at(folder: Path, size_max: int = SIZE_MAX) -> Cache:
    return Cache(CacheSettings(folder=folder, size_max=size_max))


def use(cache: Cache, number: int) -> bool:
    """Hold and let go; whether it was there before."""
    fetch = put(number)
    held = cache.hold(entry(number), fetch)
    assert held is not None
    assert held.path.read_bytes() == content(number)
    held.close()
    return fetch.count == 0


def test_what_was_fetched_is_there_the_second_time(tmp_path: Path) -> None:
    cache = cache_at(tmp_path)
    assert [use(cache, 3), use(cache, 3), use(cache_at(tmp_path), 3)] == [False, True, True]
    assert (cache.counts.hits, cache.counts.misses, cache.counts.bytes_fetched) == (1, 1, 31)


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    cache = cache_at(tmp_path)
    for number in (30, 31, 32, 33):  # 220, 227, 234 and 241 bytes
        use(cache, number)
    assert use(cache, 30)
    use(cache, 20)
    assert cache.counts.evictions == 1
    assert {path.name for path in tmp_path.glob("part-*")} == {"part-30", "part-32", "part-33", "part-20"}


def test_what_somebody_reads_stays_and_the_bound_too(tmp_path: Path) -> None:
    cache = cache_at(tmp_path)
    held = [cache.hold(entry(number), put(number)) for number in (30, 31, 32, 33)]
    assert all(held)
    assert cache_at(tmp_path).hold(entry(20), put(20)) is None
    assert cache.size() <= SIZE_MAX
    for one in filter(None, held):
        assert one.path.is_file()
        one.close()
    assert not use(cache, 20)


def test_what_is_more_than_a_quarter_is_not_kept(tmp_path: Path) -> None:
    cache, fetch = cache_at(tmp_path), put(35)  # 255 bytes
    assert cache.hold(entry(35), fetch) is None
    assert (fetch.count, cache.counts.bypasses, cache.size()) == (0, 1, 0)


@pytest.mark.parametrize("torn", [b"", b"short", bytes(31), bytes(500)])
def test_a_torn_copy_is_read_again(tmp_path: Path, torn: bytes) -> None:
    use(cache_at(tmp_path), 3)
    (tmp_path / "part-3").write_bytes(torn)
    assert not use(cache_at(tmp_path), 3)
    assert use(cache_at(tmp_path), 3)


def test_what_came_otherwise_than_it_was_named_for_is_refused_and_gone(tmp_path: Path) -> None:
    cache = cache_at(tmp_path)
    for wrong in (put(4), Fetch(2)):
        with pytest.raises(HistoryError, match=r"part-3 came with .* 31 and .* were expected"):
            cache.hold(entry(3), wrong)
    assert cache.size() == 0


def test_who_died_while_fetching_leaves_no_bytes(tmp_path: Path) -> None:
    cache = cache_at(tmp_path)
    (tmp_path / "part-3.new").write_bytes(bytes(900))
    assert not use(cache, 33)
    assert cache.size() == len(content(33))


def test_an_object_that_two_want_at_once_is_fetched_once(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly(file: BinaryIO) -> None:
        begun.set()
        assert go_on.wait(30)
        file.write(content(3))

    found: list[bool] = []
    first = threading.Thread(target=lambda: found.append(bool(cache_at(tmp_path).hold(entry(3), slowly))))
    second = threading.Thread(target=lambda: found.append(use(cache_at(tmp_path), 3)))
    first.start()
    assert begun.wait(30)
    second.start()
    time.sleep(0.05)
    assert not found
    go_on.set()
    first.join()
    second.join()
    assert found.count(True) == 2


def test_processes_together_never_exceed_the_bound(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WORK, str(tmp_path), str(SIZE_MAX)]
    workers = [
        subprocess.Popen([*command, str(seed)], stdout=subprocess.PIPE, text=True)
        for seed in range(PROCESSES)
    ]
    cache, largest = cache_at(tmp_path), 0
    while any(worker.poll() is None for worker in workers):
        largest = max(largest, cache.size())
        time.sleep(0.001)
    said = np.array([list(map(int, worker.communicate()[0].split())) for worker in workers])
    assert [worker.returncode for worker in workers] == [0] * PROCESSES
    assert said.sum() >= PROCESSES * HOLDS  # more where a copy went before it was held
    assert 0 < largest <= SIZE_MAX
    assert said[:, 0].all(), "none of them ever found a copy"
    assert said[:, 1].all(), "none of them ever fetched one"


def test_a_folder_that_is_deleted_meanwhile_is_made_again(tmp_path: Path) -> None:
    cache = cache_at(tmp_path / "copies")
    use(cache, 3)
    shutil.rmtree(tmp_path / "copies")
    assert [use(cache, 3), use(cache, 3)] == [False, True]
    fetch = put(4)

    def fetch_and_lose(file: BinaryIO) -> None:
        fetch(file)
        if fetch.count == 1:
            shutil.rmtree(tmp_path / "copies")

    held = cache.hold(entry(4), fetch_and_lose)
    assert held is not None
    assert (held.path.read_bytes(), fetch.count) == (content(4), 2)
    held.close()


def test_a_folder_with_somebodys_files_is_no_cache_and_folders_in_one_stay(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(HistoryError, match=r"is no cache: it has notes.txt"):
        cache_at(tmp_path)
    cache = cache_at(tmp_path / "copies")
    (tmp_path / "copies" / "folder").mkdir()
    for number in range(40):
        use(cache, number) if entry(number).size * 4 <= SIZE_MAX else None
    assert (tmp_path / "copies" / "folder").is_dir()
    assert cache.size() <= SIZE_MAX


def test_what_cannot_be_a_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HistoryError, match="cannot be written"):
        cache_at(tmp_path / "file")


def test_a_disk_that_is_full_evicts_before_it_bypasses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = cache_at(tmp_path)
    room = 150

    def allocate(handle: int, start: int, size: int) -> None:
        if cache_bytes(tmp_path) + size > room:
            raise OSError(errno.ENOSPC, "No space left on device")
        os.truncate(handle, size)

    monkeypatch.setattr(os, "posix_fallocate", allocate)
    assert [use(cache, number) for number in (10, 9, 9, 10)] == [False, False, True, False]
    assert (cache.counts.evictions, cache.counts.bypasses) == (2, 0)
    held = cache.hold(entry(10), put(10))
    assert held is not None
    assert cache.hold(entry(11), put(11)) is None
    held.close()
    assert cache.counts.bypasses == 1


def cache_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())
