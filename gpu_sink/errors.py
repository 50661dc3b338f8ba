"""What keeps an aligned stream from being read, apart from a broken frame (`contract.FrameError`)."""


class SourceError(Exception):
    """The topic or folder cannot be read as asked; the message says what, where, and what to do."""


class TensorError(ValueError):
    """A column cannot become a tensor; the message names it and its type."""
