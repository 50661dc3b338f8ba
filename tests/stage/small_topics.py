"""Topics of a market that take small messages, as somebody else's may."""

import pyarrow as pa

from tests.stage.market import Market


def with_limits(market: Market, **sizes: int) -> Market:
    """The market, its topics of these kinds taking messages of so many bytes."""
    for kind, size in sizes.items():
        market.bus.configure(market.settings.topic(kind), {"max.message.bytes": str(size)})
    return market


def with_notes(market: Market, stream: str = "trade") -> Market:
    """The market with a text column more in a stream."""
    market.add_column(stream, pa.field("note", pa.string()))
    return market


def made_anew(market: Market, kind: str) -> None:
    """Delete a topic with its messages, and create it again."""
    admin = market.bus.admin()
    name = market.settings.topic(kind)
    spec = admin.describe([name])[name]
    assert spec is not None
    admin.delete([name])
    admin.create([spec])
