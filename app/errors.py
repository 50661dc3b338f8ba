"""What ends a command early: a mistake the user can mend (exit 2), or a run that could not go on (exit 1)."""


class UsageError(Exception):
    """A flag, file, date or setting is wrong; the message says what, where, and what to do.  Exit code 2."""


class RunError(Exception):
    """The work had to stop; the message says why, and whether the same command goes on from here.  Exit 1."""
