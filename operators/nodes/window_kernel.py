"""What is made of the sums and counts of a window, row by row."""

from numba import njit

from operators.nodes.row_kernel import OK, WARMING, Grid


@njit(nogil=True, cache=True)
def enough(
    values: Grid, ints: Grid, status: Grid, x: int, count: int, least: int, out: int, rows: int
) -> None:
    """x where its window has at least so many values, else null: it is warming up, or has too many nulls."""
    for i in range(rows):
        values[out, i] = values[x, i]
        null = status[x, i] | status[count, i]
        status[out, i] = null if null != OK or ints[count, i] >= ints[least, i] else WARMING
