"""What all labels share: rows enter the chain of their symbol, and events leave it as they are decided.

Of each symbol the rows from its oldest undecided event on are in one chain, `HEAD` first.  Those of them that
may be the one known last, from some row on to the newest, are in a second one: their `known_ns` falls.
"""

from numba import njit

from operators.labels import places as at
from operators.labels.places import Real, Whole


@njit(nogil=True, cache=True)
def enter(whole: Whole, real: Real, symbols: Whole, origin: int, row: int) -> None:
    """Put a row at the end of its symbol's chain, as an event without a decision."""
    i = row - origin
    g = whole[at.GROUP, i]
    newest = symbols[at.NEWEST, g]
    if newest >= origin:
        whole[at.FOLLOWING, newest - origin] = row
    whole[at.FOLLOWING, i] = -1
    whole[at.NUMBER, i] = symbols[at.COUNT, g]
    whole[at.DECIDED, i] = 0
    symbols[at.COUNT, g] += 1
    symbols[at.NEWEST, g] = row
    if real[at.PRICE, i] == real[at.PRICE, i]:
        symbols[at.PRICED, g] = row
    symbols[at.PENDING, g] += 1
    if symbols[at.HEAD, g] < 0:
        symbols[at.HEAD, g] = row
    last = symbols[at.LAST_KNOWN, g]
    while last >= 0 and whole[at.KNOWN, last - origin] <= whole[at.KNOWN, i]:
        last = whole[at.OLDER, last - origin]
    whole[at.OLDER, i], whole[at.NEWER, i] = last, -1
    if last >= 0:
        whole[at.NEWER, last - origin] = row
    else:
        symbols[at.FIRST_KNOWN, g] = row
    symbols[at.LAST_KNOWN, g] = row


@njit(nogil=True, cache=True)
def decide(whole: Whole, symbols: Whole, origin: int, row: int, reason: int) -> None:
    """An event is decided: with a reason it has no label."""
    i = row - origin
    g = whole[at.GROUP, i]
    whole[at.DECIDED, i], whole[at.REASON, i] = 1, reason
    symbols[at.PENDING, g] -= 1
    if symbols[at.HEAD, g] != row:
        return
    head = row
    while head >= 0 and whole[at.DECIDED, head - origin] != 0:
        head = whole[at.FOLLOWING, head - origin]
    symbols[at.HEAD, g] = head
    first = symbols[at.FIRST_KNOWN, g]
    while first >= 0 and (head < 0 or first < head):
        first = whole[at.NEWER, first - origin]
    symbols[at.FIRST_KNOWN, g] = first
    if first < 0:
        symbols[at.LAST_KNOWN, g] = -1
    else:
        whole[at.OLDER, first - origin] = -1


@njit(nogil=True, cache=True)
def label(whole: Whole, origin: int, row: int, value: int, barrier: int, end_ns: int, known_ns: int) -> None:
    """Write down what came of an event; what is decided by time is not known before that time."""
    i = row - origin
    whole[at.LABEL, i], whole[at.BARRIER, i] = value, barrier
    whole[at.LABEL_END, i] = whole[at.INFO_END, i] = end_ns
    whole[at.LABEL_KNOWN, i] = max(known_ns, end_ns) if barrier == at.BY_TIME else known_ns


@njit(nogil=True, cache=True)
def known_since(whole: Whole, symbols: Whole, origin: int, row: int) -> int:
    """The latest `known_ns` of the rows of a symbol from an undecided event on."""
    latest = symbols[at.FIRST_KNOWN, whole[at.GROUP, row - origin]]
    while latest < row:
        latest = whole[at.NEWER, latest - origin]
    return int(whole[at.KNOWN, latest - origin])


@njit(nogil=True, cache=True)
def count_decided(whole: Whole, origin: int, first: int, end: int) -> int:
    """How many events from `first` on are decided, up to the first that is not."""
    row = first
    while row < end and whole[at.DECIDED, row - origin] != 0:
        row += 1
    return row - first
