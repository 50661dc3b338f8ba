"""What a restart by another rule needs: rows that the commit of the old one did not ask for.

| what changed                                          | right rows are needed                   |
|-------------------------------------------------------|-----------------------------------------|
| a shorter tolerance, `allow_exact`, formulas          | as the commit says                      |
| columns, and whole rows are carried                   | as the commit says                      |
| a longer tolerance, or one where there was none       | a tolerance behind the oldest left row  |
| direction, keys, `carry`, columns that are carried    | a tolerance behind the oldest left row  |
| any of the last two lines, and no tolerance now       | from the beginning of their log         |

Left rows that an old join held for its tolerance wait on, however short the new one is.
"""

from dataclasses import dataclass

from schemas.clocks import BEGINNING_NS
from schemas.rule import Rule


@dataclass(frozen=True, slots=True)
class Reread:
    """What to read again beyond what the commit needs.

    `oldest_ns`  right rows from this time on may match: all where it is `BEGINNING_NS`, and where it is None
                 those that the commit needs are enough.
    `held_ns`    how far behind the frontier left rows may still wait, by the old rule.
    `keeps`      whether the last rows that the old join kept beside the inputs are those of the new one.
    `was_kept`   whether rows that the new join needs may have been kept there alone.
    """

    oldest_ns: int | None = None
    held_ns: int = 0
    keeps: bool = True
    was_kept: bool = False


def reread_for(old: Rule, new: Rule, frontier_ns: int) -> Reread:
    """What the change of a rule asks of a restart at this frontier; the clocks of both must be equal."""
    assert old.clock == new.clock, "a frontier is of one clock"
    held_ns = _hold_ns(old)
    if not _needs_more(old, new):
        return Reread(held_ns=held_ns)
    if frontier_ns == BEGINNING_NS:  # every row still waits, and so is read again in any case
        return Reread(held_ns=held_ns, keeps=False)
    was_kept = old.tolerance_ns is None
    if new.tolerance_ns is None:
        return Reread(BEGINNING_NS, held_ns, keeps=False, was_kept=was_kept)
    behind_ns = max(held_ns, _hold_ns(new)) + (0 if new.direction == "forward" else new.tolerance_ns)
    return Reread(max(frontier_ns - behind_ns, BEGINNING_NS), held_ns, keeps=False, was_kept=was_kept)


def _needs_more(old: Rule, new: Rule) -> bool:
    by_column = new.carry == "column" and (old.carry != "column" or old.columns != new.columns)
    if old.direction != new.direction or old.keys != new.keys or by_column:
        return True
    if old.tolerance_ns is None:  # its last rows lie beside the inputs
        return new.tolerance_ns is not None or old.carry != new.carry
    return new.tolerance_ns is None or new.tolerance_ns > old.tolerance_ns


def _hold_ns(rule: Rule) -> int:
    """How long a left row may wait for its match behind the frontier."""
    return 0 if rule.direction == "backward" else rule.tolerance_ns or 0
