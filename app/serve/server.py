"""The server of the page: uvicorn on a socket of ours, with bounds on what a connection may take."""

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any, Final, NamedTuple

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.errors import UsageError

CONNECTIONS_MAX: Final = 128
REQUEST_S: Final = 10.0  # until a connection has sent a whole request, its first one or another
TAKE_S: Final = 30.0  # until a client has taken some of what waits for it
IDLE_S: Final = 5
HEAD_SIZE_MAX: Final = 16 << 10  # bytes of a request's line and headers
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
TOKEN_LENGTH_MIN: Final = 16
PORT_LENGTH_MAX: Final = 5


class Listening(NamedTuple):
    """Where to listen, and what protects it.

    `host` an address; `port` 0 for any that is free.  `behind_proxy` says that TLS ends before this process.
    """

    host: str
    port: int
    token: str = ""
    certificate: Path | None = None
    key: Path | None = None
    behind_proxy: bool = False

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return self.host in LOOPBACK

    @property
    def secure(self) -> bool:
        """Whether browsers come by TLS."""
        return self.certificate is not None or self.behind_proxy

    def address(self, port: int) -> str:
        """Where a browser begins; with a token the place where it is entered."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        scheme = "http" if self.certificate is None else "https"
        return f"{scheme}://{shown}:{port}{'/enter?token=...' if self.token else '/'}"

    def require_safe(self) -> None:
        """Raise UsageError for an address that others reach without a token, or in clear text."""
        if self.is_loopback:
            return
        if not self.token:
            raise UsageError(
                f"--listen {self.host} is reached by other machines: say --token-file FILE, or listen on "
                "127.0.0.1"
            )
        if not self.secure:
            raise UsageError(
                f"--listen {self.host} would send the token in clear text: say --tls-certificate and "
                "--tls-key, or --behind-proxy where a proxy ends TLS"
            )


def read_token(file: Path) -> str:
    """The token in a file; raises UsageError for a file that cannot be read and for a token too short."""
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as unread:
        raise UsageError(f"--token-file {file} cannot be read: {unread}") from None
    if (
        len(token) < TOKEN_LENGTH_MIN
        or not token.isascii()
        or not token.isprintable()
        or set(token) & set(' ";,\\')
    ):
        raise UsageError(
            f"--token-file {file}: a token has {TOKEN_LENGTH_MIN} or more ASCII characters, none of them a "
            "space, quote, comma, semicolon or backslash: `openssl rand -hex 32` makes one"
        )
    return token


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:8765` or `[::1]:8765`; raises UsageError."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not (colon and host and port.isdecimal() and len(port) <= PORT_LENGTH_MAX and int(port) <= 65_535):
        raise UsageError(f"--listen {text!r}: expected HOST:PORT, such as 127.0.0.1:8765")
    return host, int(port)


def open_socket(listening: Listening) -> socket.socket:
    """A socket that listens; raises UsageError where the address is taken or is none of this machine's."""
    family = socket.AF_INET6 if ":" in listening.host else socket.AF_INET
    opened = socket.socket(family)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((listening.host, listening.port))
        opened.listen(CONNECTIONS_MAX)
    except (OSError, UnicodeError) as taken:
        opened.close()
        why = getattr(taken, "strerror", None) or taken
        raise UsageError(
            f"--listen {listening.host}:{listening.port}: {why}; name another port, or 0 for any"
        ) from None
    return opened


def server_of(application: ASGIApp, listening: Listening) -> uvicorn.Server:
    """A server whose `run` returns at SIGTERM or Ctrl-C."""
    return _Server(
        uvicorn.Config(
            application,
            http=_Bounded,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=IDLE_S,
            timeout_graceful_shutdown=2,
            limit_concurrency=CONNECTIONS_MAX,
            h11_max_incomplete_event_size=HEAD_SIZE_MAX,
            ssl_certfile=listening.certificate,
            ssl_keyfile=listening.key,
        )
    )


class _Server(uvicorn.Server):
    """Ends with exit code 0 when it is told to, as every command here: uvicorn would die of the signal."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        in_main = current_thread() is main_thread()
        before = {number: signal.signal(number, self.handle_exit) for number in SIGNALS} if in_main else {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _Bounded(H11Protocol):
    """Closes a connection that does not send a whole request in time, or does not take its answer.

    uvicorn would wait for ever for either, and such connections would use up those that there may be.
    """

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._late = self._full = self.loop.call_later(REQUEST_S, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._late.cancel()
        self._full.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self._late.cancel()
        self._late = self.loop.call_later(REQUEST_S, self._give_up)
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._full = self.loop.call_later(TAKE_S, self.transport.abort)

    def resume_writing(self) -> None:
        self._full.cancel()
        super().resume_writing()

    def _give_up(self) -> None:
        begun: object = self.cycle  # None until a request is whole, whatever the library declares
        if begun is None or self.cycle.response_complete:
            self.transport.close()  # once the last of an answer is taken
            self._late = self.loop.call_later(TAKE_S, self.transport.abort)
