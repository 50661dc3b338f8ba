"""`python -m tests.bench.watched_readers NAME CONFIG.json`: those who watch a worker, a process each.

`scrape` asks for the worker's figures each second; `follow` has so many clients read the feed of the page.
Each says `ready`, goes on until a line comes in, and prints what it saw.
"""

import http.client
import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tests.bench.kafka_processes import ready_until_told

EVERY_S: Final = 1.0
WAIT_S: Final = 5.0


def scrape(asked: dict[str, Any]) -> dict[str, Any]:
    """Milliseconds from the question to the last byte of the answer, of each scrape."""
    told = ready_until_told()
    took_ms: list[float] = []
    while not told.wait(EVERY_S):
        begun_s = time.perf_counter()
        connection = http.client.HTTPConnection(asked["address"], timeout=WAIT_S)
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        text = answer.read()
        took_ms.append(1e3 * (time.perf_counter() - begun_s))
        connection.close()
        assert answer.status == 200, f"a scrape was answered by {answer.status}"
        assert b"tidemark_rows_sealed_total" in text, "the answer has no figures of a worker"
    return {"ms": took_ms}


def follow(asked: dict[str, Any]) -> dict[str, Any]:
    """How many looks each client had."""
    looks = [0] * int(asked["clients"])

    def read(client: int, connection: http.client.HTTPConnection) -> None:
        connection.request("GET", "/api/v1/feed", headers={"Accept": "text/event-stream"})
        answer = connection.getresponse()
        assert answer.status == 200, f"the feed was answered by {answer.status}"
        while line := answer.readline():
            looks[client] += line.startswith(b"data:")

    for client in range(len(looks)):
        connection = http.client.HTTPConnection(asked["address"], timeout=WAIT_S)
        threading.Thread(target=read, args=(client, connection), daemon=True).start()
    told = ready_until_told()
    told.wait()
    assert min(looks) > 0, f"a client had no look: {looks}"
    return {"looks": looks}


READERS: Final[dict[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {"scrape": scrape, "follow": follow}

if __name__ == "__main__":
    name, file = sys.argv[1:]
    print(json.dumps(READERS[name](json.loads(Path(file).read_text()))), flush=True)
