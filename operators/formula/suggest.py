"""A near miss among known names, as the end of an error message."""

import difflib
from collections.abc import Iterable
from typing import Final

LIST_MAX: Final = 40  # names in one message
PART_LENGTH_MIN: Final = 3  # characters of a name that is looked for inside others


def suggest(name: str, known: Iterable[str], *, listed: str = "") -> str:
    """Return `; nearest?`, or what there is after the words `listed`, or nothing."""
    names = list(known)
    if near := nearest(name, names):
        return f"; {near}?"
    if not listed or not names:
        return ""
    more = f" and {len(names) - LIST_MAX} more" if len(names) > LIST_MAX else ""
    return f"; {listed} {', '.join(names[:LIST_MAX])}{more}"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like `name`, if any is like it.

    Letters in another case are the nearest of all; a name that has the other in it comes last.
    """
    names = list(known)
    for candidate in names:
        if candidate.lower() == name.lower():
            return candidate
    near = difflib.get_close_matches(name, names, n=1)
    if not near and len(name) >= PART_LENGTH_MIN:
        near = sorted((candidate for candidate in names if name in candidate), key=len)
    return near[0] if near else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` (did you mean NEAREST?)`, or nothing where no known name is near."""
    near = nearest(name, known)
    return f" (did you mean {near}?)" if near else ""
