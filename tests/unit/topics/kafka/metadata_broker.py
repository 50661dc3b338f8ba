"""A broker of one topic that answers two kinds of request: what it knows, and who the brokers are."""

import socket
import struct
from contextlib import suppress
from threading import Thread
from typing import Final

TOPIC: Final = "topic"
_METADATA, _API_VERSIONS = 3, 18
_UNSUPPORTED_VERSION, _LEADER_NOT_AVAILABLE = 35, 5
# What it claims to know, with the newest version; a client will not go on without some of these.
_KNOWN: Final = {
    0: 3,  # Produce
    1: 4,  # Fetch
    2: 1,  # ListOffsets
    _METADATA: 1,
    8: 1,  # OffsetCommit
    9: 1,  # OffsetFetch
    10: 0,  # FindCoordinator
    11: 0,  # JoinGroup
    12: 0,  # Heartbeat
    13: 0,  # LeaveGroup
    14: 0,  # SyncGroup
    _API_VERSIONS: 0,
    22: 0,  # InitProducerId
}


class MetadataBroker:
    """Serves until the process ends.

    `just_started`  whether it tells of no brokers, as one does that has just started.
    `told_nothing`  how often it has.
    `told`          how often it told of itself.
    """

    def __init__(self) -> None:
        self.just_started = False
        self.told = 0
        self.told_nothing = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self._port: int = self._server.getsockname()[1]
        self.bootstrap = f"127.0.0.1:{self._port}"
        Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._server.accept()
            Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        # A client that closes with an answer under way resets the connection.
        with suppress(ConnectionError), client, client.makefile("rb") as requests:
            while len(size := requests.read(4)) == 4:
                request = requests.read(int.from_bytes(size, "big"))
                kind, version, number = struct.unpack_from(">hhi", request)
                answer = self._answer(kind, version)
                if answer is not None:
                    client.sendall(struct.pack(">ii", 4 + len(answer), number) + answer)

    def _answer(self, kind: int, version: int) -> bytes | None:
        if kind == _API_VERSIONS:
            error = _UNSUPPORTED_VERSION if version else 0
            known = b"".join(struct.pack(">hhh", kind, 0, newest) for kind, newest in _KNOWN.items())
            return struct.pack(">hi", error, len(_KNOWN)) + known
        if kind == _METADATA:
            return self._nobody() if self.just_started else self._itself()
        return None

    def _nobody(self) -> bytes:
        self.told_nothing += 1
        return struct.pack(">ii", 0, -1) + _topic(_LEADER_NOT_AVAILABLE, -1)

    def _itself(self) -> bytes:
        self.told += 1
        broker = struct.pack(">ii", 1, 1) + _text("127.0.0.1") + struct.pack(">ih", self._port, -1)
        return broker + struct.pack(">i", 1) + _topic(0, 1)


def _topic(error: int, leader: int) -> bytes:
    partition = struct.pack(">ihiiiiii", 1, error, 0, leader, 1, 1, 1, 1)
    return struct.pack(">ih", 1, 0) + _text(TOPIC) + b"\0" + partition


def _text(said: str) -> bytes:
    return struct.pack(">h", len(said)) + said.encode()
