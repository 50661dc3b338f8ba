"""Who may ask: an allow-list of hosts, a token, reading alone, and headers that a browser goes by."""

import hmac
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE: Final = "tidemark-token"
ENTRANCE: Final = "/enter"  # where a browser gives its token once
OPEN: Final = frozenset({"/livez"})  # says one word, for those who watch the process
ASSETS_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": ASSETS_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_ENCODED: Final = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


class Guard:
    """An ASGI application before another: what it refuses never reaches the other.

    `hosts` are the values of the `Host` header that are answered, without the port: a page of somebody else
    may have its name lead here.  `token` is asked for where there is one, as a cookie or as a bearer.
    """

    def __init__(self, inner: ASGIApp, *, hosts: frozenset[str], token: str = "", secure: bool) -> None:
        """`secure` says that browsers come by TLS, so that the cookie is for such connections alone."""
        self._inner = inner
        self._hosts = hosts
        self._token = token
        self._secure = secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, refuse, or pass on."""
        if scope["type"] == "lifespan":
            await self._inner(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # a web socket is closed by the server that hears nothing
        sender = _with_headers(send)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        path = scope["path"]
        if host_name(headers.get("host", "")) not in self._hosts:
            await _refuse(sender, 421, "this host is not served here: say --allow-host NAME")
        elif scope["method"] not in ("GET", "HEAD"):
            await _refuse(sender, 405, "only GET: nothing is changed from here", allow="GET, HEAD")
        elif path == ENTRANCE and self._token:
            await self._enter(sender, scope["query_string"])
        elif path in OPEN or not self._token or self._knows(headers):
            await self._inner(scope, receive, sender)
        else:
            await _refuse(
                sender, 401, f"a token is needed: open {ENTRANCE}?token=... once, or send it as a bearer"
            )

    def _knows(self, headers: Mapping[str, str]) -> bool:
        """Whether a request has the token."""
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        token = bearer if kind.lower() == "bearer" else _cookie(headers.get("cookie", ""))
        return hmac.compare_digest(token.encode(), self._token.encode())

    async def _enter(self, send: Send, query: bytes) -> None:
        try:
            token = parse_qs(query.decode("latin-1"), max_num_fields=4).get("token", [""])[0]
        except ValueError:  # more fields than anybody who has a token sends
            token = ""
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            await _refuse(send, 401, "this is not the token")
            return
        secure = "; Secure" if self._secure else ""
        cookie = f"{COOKIE}={self._token}; Path=/; HttpOnly; SameSite=Strict{secure}"
        await _answer(send, 303, "", [(b"location", b"/"), (b"set-cookie", cookie.encode())])


def host_name(host: str) -> str:
    """The name in a `Host` header, without its port; an IPv6 address keeps its brackets."""
    name = host.strip().lower()
    if name.startswith("["):
        return name.partition("]")[0] + "]"
    return name.partition(":")[0]


def _cookie(text: str) -> str:
    try:
        cookies = SimpleCookie(text)
    except CookieError:
        return ""
    return cookies[COOKIE].value if COOKIE in cookies else ""


def _with_headers(send: Send) -> Send:
    """The same, with the headers of this page on every answer."""

    async def sender(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = {name for name, _ in message["headers"]}
            message["headers"] = [
                *message["headers"],
                *((name, value) for name, value in _ENCODED if name not in own),
            ]
        await send(message)

    return sender


async def _refuse(send: Send, status: int, words: str, **headers: str) -> None:
    await _answer(send, status, words, [(name.encode(), value.encode()) for name, value in headers.items()])


async def _answer(send: Send, status: int, words: str, headers: list[tuple[bytes, bytes]]) -> None:
    body = f"{words}\n".encode() if words else b""
    length = (b"content-length", str(len(body)).encode())
    start = [(b"content-type", b"text/plain; charset=utf-8"), length, *headers]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})
