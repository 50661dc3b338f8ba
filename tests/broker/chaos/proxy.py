"""A TCP proxy before a broker that loses answers: it can drop those of one request type to one client.

Kafka's framing is all it knows: a length of 4 bytes, then in a request the API key and version (2 bytes
each), the correlation id (4) and the client id (2 bytes of length, then text); an answer begins with the
correlation id.
"""

import asyncio
import struct
import threading
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Final, Self

END_TRANSACTION: Final = 26
HOST: Final = "127.0.0.1"
START_S: Final = 10.0


class Proxy:
    """Listens on a port of its own; `target` is the port of the broker behind it.

    `drop` names an API key and a client id; the answers to such requests are lost, and `dropped` counts them.
    """

    def __init__(self) -> None:
        self.port = 0
        self.target = 0
        self.drop: tuple[int, str] | None = None
        self.dropped = 0
        self._loop = asyncio.new_event_loop()
        self._ready: Future[int] = Future()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def __enter__(self) -> Self:
        self._thread.start()
        self.port = self._ready.result(START_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connected, HOST, 0)
        self._ready.set_result(server.sockets[0].getsockname()[1])
        await self._ended.wait()
        server.close()
        while mine := asyncio.all_tasks() - {asyncio.current_task()}:  # one may begin as another ends
            for task in mine:
                task.cancel()
            await asyncio.gather(*mine, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with _closed_at_end(writer):
            try:
                broker_reader, broker_writer = await asyncio.open_connection(HOST, self.target)
            except OSError:  # as if nobody listened here either
                return
            async with _closed_at_end(broker_writer):
                await self._relay(reader, writer, broker_reader, broker_writer)

    async def _relay(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        broker_reader: asyncio.StreamReader,
        broker_writer: asyncio.StreamWriter,
    ) -> None:
        lost: set[int] = set()  # correlation ids of requests whose answer is to be lost
        ways = (
            asyncio.ensure_future(self._requests(reader, broker_writer, lost)),
            asyncio.ensure_future(self._answers(broker_reader, writer, lost)),
        )
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lost: set[int]
    ) -> None:
        async for message in _messages(reader):
            key, _, correlation, size = struct.unpack_from(">hhih", message, 4)
            client = message[14 : 14 + max(0, size)].decode(errors="replace")
            if self.drop == (key, client):
                lost.add(correlation)
            writer.write(message)
            await writer.drain()

    async def _answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lost: set[int]
    ) -> None:
        async for message in _messages(reader):
            (correlation,) = struct.unpack_from(">i", message, 4)
            if correlation in lost:
                lost.discard(correlation)
                self.dropped += 1
                continue
            writer.write(message)
            await writer.drain()


@asynccontextmanager
async def _closed_at_end(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    """Close a connection, and return once its socket is: the loop may turn no more afterwards."""
    try:
        yield
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


class _Messages:
    """The framed messages of a connection, each with its length, until it ends."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    def __aiter__(self) -> "_Messages":
        return self

    async def __anext__(self) -> bytes:
        try:
            length = await self._reader.readexactly(4)
            return length + await self._reader.readexactly(int.from_bytes(length, "big"))
        except (asyncio.IncompleteReadError, ConnectionError):
            raise StopAsyncIteration from None


_messages = _Messages
