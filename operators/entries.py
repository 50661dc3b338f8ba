"""Kept entries by owner: each lies under its owner's name and the meaning of what the owner keeps.

    name, 0, meaning (8 bytes), 0, key

So one store holds the entries of the inputs, of each root and of each node of a task, and those of an owner
that has changed its meaning are told from those it can take back.
"""

from collections.abc import Iterable, Mapping

from operators.sealed import Snapshot

MEANING_SIZE = 8


class SnapshotError(Exception):
    """Kept state cannot be used: of another version or layout, or damaged; rebuild it from the inputs."""


def owned(name: str, meaning: str, snapshot: Snapshot) -> Snapshot:
    """The snapshot of one owner with its name and its meaning (16 hex digits) in front of each key."""
    prefix = owner_prefix(name, meaning)
    return Snapshot(
        [(prefix + key, value) for key, value in snapshot.puts], [prefix + key for key in snapshot.deletes]
    )


class KeptEntries:
    """All entries of a task, told apart by owner."""

    def __init__(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Raises SnapshotError where a key has no owner."""
        self._owned: dict[bytes, list[tuple[bytes, bytes]]] = {}
        for key, value in entries:
            name, zero, rest = key.partition(b"\0")
            if not zero or len(rest) <= MEANING_SIZE or rest[MEANING_SIZE] != 0:
                raise SnapshotError(f"the state has an entry {key!r} that no part of this program writes")
            prefix = key[: len(name) + MEANING_SIZE + 2]
            self._owned.setdefault(prefix, []).append((key[len(prefix) :], value))

    def __bool__(self) -> bool:
        return bool(self._owned)

    def of(self, name: str, meaning: str) -> list[tuple[bytes, bytes]]:
        """Return the entries of an owner; raises SnapshotError where it has none of this meaning."""
        entries = self._owned.get(owner_prefix(name, meaning))
        if entries is not None:
            return entries
        others = [prefix for prefix in self._owned if prefix.startswith(name.encode() + b"\0")]
        if not others:
            raise SnapshotError(f"the state has no entries of {name}: it was not written whole")
        kept = others[0][-MEANING_SIZE - 1 : -1].hex()
        raise SnapshotError(
            f"the state of {name} was kept for another meaning ({kept}, now {meaning}): "
            "streams, columns, keys, clock or matching rules have changed"
        )

    def all_of(self, name: str, meaning: str) -> list[tuple[bytes, bytes]]:
        """The entries of an owner of this meaning; none is an answer."""
        return self._owned.get(owner_prefix(name, meaning), [])

    def rest(self, owners: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
        """All entries, under their full keys, that belong to none of these owners (meaning by name)."""
        ours = {owner_prefix(name, meaning) for name, meaning in owners.items()}
        return [
            (prefix + key, value)
            for prefix, entries in self._owned.items()
            if prefix not in ours
            for key, value in entries
        ]


def owner_prefix(name: str, meaning: str) -> bytes:
    """What stands in front of the keys of an owner; `meaning` is 16 hex digits."""
    raw = bytes.fromhex(meaning)
    assert len(raw) == MEANING_SIZE, f"the meaning of {name} is {meaning!r}, not 16 hex digits"
    return name.encode() + b"\0" + raw + b"\0"
