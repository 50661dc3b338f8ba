"""Mutants that change nothing anybody could see, each with the reason; the mutation check leaves them out."""

from typing import Final

EQUIVALENT: Final[dict[str, str]] = {}
