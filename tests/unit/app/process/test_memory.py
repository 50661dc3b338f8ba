"""What the worker asks of the C heap is done: its threads share arenas, and free pages go back."""

import re
import subprocess
import sys
from ctypes import CDLL

import pytest

from app.process import memory

COUNT_ARENAS = """
import ctypes, sys, threading
from app.process.memory import ARENAS, share_arenas
libc = ctypes.CDLL(None)
if sys.argv[1] == "shared":
    share_arenas()
together = threading.Barrier(8)
def allocate():
    libc.malloc(100)
    together.wait()
threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
stdout = ctypes.c_void_p.in_dll(libc, "stdout")
libc.malloc_info(0, stdout)
libc.fflush(stdout)
"""

GIVE_BACK = """
import ctypes
from app.process.memory import give_back
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
blocks = [libc.malloc(50_000) for _ in range(2_000)]
for block in blocks:
    ctypes.memset(block, 1, 50_000)
for block in blocks[:-1]:
    libc.free(ctypes.c_void_p(block))
before = resident()
give_back()
print(before - resident())
"""

glibc = pytest.mark.skipif(not hasattr(CDLL(None), "malloc_info"), reason="the C library is not glibc")


def test_what_was_left_is_given_back_once_and_a_while_later(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ns, given = [0], []
    monkeypatch.setattr(memory, "give_back", lambda: given.append(now_ns[0]))
    leftovers = memory.Leftovers(lambda: now_ns[0])
    for now_ns[0] in (0, memory.GIVE_BACK_AFTER_NS + 1):
        leftovers.give_back_when_due()
    assert given == [], "nothing was left"
    leftovers.came()
    begun_ns = now_ns[0]
    for later_ns in (
        5,
        memory.GIVE_BACK_AFTER_NS,
        memory.GIVE_BACK_AFTER_NS + 1,
        10 * memory.GIVE_BACK_AFTER_NS,
    ):
        now_ns[0] = begun_ns + later_ns
        leftovers.give_back_when_due()
        if later_ns == 5:
            leftovers.came()  # more of it, while the first waits
    assert given == [begun_ns + memory.GIVE_BACK_AFTER_NS + 1]


def told(program: str, *arguments: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    return ran.stdout


@glibc
def test_threads_share_two_arenas_where_they_would_have_one_each() -> None:
    assert told(COUNT_ARENAS, "shared").count("<heap nr=") == 2
    assert told(COUNT_ARENAS, "as it comes").count("<heap nr=") > 4


@glibc
def test_free_pages_between_blocks_in_use_go_back_to_the_system() -> None:
    said = told(GIVE_BACK)
    assert int(said.splitlines()[-1]) > 50_000_000
    figures = {name: int(figure) for name, figure in re.findall(r"(\w+)=(\d+)", said)}
    assert figures["resident_before_mib"] - figures["resident_mib"] > 50
    assert 0 < figures["in_use_mib"] < figures["resident_mib"]
    assert figures["threads"] > 0
