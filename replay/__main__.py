"""`python -m replay`: history in, history made, history shown, history published."""

import sys

from replay.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
