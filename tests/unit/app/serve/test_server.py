"""Where the page may listen, and what a connection may take."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from time import sleep

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from app.errors import UsageError
from app.serve import server
from app.serve.server import Listening, open_socket, parse_address, read_token, server_of

TOKEN = "0123456789abcdef"  # noqa: S105 - of this test alone


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:8765", ("127.0.0.1", 8765)), ("[::1]:0", ("::1", 0)), ("page.lan:80", ("page.lan", 80))],
)
def test_an_address_has_a_host_and_a_port(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "8765", ":8765", "host:", "host:70000", "host:http", "host:" + "9" * 5_000]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"expected HOST:PORT, such as 127\.0\.0\.1:8765"):
        parse_address(text)


def test_others_are_let_in_with_a_token_and_behind_tls_alone() -> None:
    Listening("127.0.0.1", 0).require_safe()
    with pytest.raises(UsageError, match="say --token-file FILE"):
        Listening("0.0.0.0", 0).require_safe()  # noqa: S104 - this is what is refused
    with pytest.raises(UsageError, match="in clear text"):
        Listening("10.0.0.1", 0, TOKEN).require_safe()
    Listening("10.0.0.1", 0, TOKEN, behind_proxy=True).require_safe()
    Listening("10.0.0.1", 0, TOKEN, Path("page.pem"), Path("page.key")).require_safe()


@pytest.mark.parametrize(
    "text", ["short", "0123456789abcde;", "0123456789 abcdef", 'a"0123456789abcdef', "0" * 15]
)
def test_a_token_that_is_weak_or_no_cookie_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(text)
    with pytest.raises(UsageError, match="openssl rand -hex 32"):
        read_token(file)


def test_a_token_is_read_without_its_line_end(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert read_token(file) == TOKEN
    with pytest.raises(UsageError, match="cannot be read"):
        read_token(tmp_path / "none")


@pytest.mark.parametrize("host", ["a..b", "nowhere.invalid"])
def test_a_host_that_is_none_is_refused(host: str) -> None:
    with pytest.raises(UsageError, match=f"--listen {host}:0: "):
        open_socket(Listening(host, 0))


def test_a_port_that_is_taken_is_named() -> None:
    first = open_socket(Listening("127.0.0.1", 0))
    try:
        with pytest.raises(UsageError, match="name another port, or 0"):
            open_socket(Listening("127.0.0.1", first.getsockname()[1]))
    finally:
        first.close()


@contextmanager
def page(*routes: Route) -> Iterator[tuple[str, int]]:
    """A page that is served by a thread; yields where."""
    listening = Listening("127.0.0.1", 0)
    opened = open_socket(listening)
    running = server_of(
        Starlette(routes=[Route("/", lambda _: PlainTextResponse("here")), *routes]), listening
    )
    thread = Thread(target=lambda: running.run(sockets=[opened]))
    thread.start()
    try:
        yield opened.getsockname()
    finally:
        running.should_exit = True
        thread.join()


@pytest.mark.parametrize("begin", [b"", b"GET / HTTP/1.1\r\nHost: loc"])
def test_a_connection_that_sends_no_whole_request_is_closed(
    begin: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "REQUEST_S", 0.2)
    with page() as place, socket.create_connection(place, timeout=10) as slow:
        slow.sendall(begin)
        assert slow.recv(100) == b""


def _is_closed_to(connection: socket.socket, drop: bytes) -> bool:
    try:
        connection.sendall(drop)
    except ConnectionError:
        return True
    sleep(0.02)
    return False


@pytest.mark.parametrize(
    ("first", "drop"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"x"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n", b"x"),
    ],
    ids=["another request", "a body"],
)
def test_who_was_answered_once_and_goes_on_drop_by_drop_is_closed(
    first: bytes, drop: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "REQUEST_S", 0.5)
    with page() as place, socket.create_connection(place, timeout=10) as slow:
        slow.sendall(first)
        assert slow.recv(4_096).startswith(b"HTTP/1.1 200 ")
        assert any(_is_closed_to(slow, drop) for _ in range(500))


def test_a_client_that_takes_nothing_of_what_is_sent_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "TAKE_S", 0.3)
    ended = Event()

    async def looks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(65_536)
                await asyncio.sleep(0.001)
        finally:
            ended.set()

    with (
        page(Route("/feed", lambda _: StreamingResponse(looks()))) as place,
        socket.create_connection(place, timeout=10) as slow,
    ):
        slow.sendall(b"GET /feed HTTP/1.1\r\nHost: a\r\n\r\n")
        assert ended.wait(10), "the feed has one place less for ever"


def test_headers_without_end_are_refused() -> None:
    with page() as place, socket.create_connection(place, timeout=10) as flood:
        flood.sendall(b"GET / HTTP/1.1\r\n" + b"x: " + b"y" * server.HEAD_SIZE_MAX * 4)
        assert flood.recv(100).startswith(b"HTTP/1.1 400")
