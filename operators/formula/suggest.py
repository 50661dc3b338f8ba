"""A near miss among known names, as the end of an error message."""

import difflib
from collections.abc import Iterable

LIST_MAX = 40  # names in one message


def suggest(name: str, known: Iterable[str], *, listed: str = "") -> str:
    """Return `; nearest?`, or what there is after the words `listed`, or nothing.

    Letters in another case are the nearest of all.
    """
    names = list(known)
    for candidate in names:
        if candidate.lower() == name.lower():
            return f"; {candidate}?"
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"; {near[0]}?"
    if not listed or not names:
        return ""
    more = f" and {len(names) - LIST_MAX} more" if len(names) > LIST_MAX else ""
    return f"; {listed} {', '.join(names[:LIST_MAX])}{more}"
