"""What is wrong with a graph: every error of every node, with the place it is about."""

from typing import NamedTuple


class NodeError(NamedTuple):
    """One error.

    `node`     the table `[graph.NAME]`.
    `column`   the feature, or None.
    `message`  what is wrong, and what to do.
    `start`    character position in the formula (or in the value of `setting`), None for no place inside.
    `end`      exclusive.
    `setting`  the key of the node's table where the error is of no feature: `from`, `out.columns`.
    """

    node: str
    column: str | None
    message: str
    start: int | None = None
    end: int | None = None
    setting: str = ""

    @property
    def subject(self) -> str:
        """`node` or `node.column`."""
        return self.node if self.column is None else f"{self.node}.{self.column}"


class GraphError(ValueError):
    """The graph cannot be planned; `errors` has all that is wrong, in the order of the settings."""

    def __init__(self, errors: tuple[NodeError, ...]) -> None:
        super().__init__("\n".join(f"{error.subject}: {error.message}" for error in errors))
        self.errors = errors
