"""Where each node stands that remembers earlier rows: which row it took last, and the entry of it."""

import struct
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from operators.graph.past import Past
from operators.inputs.progress import FIRST, RowPlace
from operators.node import NodeStateError

PLACE_KEY: Final = b"\0place"  # of the entry that says which row a node took last
PLACE: Final = struct.Struct("<qqqq")


class NodePlaces:
    """The place of the last row that each node took, by name; None where it starts without state."""

    def __init__(self, pasts: Mapping[str, Past]) -> None:
        """`pasts` are those of the nodes that remember anything."""
        self.pasts: Final = pasts
        self._places: dict[str, RowPlace | None] = dict.fromkeys(pasts)
        self._kept: dict[str, RowPlace | None] = {}  # as they are written down

    def __bool__(self) -> bool:
        """Whether any node remembers earlier rows."""
        return bool(self.pasts)

    def __getitem__(self, name: str) -> RowPlace | None:
        """The place of a node."""
        return self._places[name]

    def standing(self) -> list[str]:
        """The nodes that stand somewhere, in the order of the plan."""
        return [name for name, place in self._places.items() if place is not None]

    @property
    def newest(self) -> RowPlace:
        """The place of the last row that any node took; `FIRST` for none."""
        return max((place or FIRST for place in self._places.values()), default=FIRST)

    def restore(self, name: str, entries: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """Take back where a node stands; returns the entries that are the node's own.

        Raises NodeStateError where no place is kept beside others, or what is kept is none.
        """
        own = dict(entries)
        entry = own.pop(PLACE_KEY, None)
        if name in self.pasts:
            self._places[name] = self._kept[name] = _place_of(entry, own)
        return own

    def renew(self, name: str) -> None:
        """A node starts without state."""
        if name in self.pasts:
            self._places[name] = self._kept[name] = None

    def move(self, names: Iterable[str], place: RowPlace) -> None:
        """Nodes have taken the rows up to a place."""
        self._places |= dict.fromkeys(names, place)

    def changes(self, through: RowPlace) -> Iterator[tuple[str, bytes, bytes]]:
        """Node, key and value of what is to be written where all have taken the rows up to a place."""
        for name in self.pasts:
            if self._kept.get(name) != through:
                self._kept[name] = through
                yield name, PLACE_KEY, PLACE.pack(*through)

    def stops(self, names: Collection[str]) -> list[RowPlace]:
        """Where some of the nodes stand."""
        return [place for name in names if (place := self._places[name]) is not None]


def _place_of(entry: bytes | None, own: Mapping[bytes, bytes]) -> RowPlace | None:
    if entry is None and not own:
        return None
    if entry is None or len(entry) != PLACE.size:
        raise NodeStateError("which row the node took last is not kept")
    time_ns, sequence, offset, index = PLACE.unpack(entry)
    return time_ns, sequence, offset, index
