"""Which packages an installation needs, out of the lock file that has those of every purpose."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from importlib.metadata import requires

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_PINNED = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)(?:\s*;\s*(?P<marker>[^\\\n]+))?")


class NeedsError(ValueError):
    """A package that is needed and not in the lock; the message names it."""


def closure(wanted: Iterable[str], needs_of: Callable[[str], Collection[str] | None] = requires) -> set[str]:
    """The names of all packages that these requirements need here, by what is installed.

    A requirement whose marker does not hold on this system counts for nothing.
    """
    seen: set[tuple[str, str]] = set()
    open_ones = [Requirement(line) for line in wanted]
    while open_ones:
        requirement = open_ones.pop()
        if requirement.marker and not requirement.marker.evaluate():
            continue
        name = canonicalize_name(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) not in seen:
                seen.add((name, extra))
                open_ones += _behind(needs_of(name) or (), extra)
    return {name for name, _ in seen}


def _behind(needs: Collection[str], extra: str) -> Iterator[Requirement]:
    """What a package needs with an extra, "" for none."""
    here: dict[str, str] = {
        **{name: str(value) for name, value in default_environment().items()},
        "extra": extra,
    }
    for line in needs:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(here):
            requirement.marker = None
            yield requirement


def pinned(lock: str, names: Collection[str]) -> Mapping[str, str]:
    """The blocks of a lock file, with their hashes, of these packages for this system; raises NeedsError."""
    blocks: dict[str, str] = {}
    for block in re.split(r"\n(?=[A-Za-z0-9])", lock.strip()):
        match = _PINNED.match(block)
        if match is None or canonicalize_name(match["name"]) not in names:
            continue
        if match["marker"] and not Requirement(f"x ; {match['marker']}").marker.evaluate():  # type: ignore[union-attr]
            continue
        kept = [line for line in block.splitlines() if not line.lstrip().startswith("#")]
        blocks[canonicalize_name(match["name"])] = "\n".join(kept) + "\n"
    if absent := sorted(set(names) - blocks.keys()):
        raise NeedsError(f"not in the lock: {', '.join(absent)}: run make lock")
    return blocks
