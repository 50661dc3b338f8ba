"""Who is answered and who is not; what a browser is told to go by."""

import json

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.serve.guard import COOKIE, HEADERS, Guard, host_name
from app.serve.plain import browser_json

TOKEN = "0123456789abcdef0123456789abcdef"  # noqa: S105 - of this test alone


def client(token: str = "", *, secure: bool = False, host: str = "localhost:8765") -> TestClient:
    """A browser that comes by this host."""

    async def hello(_: object) -> PlainTextResponse:
        return PlainTextResponse("hello")

    inner = Starlette(routes=[Route("/", hello, methods=["GET", "POST"]), Route("/livez", hello)])
    guarded = Guard(inner, hosts=frozenset({"localhost", "[::1]"}), token=token, secure=secure)
    return TestClient(guarded, base_url=f"http://{host}", follow_redirects=False)


def test_a_host_on_the_list_is_answered_whatever_its_port() -> None:
    assert client().get("/").text == "hello"
    assert client(host="[::1]:9").get("/").status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1", "[::2]", "localhost@evil"]
)
def test_a_foreign_host_is_refused(host: str) -> None:
    """The page of somebody else may have its own name lead to this machine."""
    answer = client().get("/", headers={"host": host})
    assert answer.status_code == 421
    assert "--allow-host" in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_but_reading_is_answered(method: str) -> None:
    assert client().request(method, "/").status_code == 405


def test_without_a_token_nobody_is_answered_but_for_liveness() -> None:
    browser = client(TOKEN)
    assert browser.get("/").status_code == 401
    assert browser.get("/", headers={"authorization": "Bearer wrong"}).status_code == 401
    assert browser.get("/", headers={"cookie": f"{COOKIE}=wrong"}).status_code == 401
    assert browser.get("/livez").status_code == 200


def test_a_bearer_is_answered() -> None:
    assert client(TOKEN).get("/", headers={"authorization": f"Bearer {TOKEN}"}).text == "hello"


def test_a_browser_enters_once_and_keeps_a_cookie_that_scripts_do_not_see() -> None:
    browser = client(TOKEN)
    assert browser.get("/enter?token=wrong").status_code == 401
    assert browser.get("/enter?a=1&b=2&c=3&d=4&token=x").status_code == 401
    answer = browser.get(f"/enter?token={TOKEN}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Secure" not in cookie
    assert browser.get("/").text == "hello"


def test_behind_tls_the_cookie_is_for_tls_alone() -> None:
    assert "; Secure" in client(TOKEN, secure=True).get(f"/enter?token={TOKEN}").headers["set-cookie"]


@pytest.mark.parametrize("path", ["/", "/nothing", "/enter?token=x"])
def test_every_answer_has_the_policy(path: str) -> None:
    for browser in (client(), client(TOKEN)):
        headers = browser.get(path).headers
        assert {name: headers[name] for name in HEADERS} == dict(HEADERS)
        assert "unsafe" not in headers["content-security-policy"]


def test_the_name_of_a_host_has_no_port() -> None:
    assert [host_name(text) for text in ("A.b:80", "a.b", "[::1]:80", "")] == ["a.b", "a.b", "[::1]", ""]


def test_whole_numbers_that_a_browser_would_round_are_text() -> None:
    ns = 1_705_305_600_000_000_001
    given = {
        "ns": ns,
        "small": -5,
        "list": [2**53, 2**53 + 1],
        "nan": float("nan"),
        "yes": True,
        "none": None,
    }
    assert json.loads(browser_json(given)) == {
        "ns": str(ns),
        "small": -5,
        "list": [2**53, str(2**53 + 1)],
        "nan": None,
        "yes": True,
        "none": None,
    }
