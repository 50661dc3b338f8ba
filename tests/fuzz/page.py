"""The page with rows, letters and a token behind its guard, asked in this process without a server."""

import asyncio
from pathlib import Path
from typing import Any, Final

from starlette.types import Message

from app.serve.feed import Feed
from app.serve.guard import Guard
from app.serve.letters import LetterReader
from app.serve.looker import Looker
from app.serve.runs import Runs
from app.serve.site import Site
from schemas.clocks import NS_PER_S
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet

AT_NS: Final = 1_705_329_000 * NS_PER_S
BEARER: Final = "letters-of-a-test"
PATHS: Final = (
    "/api/v1/symbol",
    "/api/v1/letter",
    "/api/v1/compare",
    "/api/v1/letters",
    "/api/v1/runs",
    "/api/v1/graph",
    "/api/v1/history",
    "/enter",
)
LIMIT_S: Final = 5.0  # for one answer


class Still(Feed):
    """A feed without its thread, for the embedded bus is for one."""

    def start(self) -> None:
        """Nothing begins."""

    def close(self) -> None:
        """Nothing ends."""


class AskedPage:
    """Answers addresses of the page one after the other."""

    def __init__(self, folder: Path) -> None:
        market = Market(folder)
        worker = market.worker()
        market.quote(AT_NS)
        market.trade(AT_NS + 1, AT_NS + 2)
        market.send("trade", b"A", b"no row")
        market.progress(AT_NS + NS_PER_S)
        turn_until_quiet(worker)
        worker.commit()
        looker = Looker(market.settings, market.bus, market.pipeline)
        letters, runs = LetterReader(market.settings, market.bus), Runs(folder / "runs", market.settings)
        site = Site(Still(looker), letters, runs, market.pipeline)
        self._guard = Guard(site.application(), hosts=frozenset({"127.0.0.1"}), token=BEARER, secure=False)
        self._loop = asyncio.new_event_loop()

    def ask(self, data: bytes) -> int:
        """The status of the answer: the first byte says which address, the rest is what stands behind `?`."""
        path = PATHS[data[0] % len(PATHS)] if data else PATHS[0]
        return self._loop.run_until_complete(asyncio.wait_for(self._answer(path, data[1:]), LIMIT_S))

    async def _answer(self, path: str, query: bytes) -> int:
        messages: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            messages.append(message)

        scope: dict[str, Any] = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "root_path": "",
            "headers": [(b"host", b"127.0.0.1"), (b"authorization", b"Bearer " + BEARER.encode())],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 1),
        }
        await self._guard(scope, receive, send)
        return int(messages[0]["status"])
