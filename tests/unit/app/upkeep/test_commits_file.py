"""Commits written to a file are given back as they were, and only where they still mean the same."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from app.errors import RunError, UsageError
from app.upkeep.commits_file import GroupCommits, give_back, group_commits, read_commits, write_commits
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet
from topics.block import TopicPartition
from topics.bus import Position


def market_at_work(folder: Path) -> Market:
    """Two partitions, of which a worker has sealed and committed a part."""
    market = Market(folder, partitions=2)
    market.quote(1, 10, 20)
    market.trade(5, 15, 25)
    market.progress(30)
    join(market)
    return market


def join(market: Market, *, until_final: bool = False) -> None:
    worker = market.worker(until_final=until_final)
    turn_until_quiet(worker)
    worker.close()


def committed(market: Market) -> Mapping[TopicPartition, Position]:
    return market.bus.admin().group("tidemark").committed


def exported(market: Market, folder: Path) -> GroupCommits:
    file = folder / "out" / "commits.json"
    write_commits(group_commits(market.bus.admin(), market.settings), file)
    return read_commits(file)


def test_a_group_whose_offsets_were_forgotten_goes_on_from_the_file_and_no_row_comes_twice(
    tmp_path: Path,
) -> None:
    market = market_at_work(tmp_path)
    before, rows = dict(committed(market)), market.aligned()
    commits = exported(market, tmp_path)
    assert commits.positions == before
    assert commits.cluster == "embedded"
    market.bus.admin().delete_group("tidemark")
    assert give_back(market.bus, market.settings, commits, replace=False) == 4
    assert committed(market) == before
    market.trade(40)
    market.progress(50, final=True)
    join(market, until_final=True)
    assert market.aligned() == [*rows, (40, 20)]


def test_a_file_that_is_there_is_kept(tmp_path: Path) -> None:
    market = market_at_work(tmp_path)
    commits = exported(market, tmp_path)
    with pytest.raises(UsageError, match="is there already"):
        write_commits(commits, tmp_path / "out" / "commits.json")
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["commits.json"]


def test_a_group_that_committed_nothing_is_refused(tmp_path: Path) -> None:
    market = Market(tmp_path)
    with pytest.raises(RunError, match=r"committed nothing of tidemark\.quote, tidemark\.trade"):
        group_commits(market.bus.admin(), market.settings)


def test_offsets_of_another_program_are_not_taken_for_a_worker_s(tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.bus.consumer(group="tidemark").commit({TopicPartition("tidemark.trade", 0): Position(0, "x")})
    with pytest.raises(RunError, match="was not written by this program"):
        group_commits(market.bus.admin(), market.settings)


def test_what_is_committed_is_replaced_only_where_that_is_said(tmp_path: Path) -> None:
    market = market_at_work(tmp_path)
    commits = exported(market, tmp_path)
    with pytest.raises(UsageError, match=r"has committed 4 positions already.*--replace"):
        give_back(market.bus, market.settings, commits, replace=False)
    assert give_back(market.bus, market.settings, commits, replace=True) == 4


def test_a_group_with_workers_is_left_alone(tmp_path: Path) -> None:
    market = market_at_work(tmp_path)
    commits = exported(market, tmp_path)
    worker = market.worker()
    turn_until_quiet(worker)
    with pytest.raises(UsageError, match="group tidemark has 1 members"):
        give_back(market.bus, market.settings, commits, replace=True)
    worker.close()


def test_commits_that_are_not_the_newest_are_refused_since_rows_would_come_twice(tmp_path: Path) -> None:
    market = market_at_work(tmp_path)
    commits = exported(market, tmp_path)
    market.trade(40)
    market.progress(50)
    join(market)
    market.bus.admin().delete_group("tidemark")
    with pytest.raises(UsageError, match=r"ends after 4 rows .* and 3 were sealed at these commits"):
        give_back(market.bus, market.settings, commits, replace=False)
    assert committed(market) == {}


def test_another_cluster_and_topics_made_anew_are_refused(tmp_path: Path) -> None:
    market = market_at_work(tmp_path / "one")
    commits = exported(market, tmp_path)
    other = Market(tmp_path / "two", partitions=2)
    elsewhere = GroupCommits(commits.group, "elsewhere", commits.logs, {})
    with pytest.raises(UsageError, match="the file is of cluster elsewhere, and this is embedded"):
        give_back(other.bus, other.settings, elsewhere, replace=False)
    admin = market.bus.admin()
    specs = [spec for spec in admin.describe(["tidemark.trade"]).values() if spec is not None]
    admin.delete_group("tidemark")
    admin.delete(["tidemark.trade"])
    admin.create(specs)
    with pytest.raises(UsageError, match="deleted and created anew"):
        give_back(market.bus, market.settings, commits, replace=False)


def test_rows_that_are_gone_from_the_log_are_refused_with_the_figures(tmp_path: Path) -> None:
    market = market_at_work(tmp_path)
    commits = exported(market, tmp_path)
    market.trade(*range(100, 120))
    market.progress(200)
    place = TopicPartition("tidemark.trade", 0)
    market.bus.delete_before(place, market.bus.admin().ranges([place])[place].high)
    market.bus.admin().delete_group("tidemark")
    with pytest.raises(
        UsageError, match=r"tidemark\.trade\[0\]: a restart needs offset \d+, and the log has"
    ):
        give_back(market.bus, market.settings, commits, replace=False)


def test_a_file_of_another_group_or_of_other_inputs_is_refused(tmp_path: Path) -> None:
    market = market_at_work(tmp_path)
    commits = exported(market, tmp_path)
    other = GroupCommits("other", commits.cluster, commits.logs, commits.positions)
    with pytest.raises(UsageError, match=r"is of group other, and pipeline\.prefix is tidemark"):
        give_back(market.bus, market.settings, other, replace=True)
    far = {TopicPartition("tidemark.trade", 7): Position(0)}
    strange = GroupCommits(commits.group, commits.cluster, commits.logs, far)
    with pytest.raises(UsageError, match=r"tidemark\.trade\[7\], which is no input"):
        give_back(market.bus, market.settings, strange, replace=True)


def test_what_is_no_such_file_is_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "commits.json"
    with pytest.raises(UsageError, match=r"commits\.json: cannot be read: No such file"):
        read_commits(file)
    for text in (
        "",
        "[]",
        "{}",
        '{"format": "x"}',
        '{"format": 1e999}',
        "[" * 5_000,
        '{"format": 1, "group": "g", "cluster": "c", "topics": []}',
    ):
        file.write_text(text)
        with pytest.raises(UsageError, match="not a file that `group export` wrote"):
            read_commits(file)
    file.write_bytes(b"\xff" * 5_000)
    with pytest.raises(UsageError, match=r"^.{1,300}$"):
        read_commits(file)
    file.write_text(json.dumps({"format": 2}))
    with pytest.raises(UsageError, match="of format 2, this program reads 1"):
        read_commits(file)
