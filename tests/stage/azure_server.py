"""azurite as a server of Azure's blobs on this machine, where it is installed: `npm install azurite`."""

import base64
import hashlib
import hmac
import http.client
import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from replay.store import objects
from tests.stage.object_server import SECRET, WAIT_S, free_port, wait_for

_PROGRAM = "azurite-blob"
_FOLDER = Path("build/azurite/node_modules/.bin")  # of a clone, beside what is on PATH
_ACCOUNT, _KEY = "tests", base64.b64encode(SECRET.encode()).decode()


class AzureServer:
    """The running server; skips the test, saying so, where there is no azurite."""

    def __init__(self) -> None:
        program = shutil.which(_PROGRAM) or shutil.which(_PROGRAM, path=str(_FOLDER))
        if program is None:
            pytest.skip(
                f"NOT TESTED: histories on Azure, for want of azurite: no {_PROGRAM} on PATH or in {_FOLDER} "
                "(npm install --prefix build/azurite azurite)"
            )
        self._port = free_port()
        options = ["--blobHost", "127.0.0.1", "--blobPort", str(self._port), "--disableTelemetry"]
        self._process = subprocess.Popen(
            [program, *options, "--silent", "--skipApiVersionCheck", "--inMemoryPersistence"],
            env={**os.environ, "AZURITE_ACCOUNTS": f"{_ACCOUNT}:{_KEY}"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(self._process, lambda: self._put_container("is-it-there"))
        except BaseException:
            self.close()
            raise

    def container(self, name: str) -> str:
        """Make a container, and return its URL."""
        status = self._put_container(name)
        assert status == 201, status
        return f"az://{name}"

    def environment(self, patch: pytest.MonkeyPatch) -> None:
        """Let clients of this process find it, by the variables that everybody uses."""
        for name in [each for each in os.environ if each.startswith("AZURE_")]:
            patch.delenv(name)
        patch.setenv("AZURE_STORAGE_USE_EMULATOR", "true")
        patch.setenv("AZURITE_BLOB_STORAGE_URL", f"http://127.0.0.1:{self._port}")
        patch.setenv("AZURE_STORAGE_ACCOUNT_NAME", _ACCOUNT)
        patch.setenv("AZURE_STORAGE_ACCOUNT_KEY", _KEY)
        objects.forget_clients()

    def close(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait()

    def _put_container(self, name: str) -> int:
        """Ask for a container, signed as Azure wants it; the status."""
        headers = {
            "x-ms-date": datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT"),
            "x-ms-version": "2023-11-03",
        }
        signed = "".join(f"{key}:{value}\n" for key, value in sorted(headers.items()))
        text = "PUT" + "\n" * 12 + signed + f"/{_ACCOUNT}/{_ACCOUNT}/{name}\nrestype:container"
        digest = hmac.new(base64.b64decode(_KEY), text.encode(), hashlib.sha256).digest()
        headers["Authorization"] = f"SharedKey {_ACCOUNT}:{base64.b64encode(digest).decode()}"
        headers["Content-Length"] = "0"
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=WAIT_S)
        try:
            connection.request("PUT", f"/{_ACCOUNT}/{name}?restype=container", headers=headers)
            return connection.getresponse().status
        finally:
            connection.close()
