"""The page in a real browser over a real Kafka: its figures are the topics', and who died is named."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow.compute as pc
import pytest

from app.process.clock import pause
from tests.contract.bus.conftest import HASTY
from tests.stage.day_runs import DayRun, small_days, until
from tests.stage.programs import ROOT, started
from topics.kafka.bus import KafkaBus

CHROMIUM = Path("/usr/bin/chromium")
SHOTS = ROOT / "build" / "ui"
STEP_S = 0.5  # between two steps of the publication, of which there are 60
NAMED_S = 3.0  # within which a killed worker is named
TOKEN = "0123456789abcdef0123456789abcdef"  # noqa: S105 - of this test alone

pytestmark = [
    pytest.mark.broker,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        not CHROMIUM.exists(), reason="there is no /usr/bin/chromium: apt-get install chromium"
    ),
]


@pytest.fixture
def run(kafka_bootstrap: str, tmp_path: Path) -> Iterator[DayRun]:
    """A small day on Kafka, with topics of its own that go with the test."""
    bus = KafkaBus(kafka_bootstrap, HASTY)
    run = DayRun.on(
        bus, small_days(tmp_path / "history"), tmp_path / "run", f"test-{uuid4().hex[:12]}", partitions=2
    )
    yield run
    bus.admin().delete([run.topic(kind) for kind in ("trade", "quote", "aligned", "late", "dead")])


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def served(run: DayRun, *options: str) -> Iterator[str]:
    """The page of a run; yields its address."""
    port = free_port()
    listen, runs = f"127.0.0.1:{port}", str(run.folder / "runs")  # not those that lie below `build`
    with started(
        "app", "serve", "--config", run.config, "--listen", listen, "--runs", runs, *options
    ) as page:

        def listens() -> bool:
            assert page.poll() is None, "the page has ended"
            with socket.socket() as asked:
                return asked.connect_ex(("127.0.0.1", port)) == 0

        until(listens, "the page listens")
        yield f"http://127.0.0.1:{port}"
        page.send_signal(signal.SIGTERM)
        assert page.wait(15) == 0


@contextmanager
def browsing(base: str) -> Iterator[Any]:
    """A page of Chromium that has come nowhere yet; nothing may go elsewhere, and nothing may be wrong."""
    from playwright.sync_api import sync_playwright

    wrong: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda asked: None if asked.url.startswith(base) else wrong.append(asked.url))
        yield page
        browser.close()
    assert wrong == []


def shot(page: Any, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(SHOTS / f"{name}.png"))


def test_figures_on_the_page_are_those_of_the_topics(run: DayRun) -> None:
    run.publish()
    run.join()
    rows = run.aligned()
    symbol = str(rows["symbol"][0])
    mine = rows.filter(pc.equal(rows["symbol"], symbol))
    newest_ns = np.datetime64(int(pc.max(mine["event_ns"]).cast("int64").as_py()), "ns")
    with served(run) as base, browsing(base) as page:
        page.goto(base)
        page.get_by_text("2 of 2 tasks do what they can").wait_for()
        assert page.locator(".scroll tbody tr").count() == 2
        shot(page, "now")
        page.goto(f"{base}/#task/1")
        page.get_by_text("have read their final records").first.wait_for()
        shot(page, "task")
        page.goto(f"{base}/#symbol/{symbol}")
        page.locator("#trades canvas").wait_for()
        assert f"{mine.num_rows:,} rows of {symbol}" in page.locator("p.note").first.text_content()
        newest = page.locator(".scroll tbody tr").first.locator("td").first.text_content()
        assert newest.replace(" ", "T") == str(newest_ns)
        shot(page, "symbol")
        for name, words in (
            ("letters", "no late rows"),
            ("runs", "no run lies below"),
            ("graph", "no table"),
        ):
            page.goto(f"{base}/#{name}")
            page.get_by_text(words).wait_for()
            shot(page, name)


def test_a_killed_worker_is_named(run: DayRun) -> None:
    publication = run.publication(step_rows_max=300)
    with (
        served(run) as base,
        browsing(base) as page,
        started("app", "align", "--config", run.config) as worker,
    ):
        page.goto(base)
        shown = page.locator("p.answer")

        def moves() -> bool:
            publication.step()
            pause(STEP_S)
            return "do what they can" in (shown.first.text_content() or "")

        until(moves, "the worker seals")
        os.kill(worker.pid, signal.SIGKILL)
        killed_s = monotonic()
        publication.step()
        page.wait_for_function(
            "name => [...document.querySelectorAll('p.answer')].some(one => one.textContent.includes(name))",
            arg=f"{run.pipeline.settings.pipeline.prefix}-0",
            timeout=NAMED_S * 1_000,
        )
        assert monotonic() - killed_s <= NAMED_S
        shot(page, "killed")
    publication.close()


def test_a_token_is_asked_for_and_kept(run: DayRun, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    with served(run, "--token-file", str(file)) as base, browsing(base) as page:
        answer = page.request.get(base)
        assert answer.status == 401
        assert page.request.get(base, headers={"host": "evil.example"}).status == 421
        page.goto(f"{base}/enter?token={TOKEN}")
        page.get_by_role("heading", name="Now").wait_for()
        assert page.evaluate("document.cookie") == ""
