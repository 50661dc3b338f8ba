"""A server of this machine that speaks what clients of Google's object store say of its XML protocol.

Objects lie in memory, each with a generation that rises with every write.  A write with
`x-goog-if-generation-match` is made only where the object has that generation, 0 for one that is not there;
else the answer is 412, as Google's documentation of preconditions says.  Whoever asks shows a token (JWT)
that the key of a service account has signed, and is refused without.
"""

import base64
import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from replay.store import objects
from tests.stage.object_server import free_port, wait_for

BUCKET = "history"
DATE = "Mon, 30 Nov 2026 12:00:00 GMT"
PAGE = 100  # names in one answer to a listing
_ROOT = Path(__file__).parents[2]


@dataclass
class Objects:
    """All objects by name, with their generations, behind one lock; and uploads in parts."""

    lock: Lock = field(default_factory=Lock)
    bytes_of: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    generation: int = 0

    def put(self, name: str, content: bytes, expected: str | None) -> int | None:
        """Write an object; returns its generation, None where it has another one than was expected."""
        with self.lock:
            before = self.bytes_of[name][0] if name in self.bytes_of else 0
            if expected is not None and int(expected) != before:
                return None
            self.generation += 1
            self.bytes_of[name] = (self.generation, content)
            return self.generation


class Door(BaseHTTPRequestHandler):
    """Answers one request after another of a connection."""

    protocol_version = "HTTP/1.1"
    objects: Objects
    key: rsa.RSAPublicKey

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """An object, whole or a range of it, or a list."""
        if (name := self._name()) is not None:
            self._give(name) if name else self._list()

    def do_HEAD(self) -> None:
        """What is known of an object."""
        self.do_GET()

    def do_PUT(self) -> None:
        """Write an object, a part of an upload, or a copy."""
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        name = self._name()
        if name is None:
            return
        if "uploadId" in self._query:
            part = int(self._query["partNumber"])
            self.objects.uploads[self._query["uploadId"]][part] = content
            self._answer(200, headers={"ETag": f'"{md5(content, usedforsecurity=False).hexdigest()}"'})
            return
        if source := self.headers.get("x-goog-copy-source"):
            original = self.objects.bytes_of.get(unquote(source).lstrip("/").partition("/")[2])
            if original is None:
                self._refuse(404, "NoSuchKey")
                return
            content = original[1]
        self._written(self.objects.put(name, content, self.headers.get("x-goog-if-generation-match")))

    def do_POST(self) -> None:
        """Begin or end an upload in parts."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        name = self._name()
        if name is None:
            return
        if "uploads" in self._query:
            upload = f"upload-{len(self.objects.uploads)}"
            self.objects.uploads[upload] = {}
            self._xml(
                f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
            )
            return
        parts = self.objects.uploads.pop(self._query["uploadId"])
        generation = self.objects.put(name, b"".join(parts[each] for each in sorted(parts)), None)
        self._xml(
            f'<CompleteMultipartUploadResult><ETag>"{generation}"</ETag></CompleteMultipartUploadResult>'
        )

    def do_DELETE(self) -> None:
        """Delete an object, or an upload that was given up."""
        name = self._name()
        if name is None:
            return
        if "uploadId" in self._query:
            self.objects.uploads.pop(self._query["uploadId"], None)
        elif self.objects.bytes_of.pop(name, None) is None:
            self._refuse(404, "NoSuchKey")
            return
        self._answer(204)

    def _name(self) -> str | None:
        """The object that is asked for, empty for the bucket; None where the request is refused."""
        url = urlsplit(self.path)
        self._query = {key: values[0] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
        bucket, _, name = unquote(url.path).lstrip("/").partition("/")
        if not self._is_signed():
            self._refuse(401, "AuthenticationRequired")
            return None
        if bucket != BUCKET:
            self._refuse(404, "NoSuchBucket")
            return None
        return name

    def _is_signed(self) -> bool:
        """Whether the token of the request was signed with the account's key."""
        signed, _, signature = self.headers.get("Authorization", "").removeprefix("Bearer ").rpartition(".")
        try:
            self.key.verify(
                base64.urlsafe_b64decode(signature + "=="),
                signed.encode(),
                padding.PKCS1v15(),
                hashes.SHA256(),
            )
        except (InvalidSignature, ValueError):
            return False
        return True

    def _give(self, name: str) -> None:
        if name not in self.objects.bytes_of:
            self._refuse(404, "NoSuchKey")
            return
        generation, content = self.objects.bytes_of[name]
        headers = {"ETag": f'"{generation}"', "x-goog-generation": str(generation), "Last-Modified": DATE}
        wanted = self.headers.get("Range")
        if wanted is None:
            self._answer(200, content, headers)
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start = int(first) if first else max(len(content) - int(last), 0)
        end = min(int(last) + 1, len(content)) if first and last else len(content)
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
        self._answer(206, content[start:end], headers)

    def _list(self) -> None:
        """Names in their order, a page at a time; those with the delimiter behind the prefix as one."""
        prefix, delimiter = self._query.get("prefix", ""), self._query.get("delimiter", "")
        after = self._query.get("continuation-token", self._query.get("start-after", ""))
        entries: dict[str, str] = {}
        with self.objects.lock:
            for name, (generation, content) in sorted(self.objects.bytes_of.items()):
                if not name.startswith(prefix):
                    continue
                head, cut, _ = name[len(prefix) :].partition(delimiter) if delimiter else (name, "", "")
                if cut:
                    folder = escape(prefix + head + cut)
                    entries[prefix + head + cut] = (
                        f"<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>"
                    )
                else:
                    entries[name] = (
                        f"<Contents><Key>{escape(name)}</Key><LastModified>2026-11-30T12:00:00.000Z</LastModified>"
                        f'<ETag>"{generation}"</ETag><Size>{len(content)}</Size></Contents>'
                    )
        names = [name for name in entries if name > after]
        page, rest = names[:PAGE], names[PAGE:]
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if rest else ""
        listed = "".join(entries[name] for name in page)
        truncated = "true" if rest else "false"
        self._xml(
            f"<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{token}{listed}</ListBucketResult>"
        )

    def _written(self, generation: int | None) -> None:
        if generation is None:
            self._refuse(412, "PreconditionFailed")
            return
        self._answer(200, headers={"ETag": f'"{generation}"', "x-goog-generation": str(generation)})

    def _xml(self, text: str) -> None:
        self._answer(200, f"<?xml version='1.0' encoding='UTF-8'?>{text}".encode())

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code></Error>".encode())

    def _answer(self, status: int, content: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


class GcsServer:
    """The running server, a process of its own, and the variables that clients find it by."""

    def __init__(self, folder: Path) -> None:
        """`folder` gets the files of an account, and of a stranger."""
        self._port = free_port()
        self._folder = folder
        key = self._account("somebody")
        self._account("stranger")
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        (folder / "key.pem").write_bytes(key.public_bytes(serialization.Encoding.PEM, form))
        words = ["tests.stage.gcs_server", str(self._port), str(folder / "key.pem")]
        self._process = subprocess.Popen([sys.executable, "-m", *words], cwd=_ROOT)
        try:
            wait_for(self._process, self._connect)
        except BaseException:
            self.close()
            raise

    def environment(self, patch: pytest.MonkeyPatch, account: str = "somebody") -> None:
        """Let clients of this process find it, by the variables that they read."""
        for name in [each for each in os.environ if each.startswith("GOOGLE_")]:
            patch.delenv(name)
        patch.setenv("GOOGLE_SERVICE_ACCOUNT", str(self._folder / f"{account}.json"))
        patch.setenv("GOOGLE_ALLOW_HTTP", "true")
        objects.forget_clients()

    def close(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait()

    def _account(self, name: str) -> rsa.RSAPublicKey:
        """Write the file of a service account of this server, and return the key that its tokens fit."""
        key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        text = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        account = {
            "type": "service_account",
            "gcs_base_url": f"http://127.0.0.1:{self._port}",
            "client_email": f"{name}@tests",
            "private_key": text.decode(),
            "private_key_id": name,
        }
        (self._folder / f"{name}.json").write_text(json.dumps(account))
        return key.public_key()

    def _connect(self) -> None:
        socket.create_connection(("127.0.0.1", self._port), timeout=1).close()


if __name__ == "__main__":
    Door.objects = Objects()
    public = serialization.load_pem_public_key(Path(sys.argv[2]).read_bytes())
    assert isinstance(public, rsa.RSAPublicKey)
    Door.key = public
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Door).serve_forever()
