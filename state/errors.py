"""What can go wrong at the RocksDB edge, each with a name of its own."""


class StateError(Exception):
    """The local state of a task cannot be used; the message names the path, the reason and what to do."""


class StateCorruptError(StateError):
    """What is on disk is damaged: wipe it and rebuild from the log."""


class StateForeignError(StateError):
    """The state was written by another version or for another task: wipe it and rebuild from the log."""


class StateLockedError(StateError):
    """Another process, or another store in this one, has the state open: nothing may be wiped."""


class StateDiskError(StateError):
    """The disk refuses: full, not writable, or failing.  A wipe would not help."""
