"""What can be wrong with history: each error says what, where, and what to do."""


class HistoryError(Exception):
    """History cannot be read or written; the message says what, where, and what to do."""


class UnknownDateError(HistoryError):
    """The history has no such day; the message names the days it has."""


class SourceError(HistoryError):
    """A file cannot be imported; the message names the file, the column and what was expected."""


class PublishError(HistoryError):
    """A day cannot be published with these settings; the message has the figures."""


class FencedCommitError(HistoryError):
    """Another has committed in our place; nothing was changed, and what we held is void."""


class UnknownCommitError(HistoryError):
    """A commit may or may not have been made: open the table again and look before anything is sent again."""


class NotWrittenError(HistoryError):
    """The disk of a history refuses, as a full one; nothing is half written, it may be tried again."""


class ObjectStoreError(HistoryError):
    """An object store refuses; the message says where, and names no credentials."""


class StoreAwayError(ObjectStoreError):
    """The object store of a history does not answer: nothing was changed, and the same may be tried again."""
