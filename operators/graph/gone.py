"""What nodes remembered that are gone: it stays for a while, so that a node that comes back goes on."""

import struct
from collections.abc import Iterable
from typing import Final

from operators.entries import MEANING_SIZE

PLACE_KEY: Final = b"\0place"  # of the entry that says which rows a node took last
PLACE: Final = struct.Struct("<qqqq")
DAYS_NS: Final = 7 * 24 * 3_600 * 1_000_000_000  # of event time behind the place where the node stood


class Gone:
    """Entries of nodes that the graph has not, or has with another meaning.

    How old they are is told by the row that their node took last, against the commit: that is in the log, so
    a replay forgets what the live run forgot, and no clock is asked.
    """

    def __init__(self, kept_ns: int = DAYS_NS) -> None:
        """`kept_ns` is how far the commit may lie behind the last row of a node until it is forgotten."""
        self._kept_ns = kept_ns
        self._keys: dict[bytes, list[bytes]] = {}  # by owner's prefix
        self._newest_ns: dict[bytes, int] = {}

    def add(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take up entries under their full keys, each with its owner in front."""
        for key, value in entries:
            prefix = key[: key.index(b"\0") + MEANING_SIZE + 2]
            self._keys.setdefault(prefix, []).append(key)
            if key[len(prefix) :] == PLACE_KEY and (time_ns := newest_ns(value)) is not None:
                self._newest_ns[prefix] = time_ns

    @property
    def names(self) -> set[str]:
        """Whose they are."""
        return {prefix.partition(b"\0")[0].decode(errors="replace") for prefix in self._keys}

    def expired(self, through_ns: int | None) -> list[bytes]:
        """The keys to delete, once, where `through_ns` is the time of the last committed row; None for none.

        Entries without a place could not be taken back, so they go at once.
        """
        expired: list[bytes] = []
        for prefix in list(self._keys):
            time_ns = self._newest_ns.get(prefix)
            if time_ns is None or (through_ns is not None and through_ns - time_ns > self._kept_ns):
                expired += self._keys.pop(prefix)
        return expired


def newest_ns(entry: bytes) -> int | None:
    """The time of the newest row that an entry of places names; None where it names none."""
    if not entry or len(entry) % PLACE.size:
        return None
    return int(max(place[0] for place in PLACE.iter_unpack(entry)))
