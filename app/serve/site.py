"""The addresses of the page: its files, the feed, and one answer a view, all of them by GET."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from app.errors import RunError, UsageError
from app.graph.columns import InputColumns
from app.graph.show import GraphView
from app.serve.assets import Asset, read_assets
from app.serve.feed import CLIENTS_MAX, Feed
from app.serve.letters import LetterReader
from app.serve.plain import browser_json
from app.serve.runs import Runs
from app.serve.symbol import SymbolReader
from app.wiring.pipeline import Pipeline
from topics.bus import BusError

READS_AT_ONCE: Final = 2  # questions that go to the broker or the disk; others wait
WAITING_MAX: Final = 16  # beyond so many the answer is to ask again
ARGUMENT_LENGTH_MAX: Final = 512

Answer = Callable[[Mapping[str, str]], Mapping[str, Any]]


class Site:
    """What the addresses answer from."""

    def __init__(self, feed: Feed, letters: LetterReader, runs: Runs, pipeline: Pipeline | None) -> None:
        """Without a `pipeline`, that is before anybody has registered the streams, there are no symbols."""
        self._feed = feed
        self._letters = letters
        self._runs = runs
        self._pipeline = pipeline
        self._symbols = None if pipeline is None else SymbolReader(pipeline)
        self._assets = read_assets()
        self._limit = CapacityLimiter(READS_AT_ONCE)

    def application(self) -> Starlette:
        """The ASGI application, which starts and ends the feed with itself."""

        @asynccontextmanager
        async def living(_: Starlette) -> AsyncIterator[None]:
            self._feed.start()
            try:
                yield
            finally:
                await to_thread.run_sync(self._feed.close)

        routes = [
            Route("/", self._page),
            Route("/livez", self._alive),
            Route("/static/{path:path}", self._static),
            Route("/api/v1/feed", self._events),
            Route("/api/v1/history", self._answering(lambda _: self._feed.looker.history())),
            Route("/api/v1/symbol", self._answering(self._symbol)),
            Route("/api/v1/letters", self._answering(lambda _: self._letters.view())),
            Route("/api/v1/letter", self._answering(self._letter)),
            Route("/api/v1/runs", self._answering(lambda _: self._runs.view())),
            Route("/api/v1/compare", self._answering(self._compare)),
            Route("/api/v1/graph", self._answering(lambda _: self._graph())),
        ]
        return Starlette(routes=routes, lifespan=living)

    async def _page(self, request: Request) -> Response:
        return _file(self._assets["index.html"], request)

    async def _static(self, request: Request) -> Response:
        asset = self._assets.get(request.path_params["path"])
        return _words(404, "there is no such file") if asset is None else _file(asset, request)

    async def _alive(self, _: Request) -> Response:
        return _words(200, "alive")

    async def _events(self, _: Request) -> Response:
        if self._feed.clients >= CLIENTS_MAX:
            return _words(503, f"{CLIENTS_MAX} browsers look already: close one")
        return StreamingResponse(self._feed.events(), media_type="text/event-stream")

    def _answering(self, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        """A view: the answer as JSON, made in a thread, a few at a time."""

        async def view(request: Request) -> Response:
            arguments = dict(request.query_params)
            if any(len(value) > ARGUMENT_LENGTH_MAX for value in arguments.values()):
                return _words(400, f"an argument has more than {ARGUMENT_LENGTH_MAX} characters")
            if self._limit.statistics().tasks_waiting >= WAITING_MAX:
                return _words(503, "too many questions at once: ask again")
            try:
                text = await to_thread.run_sync(
                    lambda: browser_json(answer(arguments)), limiter=self._limit, abandon_on_cancel=False
                )
            except UsageError as wrong:
                return _words(400, str(wrong))
            except (BusError, RunError) as away:
                return _words(503, str(away))
            return Response(text, media_type="application/json")

        return view

    def _symbol(self, arguments: Mapping[str, str]) -> Mapping[str, Any]:
        if self._symbols is None:
            raise UsageError("nobody has registered the schemas of the streams yet: rows cannot be read")
        before = arguments.get("before", "")
        if before and not before.isdecimal():
            raise UsageError(f"before={before!r} is no offset")
        return self._symbols.view(
            arguments.get("symbol", ""),
            int(before) if before else None,
            arguments.get("node", ""),
            arguments.get("column", ""),
        )

    def _letter(self, arguments: Mapping[str, str]) -> Mapping[str, Any]:
        return self._letters.letter(arguments.get("kind", ""), arguments.get("place", ""))

    def _compare(self, arguments: Mapping[str, str]) -> Mapping[str, Any]:
        return self._runs.compare(arguments.get("one", ""), arguments.get("other", ""))

    def _graph(self) -> Mapping[str, Any]:
        """The nodes and features, with the rows and nulls that were seen since this page began."""
        pipeline = self._pipeline
        if pipeline is None or pipeline.graph is None:
            return {"graph": None, "seen": self._feed.looker.nulls()}
        view = GraphView(pipeline.settings, InputColumns(pipeline.asof, ""))
        return {"graph": view.as_json(), "seen": self._feed.looker.nulls()}


def _file(asset: Asset, request: Request) -> Response:
    headers = {"etag": asset.tag, "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == asset.tag:
        return Response(status_code=304, headers=headers)
    return Response(asset.content, media_type=asset.kind, headers=headers)


def _words(status: int, words: str) -> Response:
    return Response(f"{words}\n", status_code=status, media_type="text/plain; charset=utf-8")
