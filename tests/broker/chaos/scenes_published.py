"""A scene of a history that is published twice (F24)."""

import tomli_w

from tests.broker.chaos.log_reader import read_all
from tests.broker.chaos.stage import Stage
from tests.stage.day_runs import DayRun, small_days
from tests.stage.reference_graph import reference_graph


def published_twice(stage: Stage) -> None:
    """F24: a replay of the same run id is published again: the inputs hold each row once."""
    days = small_days(stage.folder / "history")
    prefix, config = f"{stage.settings.pipeline.prefix}-day", stage.folder / "day.toml"
    nodes = stage.settings.graph.nodes
    config.write_text(tomli_w.dumps({"graph": reference_graph()} if nodes else {}))
    run = DayRun.on(stage.pipeline.bus, days, stage.folder / "day", prefix, config=config)
    topics = [run.topic(name) for name in ("trade", "quote")]
    run.publish()
    before = {topic: len(messages) for topic, messages in read_all(stage.bootstrap, topics, 3).items()}
    run.publish()
    after = {topic: len(messages) for topic, messages in read_all(stage.bootstrap, topics, 3).items()}
    assert after == before
    stage.become(run)
    hand = stage.crew.hire()
    hand.ended_well()
