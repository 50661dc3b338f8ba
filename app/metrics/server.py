"""A small server of pages, in one thread: a slow client holds nobody up, and GET alone is understood."""

import asyncio
import hmac
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from concurrent.futures import Future
from threading import Thread
from typing import Final

from app.errors import UsageError
from app.metrics.pages import Answer, Page

HEAD_SIZE_MAX: Final = 8_192
PATIENCE_S: Final = 5.0  # for a request to come whole, and for an answer to go
CONNECTIONS_MAX: Final = 32
# What ends a connection without an answer; it is cancelled where the server is closed.
GONE: Final = (
    TimeoutError,
    ConnectionError,
    asyncio.IncompleteReadError,
    asyncio.LimitOverrunError,
    asyncio.CancelledError,
)
REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    421: "Misdirected Request",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class PageServer:
    """Serves pages from one thread of its own until it is closed.

    Where only some hosts may be named, a page of somebody else's in a browser on this machine cannot reach it
    by a name that leads here.
    """

    def __init__(
        self,
        address: str,
        port: int,
        pages: Mapping[str, Page],
        *,
        hosts: AbstractSet[str] | None,
        token: str = "",
    ) -> None:
        """Listen; port 0 takes any.  `hosts` are those that a request may name, None for any.

        Raises UsageError where it cannot listen.
        """
        self._pages = pages
        self._token = token
        self._hosts = hosts
        self._connections = 0
        self._loop = asyncio.new_event_loop()
        ready: Future[tuple[str, int]] = Future()
        self._thread = Thread(
            target=self._run, args=(address, port, ready), name="tidemark-pages", daemon=True
        )
        self._thread.start()
        try:
            self.address, self.port = ready.result()
        except (OSError, OverflowError) as refused:
            self._thread.join()
            raise UsageError(
                f"cannot listen on {address} port {port}: {refused}; take another port"
            ) from None

    @property
    def where(self) -> str:
        """`127.0.0.1:9464`."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    def close(self) -> None:
        """Answer no more."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def _run(self, address: str, port: int, ready: "Future[tuple[str, int]]") -> None:
        """The thread: until the loop is stopped."""
        asyncio.set_event_loop(self._loop)
        try:
            opening = asyncio.start_server(self._serve, address, port, limit=HEAD_SIZE_MAX, backlog=64)
            server = self._loop.run_until_complete(opening)
        except (OSError, OverflowError) as refused:
            self._loop.close()
            ready.set_exception(refused)
            return
        name = server.sockets[0].getsockname()
        ready.set_result((name[0], name[1]))
        self._loop.run_forever()
        server.close()
        under_way = asyncio.all_tasks(self._loop)
        for one in under_way:
            one.cancel()
        self._loop.run_until_complete(asyncio.gather(*under_way, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        self._connections += 1
        try:
            if self._connections <= CONNECTIONS_MAX:
                async with asyncio.timeout(PATIENCE_S):
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(encoded(self.answer(head)))
                    await writer.drain()
        except GONE:
            writer.transport.abort()  # nobody is there, or sends no request: there is nothing to answer
        finally:
            self._connections -= 1
            writer.close()

    def answer(self, head: bytes) -> Answer:
        """The answer to a request, of which `head` is all up to its first empty line."""
        try:
            first, *lines = head.decode("latin-1").split("\r\n")
            method, target, _ = first.split(" ")
        except ValueError:
            return Answer(400, b"not a request\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, colon, value in (line.partition(":") for line in lines)
            if colon
        }
        if self._hosts is not None and _host(headers.get("host", "")) not in self._hosts:
            return Answer(421, b"no host of that name here\n")
        if method != "GET":
            return Answer(405, b"GET only\n")
        page = self._pages.get(target.partition("?")[0])
        if page is None:
            return Answer(404, "".join(f"{path}\n" for path in self._pages).encode())
        if self._token and not page.is_open and not self._knows(headers.get("authorization", "")):
            return Answer(401, b"a token is needed: Authorization: Bearer TOKEN\n")
        try:
            return page.answer(headers.get("accept", ""))
        except Exception as failed:
            return Answer(500, f"{type(failed).__name__}\n".encode())

    def _knows(self, authorization: str) -> bool:
        return hmac.compare_digest(authorization.encode(), f"Bearer {self._token}".encode())


def _host(value: str) -> str:
    """The host of a `Host` header, without its port."""
    if value.startswith("["):
        return value[1:].partition("]")[0]
    return value.partition(":")[0].lower()


def encoded(answer: Answer) -> bytes:
    """An answer as it goes out."""
    authenticate = "WWW-Authenticate: Bearer\r\n" if answer.status == 401 else ""
    allow = "Allow: GET\r\n" if answer.status == 405 else ""
    head = (
        f"HTTP/1.1 {answer.status} {REASONS[answer.status]}\r\n"
        f"Content-Type: {answer.content_type}\r\nContent-Length: {len(answer.text)}\r\n"
        f"{authenticate}{allow}Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + answer.text
