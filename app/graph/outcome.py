"""What an experiment of a check came to."""

from typing import NamedTuple

from app.graph.trial import Difference


class Outcome(NamedTuple):
    """What an experiment came to.

    `name`   of the experiment, `what` it does, and `result` in a word or two.
    `cause`  what a difference means, for a sentence that begins with the feature.
    `ways`   in which the two values of the difference were made.
    """

    name: str
    what: str
    result: str
    difference: Difference | None = None
    cause: str = ""
    ways: tuple[str, str] = ("", "")
