"""Applications of Quix Streams for a test, each a process in the environment that has it.

`publish` sends the days of a run as `DaySource`s.  `sink` reads aligned rows as frames into Parquet, `rows`
row by row, each until some seconds pass without any.
"""

import json
import sys
from pathlib import Path
from typing import Any

from quixstreams import Application

from app.config import load_settings
from app.quix.day_source import DaySource
from gpu_sink.quix import FrameDeserializer, TrainingSink


def application(config: dict[str, Any], group: str) -> Application:
    """One with state of its own, which creates no topic but those of its sources' state."""
    return Application(
        broker_address=config["bootstrap"],
        consumer_group=f"{config['prefix']}-{group}",
        auto_offset_reset="earliest",
        state_dir=f"{config['folder']}/quix-state",
        commit_interval=0.5,
        loglevel="WARNING",
    )


def publish(config: dict[str, Any]) -> None:
    """Both streams of the day, to their ends."""
    app = application(config, "publish")
    settings = load_settings(Path(config["config"]))
    for stream in settings.stream_names:
        source = DaySource(
            stream,
            config["date"],
            data=config["data"],
            schema_registry=settings.bus.schema_registry,
            grace_ns=settings.pipeline.grace_ns,
        )
        app.add_source(source, app.topic(settings.topic(stream), value_serializer="bytes"))
    app.run()


def sink(config: dict[str, Any]) -> None:
    """Frames to Parquet."""
    app = application(config, "sink")
    deserializer = FrameDeserializer(rows=False)
    frames = app.dataframe(app.topic(config["aligned"], value_deserializer=deserializer))
    training = TrainingSink(Path(config["folder"]) / "rows")
    frames.sink(training)
    app.run(timeout=5)
    sys.stdout.write(json.dumps({"repeated": training.repeated_rows}) + "\n")


def rows(config: dict[str, Any]) -> None:
    """Two columns, row by row."""
    app = application(config, config.get("group", "rows"))
    deserializer = FrameDeserializer(["symbol", "event_ns", "quote_age_ns"])
    frame = app.dataframe(app.topic(config["aligned"], value_deserializer=deserializer))
    seen: list[dict[str, Any]] = []
    frame.update(seen.append)
    app.run(timeout=5)
    sys.stdout.write(json.dumps(seen) + "\n")


if __name__ == "__main__":
    {"publish": publish, "sink": sink, "rows": rows}[sys.argv[1]](json.loads(sys.argv[2]))
