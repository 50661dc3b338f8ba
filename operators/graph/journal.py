"""Journals: what changed of the nodes' entries, for each of the two places where it is written down."""

from collections.abc import Iterable, Mapping
from typing import Final

from operators.sealed import Snapshot


class Journal:
    """What changed since it was written down last: the newest value of each key, None for a deleted one."""

    def __init__(self) -> None:
        self._changed: dict[bytes, bytes | None] = {}

    def add(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Entries are put."""
        self._changed.update(entries)

    def remove(self, keys: Iterable[bytes]) -> None:
        """Entries are deleted."""
        self._changed.update(dict.fromkeys(keys))

    def take(self) -> Snapshot:
        """What changed, once."""
        changed, self._changed = self._changed, {}
        puts = [(key, value) for key, value in changed.items() if value is not None]
        return Snapshot(puts, [key for key, value in changed.items() if value is None])


class Journals:
    """The journal of local state and that of the topic, which are written at different times.

    `local`  for the task's store.
    `topic`  for the topic of what nodes remember; empty where no rows of nodes go out: nobody asks for it.
    """

    def __init__(self, *, with_topic: bool) -> None:
        self.local: Final = Journal()
        self.topic: Final = Journal()
        self._all = (self.local, self.topic) if with_topic else (self.local,)
        self._restored: dict[str, list[bytes]] = {}  # keys of a node's entries, until `resumed`

    def add(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Entries are put."""
        puts = list(entries)
        for journal in self._all:
            journal.add(puts)

    def remove(self, keys: Iterable[bytes]) -> None:
        """Entries are no node's any more."""
        gone = list(keys)
        for journal in self._all:
            journal.remove(gone)

    def restored(self, name: str, entries: Mapping[bytes, bytes], *, from_topic: bool) -> None:
        """A node has got these entries back from one of the two places; they are new to the other."""
        self._restored[name] = list(entries)
        source = self.topic if from_topic else self.local
        for journal in self._all:
            if journal is not source:
                journal.add(entries.items())

    def renewed(self, name: str) -> None:
        """A node starts without state: the entries that it has got back are deleted."""
        self.remove(self._restored.pop(name, []))

    def resumed(self) -> None:
        """Nodes go on from what they have got back."""
        self._restored.clear()
