"""`python -m tests.cases SCRIPT [HOST:PORT]` runs a script of `../shared/cases` and prints its checks."""

import runpy
import sys
from pathlib import Path

from tests.cases.modules import stand_in


def main(arguments: list[str]) -> None:
    """Run the script in this process, as if it had been started by itself; it ends the process."""
    script = Path(arguments[0]).resolve()
    stand_in()
    sys.argv = [str(script), *arguments[1:]]
    sys.path.insert(0, str(script.parent))
    runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    if len(sys.argv) not in {2, 3}:
        sys.exit(__doc__)
    main(sys.argv[1:])
