"""What stands behind a root: a node takes sealed rows in order and gives back rows that are final.

A node knows nothing of lateness, of clocks or of arrival: whatever it is called with, the rows of all calls
together are a function of the rows it took, never of how they were cut into calls.
"""

from typing import NamedTuple, Protocol

import pyarrow as pa

from operators.sealed import Entries, Sealed, Snapshot


class NodeStateError(Exception):
    """Kept entries of a node cannot be used; the message names the node.  It starts without state then."""


class Context(NamedTuple):
    """What of the past a node needs so that its next row has the right bits.

    `rows`     rows of the same symbol before it, however old.
    `ns`       rows whose time is no further before its own.
    `hold_ns`  how far behind its input the node holds rows back.
    """

    rows: int = 0
    ns: int = 0
    hold_ns: int = 0


class Node(Protocol):
    """One step of a graph.  The order of calls, in the life of one task:

    1. `restore` at most once, on a new node, with the entries of all snapshots so far.  After a
       `NodeStateError` the node is thrown away and a new one starts without entries.
    2. `take` after each seal, with what each node it reads gave in that seal: the upstream nodes come first.
       No rows and a higher `complete_ns` is a call like any other.
    3. `snapshot` between two `take`, as often as the task keeps state.
    """

    @property
    def name(self) -> str:
        """The node's name in its graph."""
        ...

    @property
    def meaning(self) -> str:
        """16 hex digits, equal where the same thing is computed: state and caches are named by it."""
        ...

    @property
    def layout(self) -> pa.Schema:
        """The columns of its rows."""
        ...

    @property
    def needs(self) -> Context:
        """What of the past it needs, and how long it holds rows back."""
        ...

    def take(self, upstream: tuple[Sealed, ...]) -> Sealed:
        """Take the rows that became final in each node it reads; return its own that are final with them."""
        ...

    def snapshot(self) -> Snapshot:
        """Return what changed since the last snapshot."""
        ...

    def restore(self, entries: Entries) -> None:
        """Take back what snapshots held; raises NodeStateError where it is damaged."""
        ...
