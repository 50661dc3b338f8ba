"""What can be wrong with history: each error says what, where, and what to do."""


class HistoryError(Exception):
    """History cannot be read or written; the message says what, where, and what to do."""


class UnknownDateError(HistoryError):
    """The history has no such day; the message names the days it has."""


class SourceError(HistoryError):
    """A file cannot be imported; the message names the file, the column and what was expected."""


class PublishError(HistoryError):
    """A day cannot be published with these settings; the message has the figures."""
