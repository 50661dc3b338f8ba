"""Where each node stands that remembers earlier rows: which row of each root it took last, and the entry."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from operators.graph.gone import PLACE, PLACE_KEY, Gone
from operators.graph.past import Past
from operators.graph.starts import Places
from operators.inputs.progress import FIRST, RowPlace
from operators.node import NodeStateError


class NodePlaces:
    """By node the place of the last row of each root that it took; None where it starts without state.

    `pasts`  those of the nodes that remember anything, by name.
    `gone`   what nodes remembered that are not there any more.
    """

    def __init__(self, pasts: Mapping[str, Past], roots: Mapping[str, tuple[str, ...]], gone: Gone) -> None:
        """`roots` are those that the rows of each node come from, in the order in which they are kept."""
        self.pasts: Final = pasts
        self.gone: Final = gone
        self._roots = roots
        self._places: dict[str, Places | None] = dict.fromkeys(pasts)
        self._kept: dict[str, Places | None] = {}  # as they are written down

    def __bool__(self) -> bool:
        """Whether any node remembers earlier rows."""
        return bool(self.pasts)

    @property
    def all(self) -> Mapping[str, Places | None]:
        """The places of every node."""
        return self._places

    def of(self, name: str, root: str) -> RowPlace:
        """The place of a node among the rows of a root; `FIRST` for none."""
        places = self._places[name]
        return FIRST if places is None else places[root]

    def standing(self) -> list[str]:
        """The nodes that stand somewhere, in the order of the plan."""
        return [name for name, place in self._places.items() if place is not None]

    def newest(self, root: str) -> RowPlace:
        """The place of the last row of a root that any node took; `FIRST` for none."""
        own = [self.of(name, root) for name in self.pasts if root in self._roots[name]]
        return max(own, default=FIRST)

    def restore(self, name: str, entries: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """Take back where a node stands; returns the entries that are the node's own.

        Raises NodeStateError where no place is kept beside others, or what is kept is none.
        """
        own = dict(entries)
        entry = own.pop(PLACE_KEY, None)
        if name in self.pasts:
            self._places[name] = self._kept[name] = _places_of(entry, own, self._roots[name])
        return own

    def renew(self, name: str) -> None:
        """A node starts without state."""
        if name in self.pasts:
            self._places[name] = self._kept[name] = None

    def move(self, names: Iterable[str], root: str, place: RowPlace) -> None:
        """Nodes have taken the rows of a root up to a place."""
        for name in names:
            before = self._places[name] or dict.fromkeys(self._roots[name], FIRST)
            self._places[name] = {**before, root: place}

    def changes(self, through: Places) -> Iterator[tuple[str, bytes, bytes]]:
        """Node, key and value of what is to be written where all have taken the rows up to a place."""
        for name in self.pasts:
            places = {root: through.get(root, FIRST) for root in self._roots[name]}
            begun = any(place != FIRST for place in places.values())
            if begun and self._kept.get(name) != places:
                self._kept[name] = places
                yield name, PLACE_KEY, b"".join(PLACE.pack(*place) for place in places.values())

    def stops(self, names: Collection[str], root: str) -> list[RowPlace]:
        """Where some of the nodes stand among the rows of a root."""
        return [places[root] for name in names if (places := self._places[name]) is not None]


def _places_of(entry: bytes | None, own: Mapping[bytes, bytes], roots: tuple[str, ...]) -> Places | None:
    if entry is None and not own:
        return None
    if entry is None or len(entry) != PLACE.size * len(roots):
        raise NodeStateError("which row the node took last is not kept")
    return dict(zip(roots, PLACE.iter_unpack(entry), strict=True))
