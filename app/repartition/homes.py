"""What the messages of a source are: progress records, or rows, and where these belong by their columns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from schemas.batch import Batch, Int64s
from topics.avro.progress_reader import ProgressReader
from topics.block import MessageBlock
from topics.decoder import RowDecoder
from topics.placement import home_partitions
from topics.wire import Progress, SchemaRegistry


class Home(NamedTuple):
    """The partition of a message by the keys of its rows.

    None where it has no row that can be read, or, with `split`, where its rows belong to several; `reason`
    says why.
    """

    partition: int | None
    reason: str = ""
    split: bool = False


class KnownProgress(ProgressReader):
    """Reads the progress records of a topic in any format: those that the registry knows, and no more.

    Bytes of another format may look like the id of a schema that nobody knows, so such a message is a row.
    """

    def read(self, block: MessageBlock, messages: Int64s) -> Mapping[int, Progress]:
        """Return the progress records among these messages of one partition, by offset."""
        return dict(self.take(block, messages).progress)


class ColumnHomes:
    """Finds the homes of messages among so many partitions, by a stream's decoder; used from one thread."""

    def __init__(self, decoder: RowDecoder, partitions: int) -> None:
        self._decoder = decoder
        self._partitions = partitions

    def of(self, block: MessageBlock, messages: Int64s) -> Mapping[int, Home]:
        """Return the home of each of these messages of one partition, in offset order, by offset.

        Raises what the decoder raises.
        """
        decoded = self._decoder.decode(block, messages)
        homes = dict.fromkeys(block.offset[messages].tolist(), Home(None, "it has no rows"))
        for dead in reversed(decoded.dead):
            homes[int(block.offset[dead.message])] = Home(None, dead.reason)
        if decoded.batch is not None and decoded.batch.rows:
            homes.update(self._homes(decoded.batch))
        return homes

    def _homes(self, rows: Batch) -> Mapping[int, Home]:
        home = home_partitions(rows.keys, self._partitions)[rows.key_code]
        first = np.flatnonzero(np.concatenate([[True], rows.offset[1:] != rows.offset[:-1]]))
        lowest, highest = np.minimum.reduceat(home, first), np.maximum.reduceat(home, first)
        homes = {
            offset: Home(partition)
            for offset, partition in zip(rows.offset[first].tolist(), lowest.tolist(), strict=True)
        }
        for message in np.flatnonzero(lowest != highest).tolist():
            start = int(first[message])
            stop = int(first[message + 1]) if message + 1 < first.size else rows.rows
            other = start + int(np.flatnonzero(home[start:stop] != home[start])[0])
            keys = [rows.keys[int(rows.key_code[row])].as_py() for row in (start, other)]
            shown = [repr(key.decode(errors="backslashreplace")) for key in keys]
            reason = (
                f"its rows have keys {shown[0]} and {shown[1]}, which belong to partitions {home[start]} and "
                f"{home[other]}"
            )
            homes[int(rows.offset[start])] = Home(None, reason, split=True)
        return homes


class MessageReader:
    """Says what messages are; used from one thread."""

    def __init__(self, progress: ProgressReader, homes: ColumnHomes | None = None) -> None:
        self._progress = progress
        self._homes = homes

    def read(
        self, block: MessageBlock, messages: Int64s
    ) -> tuple[Mapping[int, Progress], Mapping[int, Home]]:
        """Return by offset the progress records among these messages of one partition, and homes of others.

        There are no homes where the message key says where a message belongs.  Raises what the readers do.
        """
        progress = self._progress.read(block, messages)
        if self._homes is None:
            return progress, {}
        rows = messages[~np.isin(block.offset[messages], np.array(list(progress), np.int64))]
        return progress, self._homes.of(block, rows)


@dataclass(frozen=True, slots=True)
class Reading:
    """How the messages of a source are read.

    `foreign` says that they may be any bytes, so that one whose schema nobody knows is a row.  `homes` says
    where they belong, None where their keys do.
    """

    foreign: bool = False
    homes: ColumnHomes | None = None

    def reader(self, registry: SchemaRegistry) -> MessageReader:
        """A new reader."""
        kind = KnownProgress if self.foreign else ProgressReader
        return MessageReader(kind(registry, headed=True), self.homes)


BY_KEY: Final = Reading()  # Avro, whose message keys say where messages belong
