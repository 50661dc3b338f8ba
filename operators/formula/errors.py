"""What is wrong with a formula, and from which to which character of its text."""


class FormulaError(ValueError):
    """A formula cannot be used; `message` says why, `start` and `end` are character positions in its text.

    `end` is exclusive.  A formula can have several: they are collected in lists, none hides another.
    """

    def __init__(self, message: str, start: int, end: int) -> None:
        super().__init__(message)
        self.message = message
        self.start = start
        self.end = end
