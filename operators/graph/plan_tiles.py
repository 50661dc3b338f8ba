"""What a node with a function computes: its columns, what they mean, and which rows they hang on."""

import keyword
from collections.abc import Iterator
from typing import Final, NamedTuple

import pyarrow as pa

from operators.formula.features import Features, Source
from operators.formula.history import Reach, farthest, latest_start
from operators.formula.meaning import column_meaning, digest
from operators.formula.suggest import suggest
from operators.graph.declare import NodeSettings
from operators.graph.errors import NodeError
from operators.graph.plan_join import Upstream
from operators.tiles.node import PlannedTiles
from operators.tiles.settings import RETURNS, TileSettings
from schemas.clocks import EVENT_NS, KNOWN_NS
from schemas.frame import LEFT_INDEX, LEFT_OFFSET

VERSION: Final = 1  # raised when tiles or their context are cut in another way


class TilesPlan(NamedTuple):
    """How a function is called, its columns as those of any node, and what nodes behind it read."""

    tiles: PlannedTiles
    features: Features
    upstream: Upstream
    bars: None = None


def mistakes(node: NodeSettings) -> list[NodeError]:
    """What is wrong with the function of a node, whatever its rows are."""
    wrong = () if node.tiles is None else node.tiles.mistakes
    return [NodeError(node.name, None, one.message, setting=one.setting) for one in wrong]


def plan_tiles(node: NodeSettings, upstream: Upstream) -> tuple[TilesPlan | None, list[NodeError]]:
    """The function over rows whose columns are known; None where anything is wrong, and all that is."""
    settings, source = node.tiles, upstream.source
    assert settings is not None, f"node {node.name} has no function"
    assert source.layout is not None, f"the columns of {source.name} are not known"
    errors = [*mistakes(node), *_wrong_columns(node.name, settings, source, source.layout)]
    function = settings.function
    if errors or function is None:
        return None, errors
    of_row = {*upstream.key, EVENT_NS, KNOWN_NS, LEFT_OFFSET, LEFT_INDEX, *upstream.identity}
    wanted = None if settings.reads is None else {*settings.reads, *of_row}
    known = (name for name in source.layout.names if name not in source.labels)
    read = tuple(name for name in known if wanted is None or name in wanted)
    types = {name: RETURNS[kind_of(text)] for name, text in settings.returns.items()}
    layout = pa.schema([*source.layout, *(pa.field(name, kind) for name, kind in types.items())])
    tiles = PlannedTiles(settings, function, source.layout, layout, read)
    of_columns = {
        field.name: source.meanings.get(field.name) or column_meaning(source.rows, field)
        for field in source.layout
    }
    how = (settings.tile_ns, settings.rows, settings.ns, settings.failures_max, function.meaning)
    rule = digest("tiles", VERSION, *how, source.rows, *(f"{name} {of_columns[name]}" for name in read))
    meanings = {**of_columns, **{name: digest(rule, name, kind) for name, kind in types.items()}}
    own = Reach(settings.rows, settings.tile_ns + settings.ns)
    reach = own.behind(farthest([source.reaches[name] for name in read if name in source.reaches]))
    start = latest_start([source.starts[name] for name in read if name in source.starts])
    features = Features(
        tuple(types),
        layout,
        (),
        (),
        source.rows,
        meanings,
        dict.fromkeys(types, "tile"),
        dict.fromkeys(types, reach),
        dict.fromkeys(types, start),
        dict.fromkeys(types, None),
    )
    behind = source._replace(
        name=node.name,
        layout=layout,
        meanings=meanings,
        memories={**source.memories, **features.memories},
        reaches={**source.reaches, **features.reaches},
        starts={**source.starts, **features.starts},
        units={**source.units, **features.units},
    )
    return TilesPlan(tiles, features, upstream._replace(source=behind, waits=True)), []


def kind_of(text: str) -> str:
    """The type of a column that a function gives, without its version."""
    return text.partition("@")[0].strip()


def _wrong_columns(
    node: str, settings: TileSettings, source: Source, layout: pa.Schema
) -> Iterator[NodeError]:
    for name, text in settings.returns.items():
        setting = f"returns.{name}"
        if kind_of(text) not in RETURNS:
            known = suggest(kind_of(text), list(RETURNS), listed="a function gives")
            yield NodeError(node, None, f"there is no type {kind_of(text)}{known}", setting=setting)
        if name in layout.names:
            yield NodeError(
                node, None, f"{source.name} has a column {name} already; choose another name", setting=setting
            )
        elif not name.isidentifier() or keyword.iskeyword(name):
            why = f"a column's name is letters, digits and _, and no word of Python, not {name!r}"
            yield NodeError(node, None, why, setting=setting)
    for name in settings.reads or ():
        if name not in layout.names:
            why = f"{source.name} has no column {name}{suggest(name, layout.names)}"
            yield NodeError(node, None, why, setting="reads")
        elif name in source.labels:
            why = f"{name} is a label: it looks ahead, and no function may read it"
            yield NodeError(node, None, why, setting="reads")
