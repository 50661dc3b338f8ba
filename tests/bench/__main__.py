"""`python -m tests.bench [name ...]` runs the benches named, or all, and writes under build/bench/."""

import argparse
import importlib
import pkgutil
import sys
from pathlib import Path

import tests.bench

LONGER = ("user-latency",)


def benches() -> list[str]:
    """Return the names of the benches: the modules of this folder whose name is one word, and `LONGER`."""
    names = [module.name for module in pkgutil.iter_modules(tests.bench.__path__)]
    return sorted([name for name in names if "_" not in name] + list(LONGER))


def main() -> int:
    """Run the benches; exit 1 when one found a wrong result."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"one of {', '.join(benches())}; all if none"
    )
    parser.add_argument(
        "--quick", action="store_true", help="small inputs and few rounds, to see that it runs"
    )
    parser.add_argument("--out", type=Path, default=Path("build/bench"), help="the folder for the results")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(benches()))
    if unknown:
        parser.error(f"no bench {', '.join(unknown)}; there are {', '.join(benches())}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    right = True
    for name in arguments.names or benches():
        bench = importlib.import_module(f"tests.bench.{name.replace('-', '_')}")
        right &= bench.run(arguments.out, quick=arguments.quick)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
