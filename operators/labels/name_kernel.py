"""Names written one after another, as Arrow has a column of strings."""

import numpy as np
import numpy.typing as npt
from numba import njit


@njit(nogil=True, cache=True)
def write_names(
    codes: npt.NDArray[np.int8],
    letters: npt.NDArray[np.uint8],
    sizes: npt.NDArray[np.int32],
    offsets: npt.NDArray[np.int32],
    data: npt.NDArray[np.uint8],
) -> int:
    """Write the names of numbers, of which `letters` has a line each; returns how many bytes they have.

    `offsets` has room for one more than numbers, `data` for the widest name for each.
    """
    end = 0
    offsets[0] = 0
    for i in range(codes.size):
        code = codes[i]
        for k in range(letters.shape[1]):  # what is behind the name's end is written over by the next one
            data[end + k] = letters[code, k]
        end += sizes[code]
        offsets[i + 1] = end
    return end
