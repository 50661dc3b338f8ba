"""A drawn pipeline on the embedded bus: any way to join, any limits, any guarantee, small and quick."""

import random
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from app.config import Settings
from app.wiring.pipeline import Pipeline, topic_specs
from app.wiring.schemas import registered_streams
from schemas.stream import Stream
from topics.avro.schema import avro_schema
from topics.catalogue import apply, plan
from topics.memory.bus import MemoryBus
from topics.registry.open import open_registry

EVENT = pa.field("event_ns", pa.int64(), nullable=False)
SYMBOL = pa.field("symbol", pa.string(), nullable=False)
SEQUENCE = pa.field("sequence", pa.int64(), nullable=False)
TRADE = Stream(
    name="trade", schema=pa.schema([EVENT, SYMBOL, ("price", pa.float64()), ("condition", pa.string())])
)
QUOTE = Stream(
    name="quote",
    schema=pa.schema([EVENT, SYMBOL, ("bid", pa.float64()), ("ask", pa.float64()), ("venue", pa.string())]),
)
BAR = Stream(name="bar", schema=pa.schema([EVENT, SYMBOL, ("open", pa.float64()), ("close", pa.float64())]))
SIGNAL = Stream(name="signal", schema=pa.schema([EVENT, SYMBOL, ("score", pa.float64())]))
RIGHTS: Final = (QUOTE, BAR, SIGNAL)

MAX_AHEAD_NS = 1_000  # beyond the longest market
# A row that breaks it is published now and then: see `tests.simulation.feed`.
RULED = {"trade": "price", "quote": "bid", "bar": "open", "signal": "score"}


# Nodes in a chain, the first of which goes nowhere itself.
GRAPH: Final[dict[str, Any]] = {
    "spread": {"from": "aligned", "features": {"wide": "quote_ask - quote_bid"}},
    "tick": {
        "from": "spread",
        "features": {
            "mid": "(quote_bid + quote_ask) / 2",
            "buyer": "price > mid",
            "cost": "where(buyer, wide, -wide)",
        },
        "out": {},
    },
    "far": {"from": "tick", "features": {"old": "quote_age_ns > 20"}, "out": {"columns": ["old"]}},
    "half": {"from": "quote", "features": {"half": "bid / 2"}, "out": {}},
    "sold": {"from": "trade", "features": {"twice": "price * 2"}, "out": {"columns": ["twice"]}},
}
# And one that hangs on an input which the join does not read.
BESIDE: Final[dict[str, Any]] = {
    "scored": {"from": "signal", "features": {"more": "score + 1"}, "out": {}},
}


def settings_of(rng: random.Random, folder: Path) -> Settings:
    """Draw a pipeline."""
    rights = [stream.name for stream in RIGHTS[: rng.choice([1, 1, 1, 2, 3])]]
    worker = _worker(rng)
    again = worker["guarantee"] == "at_least_once"
    settings = _settings(rng, folder, rights, worker, again=again)
    beside = SIGNAL.name
    if settings["graph"] and beside not in rights:  # an input that the join does not read
        settings["streams"][beside] = _stream(rng, beside)
        settings["graph"] = {**GRAPH, **BESIDE}
    return Settings.model_validate(settings)


def _settings(
    rng: random.Random, folder: Path, rights: list[str], worker: dict[str, Any], *, again: bool
) -> dict[str, Any]:
    names = ["trade", *rights]
    return {
        "pipeline": {"right": rights, **_join(rng), **_limits_of_time(rng, again=again)},
        "bus": {"partitions": rng.choice([1, 1, 2, 3, 4]), "schema_registry": str(folder / "schemas")},
        "worker": {"state": str(folder / "state"), **worker},
        "streams": {name: _stream(rng, name) for name in names},
        "graph": GRAPH if rng.random() < 0.4 else {},
    }


def shapes_of(settings: Settings) -> dict[str, Stream]:
    """The inputs as they are published: with a sequence where the settings name one."""
    shapes = {}
    for shape in (TRADE, *RIGHTS):
        if shape.name in settings.stream_names:
            sequence = settings.stream(shape.name).sequence
            schema = shape.schema.append(SEQUENCE) if sequence else shape.schema
            shapes[shape.name] = Stream(name=shape.name, schema=schema, sequence=sequence)
    return shapes


def pipeline_of(settings: Settings) -> Pipeline:
    """Make the bus, its topics and schemas."""
    bus = MemoryBus()
    admin = bus.admin()
    apply(admin, plan(admin, topic_specs(settings)))
    registry = open_registry(settings.bus.schema_registry)
    for stream in shapes_of(settings).values():
        registry.register(f"{settings.topic(stream.name)}-value", avro_schema(stream))
    streams = registered_streams(settings, registry, wait_s=0, on_wait=lambda _: None)
    return Pipeline(settings, bus, registry, streams)


def _join(rng: random.Random) -> dict[str, Any]:
    direction = rng.choice(["backward", "backward", "forward", "nearest"])
    back = direction == "backward"
    return {
        "direction": direction,
        "tolerance_ns": rng.choice([None, None, 0, 5, 40] if back else [0, 5, 40]),
        "carry": rng.choice(["row", "column"]) if back else "row",
        "allow_exact": rng.random() < 0.7,
    }


def _limits_of_time(rng: random.Random, *, again: bool) -> dict[str, Any]:
    """Rows read `again` after they were sent may be judged anew by what no log says: not asked for."""
    return {
        "grace_ns": rng.choice([0, 7, 20]),
        "idle_after_ms": None if again else rng.choice([None, None, None, 1, 5]),
        "max_ahead_ns": rng.choice([None, None, MAX_AHEAD_NS]),
        "max_ahead_of": "inputs" if again else rng.choice(["wall", "inputs"]),
    }


def _worker(rng: random.Random) -> dict[str, Any]:
    return {
        "commit_interval_ms": rng.choice([1, 1, 4]),
        "checkpoint_interval_ms": rng.choice([1, 1_000_000]),
        "poll_messages_max": rng.choice([3, 17, 1_000]),
        "frame_rows_max": rng.choice([2, 1_000]),
        "buffer_rows_max": rng.choice([1, 5, 30, 1_000_000, 1_000_000]),
        "buffer_size_max": rng.choice([100, 1_000, 1 << 30, 1 << 30]),
        "last_known_interval_ms": rng.choice([1, 5, 1_000_000]),
        "guarantee": rng.choice(["exactly_once", "exactly_once", "at_least_once"]),
        "format": rng.choice(["frame", "frame", "frame", "avro"]),
    }


def _stream(rng: random.Random, name: str) -> dict[str, Any]:
    drawn: dict[str, Any] = {"grace_ns": rng.choice([None, None, None, 25])}
    if rng.random() < 0.4:
        drawn["sequence"] = SEQUENCE.name
    if rng.random() < 0.3:
        rule = {"columns": [RULED[name]], "policy": rng.choice(["dead", "drop"])}
        drawn["rules"] = {"non_negative": rule}
    return drawn
