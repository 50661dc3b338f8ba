"""A small server of pages, in one thread: a slow client holds nobody up, and GET alone is understood.

Beside a worker's loop a thread waits up to 5 ms for Python's lock after each call that lets go of it.  So a
connection that is taken in is read and answered at once: four such calls from its first byte to its last,
where asyncio has a dozen.
"""

import errno
import hmac
import socket
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from socket import MSG_DONTWAIT
from threading import Thread
from time import monotonic
from typing import Final

import structlog

from app.errors import UsageError
from app.metrics.pages import Answer, Page

log = structlog.get_logger()

HEAD_SIZE_MAX: Final = 8_192
HEAD_END: Final = b"\r\n\r\n"
PATIENCE_S: Final = 5.0  # for a request to come whole, and for an answer to go
CONNECTIONS_MAX: Final = 32
BACKLOG: Final = 64
FULL: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
FULL_S: Final = 0.5  # until it is tried again to take a connection in, where the system had no room for one
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


@dataclass(slots=True, eq=False)
class _Client:
    """A connection: what came of its request so far, and what is left of its answer."""

    socket: socket.socket
    ends_s: float  # when patience with it is at its end
    head: bytes = b""
    left: bytes = b""
    waits: int = 0  # the event that a selector watches it for; 0 is none


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
        self._clients: set[_Client] = set()
        self._deaf_until_s: float | None = None  # while nobody is taken in
        try:
            self._listener = _listening(address, port)
            self._selector = DefaultSelector()  # here, where it can be told that no more files can be opened
            self._waker, self._wakes = socket.socketpair()
        except (OSError, OverflowError, UnicodeError) as refused:
            raise UsageError(
                f"cannot listen on {address} port {port}: {refused}; take another port"
            ) from None
        self.address, self.port = self._listener.getsockname()[:2]
        self._thread = Thread(target=self._run, name="tidemark-pages", daemon=True)
        self._thread.start()

    @property
    def where(self) -> str:
        """`127.0.0.1:9464`."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    def close(self) -> None:
        """Answer no more."""
        self._waker.close()
        self._thread.join()

    def _run(self) -> None:
        """The thread: until the other end of `_wakes` is closed."""
        with self._selector as selector, self._listener, self._wakes:
            selector.register(self._listener, EVENT_READ)
            selector.register(self._wakes, EVENT_READ)
            while True:
                for key, _ in selector.select(self._wait_s()):
                    if key.fileobj is self._wakes:
                        for client in self._clients:
                            client.socket.close()
                        return
                    if key.fileobj is self._listener:
                        self._take_in(selector)
                    elif key.data in self._clients:  # else it had to make room just now
                        self._tend(selector, key.data)
                now_s = monotonic()
                if self._deaf_until_s is not None and self._deaf_until_s <= now_s:
                    self._deaf_until_s = None
                    selector.register(self._listener, EVENT_READ)
                for client in [one for one in self._clients if one.ends_s <= now_s]:
                    self._let_go(selector, client)

    def _wait_s(self) -> float | None:
        """Seconds until something is to be done that no event tells of, None for ever."""
        ends_s = [client.ends_s for client in self._clients]
        if self._deaf_until_s is not None:
            ends_s.append(self._deaf_until_s)
        return max(0.0, min(ends_s) - monotonic()) if ends_s else None

    def _take_in(self, selector: DefaultSelector) -> None:
        """A connection, whose request has mostly come by the time that it is seen.

        Where there are too many, the one that waits longest makes room: connections that send nothing must
        not keep a question about health from its answer.
        """
        try:
            accepted, _ = self._listener.accept()
        except OSError as refused:  # it is gone already, or there is no room for it: the others go on
            if refused.errno in FULL:  # it stays in the backlog, and would wake this thread without end
                selector.unregister(self._listener)
                self._deaf_until_s = monotonic() + FULL_S
            return
        if len(self._clients) == CONNECTIONS_MAX:
            self._let_go(selector, min(self._clients, key=lambda client: client.ends_s))
        client = _Client(accepted, monotonic() + PATIENCE_S)
        self._clients.add(client)
        self._tend(selector, client)

    def _tend(self, selector: DefaultSelector, client: _Client) -> None:
        """Go on with a connection; what it waits for then is watched, and it is closed where it is done."""
        try:
            waits = self._went_on(client)
        except OSError:  # nobody is there
            waits = 0
        if not waits:
            self._let_go(selector, client)
        elif not client.waits:
            selector.register(client.socket, waits, client)
        elif waits != client.waits:
            selector.modify(client.socket, waits, client)
        client.waits = waits

    def _went_on(self, client: _Client) -> int:
        """Read what came of a request and send its answer; returns the event to wait for, 0 where done."""
        try:
            if not client.left:
                came = client.socket.recv(HEAD_SIZE_MAX, MSG_DONTWAIT)
                client.head += came
                head, end, _ = client.head.partition(HEAD_END)
                if not end:  # without more to come, or too long, it is no request: there is nothing to answer
                    return EVENT_READ if came and len(client.head) < HEAD_SIZE_MAX else 0
                client.left = encoded(self.answer(head))
            client.left = client.left[client.socket.send(client.left, MSG_DONTWAIT) :]
        except BlockingIOError:
            return EVENT_WRITE if client.left else EVENT_READ
        return EVENT_WRITE if client.left else 0

    def _let_go(self, selector: DefaultSelector, client: _Client) -> None:
        self._clients.discard(client)
        if client.waits:
            selector.unregister(client.socket)
        client.socket.close()

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
            log.exception("a page failed", page=target)
            return Answer(500, f"{type(failed).__name__}\n".encode())

    def _knows(self, authorization: str) -> bool:
        return hmac.compare_digest(authorization.encode(), f"Bearer {self._token}".encode())


def _host(value: str) -> str:
    """The host of a `Host` header, without its port."""
    if value.startswith("["):
        return value[1:].partition("]")[0]
    return value.partition(":")[0].lower()


def _listening(address: str, port: int) -> socket.socket:
    """A socket that listens; one that was closed lately does not hold the port."""
    family, kind, protocol, _, place = socket.getaddrinfo(
        address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


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
