"""Names that columns of a root have inside a graph and in its outputs, in place of their own."""

from collections.abc import Mapping

import pyarrow as pa

from operators.formula.features import Source, root_source
from operators.graph.declare import GraphSettings
from operators.sealed import Sealed


def named_source(settings: GraphSettings, root: str, layout: pa.Schema, rows: str) -> Source:
    """The rows of a root, of meaning `rows`, with the scales and names of its columns in a graph."""
    source = root_source(root, layout, rows, settings.sessions.meaning, settings.scales.get(root))
    return renamed_source(source, settings.aliases.get(root, {}))


def renamed_source(source: Source, aliases: Mapping[str, str]) -> Source:
    """A root's columns under their new names; what each means is what it meant."""
    if not aliases:
        return source
    assert source.layout is not None, "the columns of a root are known"
    fields = [field.with_name(aliases.get(field.name, field.name)) for field in source.layout]
    assert len({field.name for field in fields}) == len(fields), "two columns of one name"
    return source._replace(
        layout=pa.schema(fields),
        meanings={aliases.get(name, name): meaning for name, meaning in source.meanings.items()},
        scales={aliases.get(name, name): scale for name, scale in source.scales.items()},
        units={aliases.get(name, name): unit for name, unit in source.units.items()},
    )


def renamed_rows(sealed: Sealed, aliases: Mapping[str, str]) -> Sealed:
    """Sealed rows under the new names."""
    if not aliases or sealed.rows is None:
        return sealed
    names = [aliases.get(name, name) for name in sealed.rows.schema.names]
    return sealed._replace(rows=sealed.rows.rename_columns(names))
