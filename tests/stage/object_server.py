"""An S3 server of this machine: a process with moto, the variables that clients find it by, and its door."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from replay.store import objects
from tests.stage.object_door import PATH

SECRET = "a-very-secret-key"  # noqa: S105 -- of nobody
_ROOT = Path(__file__).parents[2]
WAIT_S = 60


@dataclass(frozen=True)
class Refusal:
    """Which requests, a pattern of `METHOD path`, are answered with a status and code; the first so many."""

    what: str
    status: int = 403
    code: str = "AccessDenied"
    times: int = 1_000_000


class ObjectServer:
    """The running server; a bucket is made by `bucket`, and `order` says what its door does."""

    def __init__(self) -> None:
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.stage.object_door", str(self._port)],
            cwd=_ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(self._process, lambda: self._ask("GET", PATH))
        except BaseException:
            self.close()
            raise

    def bucket(self, name: str) -> str:
        """Make a bucket, and return its URL."""
        status, said = self._ask("PUT", f"/{name}")
        assert status == 200, said
        return f"s3://{name}"

    def environment(self, patch: pytest.MonkeyPatch) -> None:
        """Let clients of this process find it, by the variables that everybody uses."""
        for name in [each for each in os.environ if each.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ENDPOINT_URL", self.url)
        patch.setenv("AWS_ALLOW_HTTP", "true")
        patch.setenv("AWS_REGION", "us-east-1")
        patch.setenv("AWS_ACCESS_KEY_ID", "somebody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        objects.forget_clients()

    def order(self, *refusals: Refusal, answer_s: float = 0.0, heeds_conditions: bool = True) -> None:
        """Say what the door does from now on, and count its requests from there."""
        told = {
            "refusals": [vars(each) for each in refusals],
            "answer_s": answer_s,
            "heeds_conditions": heeds_conditions,
        }
        self._ask("PUT", PATH, json.dumps(told).encode())

    def requests(self) -> list[tuple[str, str]]:
        """The method and path of each request since the last order."""
        return [(method, path) for method, path in json.loads(self._ask("GET", PATH)[1])]

    def parts_read(self) -> list[str]:
        """The paths of parts that were asked for since the last order, each time."""
        return [path for method, path in self.requests() if method == "GET" and path.endswith(".parquet")]

    def close(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait()

    def _ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=WAIT_S)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def wait_for(process: "subprocess.Popen[bytes]", ask: Callable[[], object]) -> None:
    """Return once a server that has just been started answers; OSError says that it does not yet."""
    end = time.monotonic() + WAIT_S
    while True:
        try:
            ask()
        except OSError:
            assert process.poll() is None, f"{process.args!r} does not start"
            assert time.monotonic() < end, f"{process.args!r} does not answer"
            time.sleep(0.05)
        else:
            return


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
