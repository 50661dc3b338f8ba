"""The pages on a real socket: who may ask, what is answered, and that a slow client holds nobody up."""

import json
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic, sleep

import pytest

from app.config import Settings
from app.errors import UsageError
from app.metrics.pages import Answer, Page, health_page
from app.metrics.server import CONNECTIONS_MAX, HEAD_SIZE_MAX, PageServer
from app.settings.metrics import LOOPBACK
from app.worker.endpoint import Endpoint, discovery_file
from tests.stage.market import Market

KNOWN = "s3cret"


def fails(_accept: str) -> Answer:
    raise RuntimeError("a figure that cannot be had")


PAGES = {
    "/metrics": Page(lambda accept: Answer(200, f"accepts {accept}".encode())),
    "/livez": health_page(lambda: ""),
    "/readyz": health_page(lambda: "awaits its start"),
    "/broken": Page(fails),
}


@pytest.fixture
def server() -> Iterator[PageServer]:
    opened = PageServer("127.0.0.1", 0, PAGES, hosts=LOOPBACK)
    yield opened
    opened.close()


def get(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_each_page_answers_and_health_is_a_status(server: PageServer) -> None:
    assert get(server.port, "/metrics", Accept="text/plain") == (200, "accepts text/plain")
    assert get(server.port, "/livez?verbose=1") == (200, "ok\n")
    assert get(server.port, "/readyz") == (503, "awaits its start\n")


def test_what_is_not_there_is_named_by_what_is(server: PageServer) -> None:
    status, text = get(server.port, "/../etc/passwd")
    assert (status, text.split()) == (404, list(PAGES))


def test_nothing_but_get_is_understood(server: PageServer) -> None:
    assert get(server.port, "/metrics", "POST")[0] == 405
    assert raw(server.port, b"\x16\x03\x01 nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_a_page_that_fails_is_an_error_and_the_next_request_is_answered(server: PageServer) -> None:
    assert get(server.port, "/broken") == (500, "RuntimeError\n")
    assert get(server.port, "/livez")[0] == 200


def test_a_request_by_another_name_than_loopback_is_turned_away(server: PageServer) -> None:
    assert get(server.port, "/metrics", Host="attacker.example:9464")[0] == 421
    assert get(server.port, "/metrics", Host="localhost:9464")[0] == 200
    assert get(server.port, "/metrics", Host="[::1]:9464")[0] == 200


def test_figures_need_the_token_and_health_does_not() -> None:
    server = PageServer("127.0.0.1", 0, PAGES, hosts=None, token=KNOWN)
    try:
        assert get(server.port, "/metrics")[0] == 401
        assert get(server.port, "/metrics", Authorization="Bearer wrong")[0] == 401
        assert get(server.port, "/metrics", Authorization=f"Bearer {KNOWN}")[0] == 200
        assert get(server.port, "/livez", Host="10.1.2.3:9464")[0] == 200
    finally:
        server.close()


def test_clients_that_send_nothing_hold_nobody_up(server: PageServer) -> None:
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(2 * CONNECTIONS_MAX)]
    try:
        for one in silent[CONNECTIONS_MAX:]:
            one.sendall(b"GET /metrics HTTP/1.1\r\nX-Slow: ")
        assert get(server.port, "/livez")[0] == 200
    finally:
        for one in silent:
            one.close()


def test_where_no_file_can_be_opened_a_connection_waits_and_the_thread_does_not_spin(
    monkeypatch: pytest.MonkeyPatch, server: PageServer
) -> None:
    tries: list[float] = []
    accept = socket.socket.accept

    def counted(listener: socket.socket) -> tuple[socket.socket, object]:
        tries.append(monotonic())
        return accept(listener)

    monkeypatch.setattr(socket.socket, "accept", counted)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as client, ExitStack() as files:
        client.settimeout(10)
        resource.setrlimit(resource.RLIMIT_NOFILE, (client.fileno() + 64, limits[1]))
        try:
            while files.enter_context(Path("/dev/null").open()).fileno() < client.fileno() + 63:
                continue
            client.connect(("127.0.0.1", server.port))
            client.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            sleep(0.7)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert client.recv(4_096).startswith(b"HTTP/1.1 200 OK\r\n")
    assert 2 <= len(tries) <= 4


@pytest.mark.parametrize("address", ["a..b", "a" * 64 + ".example", "nowhere.invalid"])
def test_an_address_that_is_none_is_refused_in_one_line(address: str) -> None:
    with pytest.raises(UsageError, match=f"cannot listen on {address} port 0: .*take another port"):
        PageServer(address, 0, PAGES, hosts=None)


def test_a_head_without_end_is_cut_off(server: PageServer) -> None:
    assert raw(server.port, b"GET / HTTP/1.1\r\nX: " + b"x" * (2 * HEAD_SIZE_MAX)) == b""
    assert get(server.port, "/livez")[0] == 200


def test_a_request_in_pieces_is_answered_once_it_is_whole(server: PageServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        for piece in (b"GET /livez HT", b"TP/1.1\r\nHost: localhost\r", b"\n\r\n"):
            assert get(server.port, "/livez")[0] == 200
            connection.sendall(piece)
        assert connection.recv(4_096).startswith(b"HTTP/1.1 200 OK\r\n")


def test_an_answer_that_no_socket_takes_at_once_goes_as_it_is_read() -> None:
    long = bytes(range(256)) * 65_536
    server = PageServer("127.0.0.1", 0, {"/long": Page(lambda _: Answer(200, long))}, hosts=LOOPBACK)
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as slow:
            slow.sendall(b"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert get(server.port, "/none")[0] == 404
            with slow.makefile("rb") as answer:
                assert answer.read().partition(b"\r\n\r\n")[2] == long
    finally:
        server.close()


def test_who_sends_nothing_is_let_go_in_the_end(monkeypatch: pytest.MonkeyPatch, server: PageServer) -> None:
    monkeypatch.setattr("app.metrics.server.PATIENCE_S", 0.2)
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(CONNECTIONS_MAX)]
    for one in silent:
        one.settimeout(10)
        assert one.recv(1) == b""
        one.close()
    assert get(server.port, "/livez")[0] == 200


def test_a_port_that_is_taken_is_refused_with_its_number(server: PageServer) -> None:
    with pytest.raises(
        UsageError, match=f"cannot listen on 127.0.0.1 port {server.port}: .*take another port"
    ):
        PageServer("127.0.0.1", server.port, PAGES, hosts=LOOPBACK)


def raw(port: int, request: bytes) -> bytes:
    """What is answered to these bytes."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        try:
            connection.sendall(request)
            while part := connection.recv(4_096):
                answer += part
        except ConnectionError:
            return answer
    return answer


def settings_of(folder: Path, **metrics: object) -> Settings:
    worker = {"state": str(folder), "slot": "3"}
    return Settings.model_validate({"worker": worker, "metrics": {"port": 0, **metrics}})


def test_a_worker_answers_before_it_is_open_and_is_not_found_by_others_yet(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    endpoint = Endpoint(settings)
    try:
        assert not discovery_file(settings).exists(), "another worker may have the slot"
        port = int(endpoint.where.rpartition(":")[2])
        assert get(port, "/metrics")[0] == 503
        assert get(port, "/livez") == (200, "ok\n")
        assert get(port, "/readyz") == (503, "awaits its start\n")
    finally:
        endpoint.close()


def test_a_worker_that_works_shows_its_figures_and_that_it_is_ready(tmp_path: Path) -> None:
    market = Market(tmp_path)
    settings = settings_of(tmp_path)
    endpoint = Endpoint(settings)
    worker = market.worker_at(endpoint.ledger, endpoint.health)
    endpoint.opened(worker)
    (target,) = json.loads(discovery_file(settings).read_text())
    assert target == {"targets": [endpoint.where], "labels": {"pipeline": "tidemark", "slot": "3"}}
    try:
        market.trade(1)
        market.progress(2)
        for _ in range(3):
            worker.turn()
            market.pass_commit_interval()
        port = int(endpoint.where.rpartition(":")[2])
        status, text = get(port, "/metrics")
        assert status == 200
        assert "tidemark_rows_sealed_total 1.0" in text
        assert 'tidemark_worker_info{guarantee="exactly_once",pipeline="tidemark",reading="embedded"' in text
        assert "process_resident_memory_bytes" in text
        assert get(port, "/metrics", Accept="application/openmetrics-text; version=1.0.0")[1].endswith(
            "# EOF\n"
        )
        assert get(port, "/readyz") == (200, "ok\n")
        endpoint.stop()
        assert get(port, "/readyz")[0] == 503
        worker.close()
    finally:
        endpoint.close()
    assert not discovery_file(settings).exists()


@pytest.mark.parametrize(
    ("slot", "by_slot", "port"), [("3", True, 9_467), ("3", False, 9_464), ("a", True, 9_464)]
)
def test_slots_that_are_numbers_are_counted_from_the_port_on(slot: str, by_slot: bool, port: int) -> None:
    settings = Settings.model_validate({"metrics": {"port": 9_464, "by_slot": by_slot}})
    assert settings.metrics.port_of(slot) == port


def test_beyond_loopback_a_token_is_needed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"metrics.address = '0.0.0.0' is no loopback address"):
        settings_of(tmp_path, address="0.0.0.0")  # noqa: S104
    (tmp_path / "token").write_text("\n")
    with pytest.raises(UsageError, match="is empty"):
        Endpoint(settings_of(tmp_path, token_file=str(tmp_path / "token")))
    for content, why in ((b"\xff\xfe", "no text"), ("geheim-ä".encode(), "ASCII"), (b"one\ntwo", "one line")):
        (tmp_path / "token").write_bytes(content)
        with pytest.raises(UsageError, match=why):
            Endpoint(settings_of(tmp_path, token_file=str(tmp_path / "token")))
    with pytest.raises(UsageError, match="nowhere: No such file"):
        Endpoint(settings_of(tmp_path, token_file=str(tmp_path / "nowhere")))
