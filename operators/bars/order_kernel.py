"""The rows of a call in order of their symbols: the words of an open bar are fetched once for many rows."""

from operators.bars.compiled import kernel
from schemas.batch import Bools, Int32s, Int64s


@kernel
def by_symbol(group: Int32s, counts: Bools, held: Int64s, rows: Int32s, begins: Int64s) -> int:
    """Put the numbers of the rows that count in `rows`, symbol by symbol; returns how many symbols have any.

    Symbols come in the order of their first rows, and each one's rows in order: those of the n-th one lie in
    `rows` from `begins[n]` on, before `begins[n + 1]`.  There is room for one number a row, and for one more
    beginning.  `held` is 0 for every symbol, before and after.
    """
    symbols = 0
    for i in range(group.size):
        if counts[i]:
            if held[group[i]] == 0:
                begins[symbols] = group[i]
                symbols += 1
            held[group[i]] += 1
    place = 0
    for n in range(symbols):
        symbol = begins[n]
        begins[n] = place
        place += held[symbol]
        held[symbol] = begins[n]
    begins[symbols] = place
    for i in range(group.size):
        if counts[i]:
            rows[held[group[i]]] = i
            held[group[i]] += 1
    for n in range(symbols):
        held[group[rows[begins[n]]]] = 0
    return symbols
