"""moto as an S3 server, behind a door that counts requests and can make them fail; runs as a process.

In a process of its own, since clients may hold Python's lock while they wait for an answer.  What it does
is said by PUT /_door (JSON), and GET /_door says which requests have come since it was said.
"""

import json
import re
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

PATH = "/_door"
Environ = dict[str, Any]
Start = Callable[..., Any]


class Door:
    """Passes requests on to moto; `orders` are refusals, a delay, and whether conditions are heeded."""

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._orders: dict[str, Any] = {}
        self._requests: list[tuple[str, str]] = []

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        """Answer one request."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if path == PATH:
            return self._own(environ, start, method)
        self._requests.append((method, path))
        time.sleep(self._orders.get("answer_s", 0.0))
        for refusal in self._orders.get("refusals", []):
            if refusal["times"] and re.search(refusal["what"], f"{method} {path}"):
                refusal["times"] -= 1
                start(f"{refusal['status']} REFUSED", [("Content-Type", "text/xml")])
                return [f"<Error><Code>{refusal['code']}</Code></Error>".encode()]
        if not self._orders.get("heeds_conditions", True):
            environ.pop("HTTP_IF_NONE_MATCH", None)
        answer: Iterable[bytes] = self._moto(environ, start)
        return answer

    def _own(self, environ: Environ, start: Start, method: str) -> Iterable[bytes]:
        start("200 OK", [("Content-Type", "application/json")])
        told = json.dumps(self._requests).encode()
        if method == "PUT":
            self._orders = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
            self._requests.clear()
        return [told]


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    make_server("127.0.0.1", int(sys.argv[1]), Door(), threaded=True, request_handler=_Quiet).serve_forever()
