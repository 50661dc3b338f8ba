"""A schema registry on loopback: as much of Confluent's protocol as a client of ours speaks."""

import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import NAMESPACE_URL, uuid5


class HttpRegistry(ThreadingHTTPServer):
    """Keeps schemas in memory; answers every request with `failing` where that is set (an HTTP status)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.schemas: list[str] = []
        self.details: dict[int, dict[str, Any]] = {}  # by id: the GUID; the format and references if any
        self.descriptors: dict[str, bytes] = {}  # by schema: what format=serialized gets
        self.subjects: dict[str, list[int]] = {}
        self.failing: int | None = None
        self.wants: str | None = None  # "name:password" of whoever is let in; None lets in everybody
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def answer(self, method: str, path: list[str], body: Any) -> tuple[int, Any]:
        if self.failing is not None:
            return self.failing, {"error_code": 50001, "message": "told to fail"}
        match [method, *path]:
            case ["POST", "subjects", subject, "versions"]:
                return self._register(subject, body)
            case ["GET", "schemas", "ids", text]:
                number = int(text)
                if not 1 <= number <= len(self.schemas):
                    return 404, {"error_code": 40403, "message": "Schema not found"}
                return 200, {"schema": self.schemas[number - 1], **self.details.get(number, {})}
            case ["GET", "schemas", "guids", guid]:
                for number, details in self.details.items():
                    if details["guid"] == guid:
                        return 200, {"schema": self.schemas[number - 1], **details}
                return 404, {"error_code": 40403, "message": "Schema not found"}
            case ["GET", "subjects", subject, "versions"]:
                count = len(self.subjects.get(subject, ()))
                found = list(range(1, count + 1))
                return (200, found) if count else (404, {"error_code": 40401, "message": "Subject not found"})
            case ["GET", "subjects", subject, "versions", text] if text != "latest":
                versions = self.subjects.get(subject, [])
                if not 1 <= int(text) <= len(versions):
                    return 404, {"error_code": 40402, "message": "Version not found"}
                number = versions[int(text) - 1]
                about = {"subject": subject, "version": int(text), "id": number}
                return 200, {**about, **self.details.get(number, {}), "schema": self.schemas[number - 1]}
            case ["GET", "subjects", subject, "versions", "latest"]:
                ids = self.subjects.get(subject)
                if not ids:
                    return 404, {"error_code": 40401, "message": "Subject not found"}
                schema = self.schemas[ids[-1] - 1]
                about = {"subject": subject, "version": len(ids), "id": ids[-1], "schema": schema}
                return 200, {**about, **self.details.get(ids[-1], {})}
        return 404, {"error_code": 404, "message": "no such page"}

    def _register(self, subject: str, body: Any) -> tuple[int, Any]:
        schema, form = str(body["schema"]), body.get("schemaType") or "AVRO"
        try:
            if form == "AVRO":
                json.loads(schema)
        except json.JSONDecodeError:
            return 422, {"error_code": 42201, "message": "Invalid schema"}
        if schema not in self.schemas:
            self.schemas.append(schema)
        number = self.schemas.index(schema) + 1
        details = {"guid": str(uuid5(NAMESPACE_URL, schema))}
        if form != "AVRO":
            details["schemaType"] = form
        if body.get("references"):
            details["references"] = body["references"]
        self.details[number] = details
        versions = self.subjects.setdefault(subject, [])
        if number not in versions:
            versions.append(number)
        return 200, {"id": number, "guid": details["guid"]}


class _Handler(BaseHTTPRequestHandler):
    server: HttpRegistry

    def _reply(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size)) if size else None
        path = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        with self.server.lock:
            status, answer = self.server.answer(self.command, path, body)
            wants, descriptors = self.server.wants, self.server.descriptors
        if "format=serialized" in urlsplit(self.path).query and answer.get("schema") in descriptors:
            answer = {**answer, "schema": b64encode(descriptors[answer["schema"]]).decode()}
        if wants and self.headers["Authorization"] != f"Basic {b64encode(wants.encode()).decode()}":
            status, answer = 401, {"error_code": 401, "message": "Unauthorized"}
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = _reply  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keep the tests' output quiet."""


@contextmanager
def http_registry() -> Iterator[HttpRegistry]:
    """Run a registry until the block ends."""
    server = HttpRegistry()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
