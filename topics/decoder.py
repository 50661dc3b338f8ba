"""What every format of messages has in common: a decoder that makes rows of them."""

from typing import Protocol

from schemas.batch import Int64s
from topics.block import MessageBlock
from topics.wire import Decoded


class RowDecoder(Protocol):
    """What gives the rows of one stream's messages, in one format; `topics.avro.decode.Decoder` is one."""

    def decode(self, block: MessageBlock, messages: Int64s) -> Decoded:
        """Decode the messages with these indexes into the block: all of one partition, in offset order.

        What cannot be read is in the answer, as dead rows.  Raises RegistryUnavailableError where the same
        call may be made again later, and CodecError where going on would lose every message of a kind.
        """
        ...
