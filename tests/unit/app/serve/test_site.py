"""The addresses of the page: the files that it names are there, and nothing else is given out."""

import hashlib
import json
import re
from pathlib import Path

import polars as pl
import pytest
from starlette.testclient import TestClient

from app.serve import site
from app.serve.assets import FOLDER, read_assets
from app.serve.feed import CLIENTS_MAX, Feed
from app.serve.letters import LetterReader
from app.serve.looker import Looker
from app.serve.runs import Runs
from app.serve.site import Site
from tests.stage.market import Market

# sha512 of the files of uPlot 1.6.32 as its package has them.
UPLOT = json.loads((FOLDER / "uplot" / "files.json").read_text())


class Still(Feed):
    """A feed without its thread, for the embedded bus is for one."""

    def start(self) -> None:
        """Nothing begins."""

    def close(self) -> None:
        """Nothing ends."""


def site_of(folder: Path) -> Site:
    market = Market(folder)
    page = Still(Looker(market.settings, market.bus, market.pipeline))
    return Site(
        page,
        LetterReader(market.settings, market.bus),
        Runs(folder / "runs", market.settings),
        market.pipeline,
    )


@pytest.fixture
def browser(tmp_path: Path) -> TestClient:
    return TestClient(site_of(tmp_path).application())


def test_the_page_and_all_that_it_names_are_there(browser: TestClient) -> None:
    page = browser.get("/").text
    names = re.findall(r'(?:src|href)="(/static/[^"]+)"', page)
    assert len(names) >= 4
    for name in names:
        assert browser.get(name).status_code == 200, name
    for path, asset in read_assets().items():
        for imported in re.findall(rb'from "(/static/[^"]+)"', asset.content):
            assert browser.get(imported.decode()).status_code == 200, (path, imported)


def test_the_page_has_no_script_or_style_of_its_own_and_loads_nothing_from_elsewhere() -> None:
    for path, asset in read_assets().items():
        text = asset.content.decode()
        if not path.startswith("uplot/"):
            assert "innerHTML" not in text, path
            assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), path
            assert "eval(" not in text, path
    page = read_assets()["index.html"].content.decode()
    assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|style=", page)


def test_the_chart_library_is_as_its_makers_published_it() -> None:
    there = {file.name for file in (FOLDER / "uplot").iterdir()} - {"files.json"}
    assert there == set(UPLOT["files"])
    for name, digest in UPLOT["files"].items():
        assert hashlib.sha512((FOLDER / "uplot" / name).read_bytes()).hexdigest() == digest, name
    assert b"MIT License" in (FOLDER / "uplot" / "LICENSE").read_bytes()


@pytest.mark.parametrize(
    "path", ["../site.py", "..%2fsite.py", "%2e%2e/site.py", "uplot/../../site.py", "uplot", "", "a%00b"]
)
def test_no_file_but_those_of_the_page_is_given_out(browser: TestClient, path: str) -> None:
    assert b"Starlette" not in browser.get(f"/static/{path}").content


def test_a_file_that_has_not_changed_is_not_sent_again(browser: TestClient) -> None:
    tag = browser.get("/static/main.js").headers["etag"]
    assert browser.get("/static/main.js", headers={"if-none-match": tag}).status_code == 304


def test_what_is_asked_wrongly_is_said_in_words(browser: TestClient) -> None:
    for path, words in {
        "/api/v1/symbol": "1 to 256 characters",
        "/api/v1/symbol?symbol=A&before=-1": "is no offset",
        f"/api/v1/symbol?symbol={'x' * 600}": "more than 512 characters",
        "/api/v1/letter?kind=dead&place=x": "write partition@offset",
        "/api/v1/compare?one=../../etc&other=/etc": "there is no run",
    }.items():
        answer = browser.get(path)
        assert answer.status_code == 400, path
        assert words in answer.text, path


def test_too_many_questions_at_once_are_turned_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "WAITING_MAX", 0)
    assert TestClient(site_of(tmp_path).application()).get("/api/v1/runs").status_code == 503


def test_no_more_browsers_are_fed_than_the_limit(tmp_path: Path) -> None:
    answering = site_of(tmp_path)
    answering._feed.clients = CLIENTS_MAX  # noqa: SLF001 - as if so many looked
    answer = TestClient(answering.application()).get("/api/v1/feed")
    assert (answer.status_code, answer.text) == (503, f"{CLIENTS_MAX} browsers look already: close one\n")


def test_a_graph_that_is_not_there_is_null(browser: TestClient) -> None:
    assert browser.get("/api/v1/graph").json()["graph"] is None


def test_runs_are_listed_and_held_together(tmp_path: Path) -> None:
    for name, price in (("one", 1.0), ("other", 1.0), ("changed", 2.0)):
        folder = tmp_path / "runs" / name / "2024-01-15"
        (folder / "aligned").mkdir(parents=True)
        (folder / "summary.json").write_text(
            json.dumps({"date": "2024-01-15", "rows_aligned": 2, "hash": name, "secret": 1})
        )
        rows = pl.DataFrame({"symbol": ["A", "A"], "event_ns": [1, 2], "price": [1.0, price]})
        rows.write_parquet(folder / "aligned" / "partition-00000.parquet")
    (tmp_path / "runs" / "_hidden").mkdir()
    (tmp_path / "runs" / "_hidden" / "summary.json").write_text("{}")
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "summary.json").write_text("{")
    browser = TestClient(site_of(tmp_path).application())
    runs = {run["run"]: run for run in browser.get("/api/v1/runs").json()["runs"]}
    assert set(runs) == {"one/2024-01-15", "other/2024-01-15", "changed/2024-01-15", "broken"}
    assert runs["one/2024-01-15"] == {
        "run": "one/2024-01-15",
        "date": "2024-01-15",
        "rows_aligned": 2,
        "hash": "one",
    }
    assert runs["broken"]["broken"]
    alike = browser.get("/api/v1/compare?one=one/2024-01-15&other=other/2024-01-15").json()
    assert alike["differences"] == []
    differ = browser.get("/api/v1/compare?one=one/2024-01-15&other=changed/2024-01-15").json()
    assert any("price is 1.0 and 2.0" in line for line in differ["differences"])
