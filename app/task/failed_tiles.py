"""Letters about tiles whose function failed: one each, with the traceback in the place of a message."""

from collections.abc import Callable, Iterable, Iterator

from app.task.letters import Letter
from operators.tiles.calls import FailedTile
from schemas.clocks import NS_PER_MS
from schemas.letters import DEAD_FAILED_TILE, DEAD_STAGE_JUDGE, DeadLetter
from topics.block import Original, TopicPartition


def tile_letters(
    failed: Iterable[FailedTile], topic_of: Callable[[str], str], partition: int
) -> Iterator[Letter]:
    """A letter for each tile of one task; `topic_of` gives the topic of a node, whether it has one or not.

    Nothing in it hangs on the machine or the moment, so a replay writes the same.
    """
    for tile in failed:
        source = TopicPartition(topic_of(tile.node), partition)
        place = max(tile.begin_ns, 0)
        about = DeadLetter(
            topic=source.topic,
            partition=partition,
            offset=place,
            reason=tile.words,
            error=DEAD_FAILED_TILE,
            stage=DEAD_STAGE_JUDGE,
        )
        original = Original(None, tile.traceback.encode(), [], place // NS_PER_MS)
        yield Letter("dead", source, place, original, about, tile.words)
