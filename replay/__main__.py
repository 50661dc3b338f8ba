"""`python -m replay`: history in, history made, history shown, history published."""

import gc
import sys

from schemas.without_pandas import hide_pandas

if __name__ == "__main__":
    hide_pandas()
    gc.disable()  # there is no garbage yet, and to look for it takes a quarter of the time
    from replay.cli import main

    gc.enable()
    sys.exit(main(sys.argv[1:]))
