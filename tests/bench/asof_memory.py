"""`python -m tests.bench.asof_memory SCENARIO ENGINE` prints how many MB one join adds at its peak, as JSON.

The system's high-water mark is reset once the inputs are ready and a small join has warmed everything up.
"""

import json
import sys
from pathlib import Path

from tests.bench.asof_engines import ENGINES
from tests.bench.asof_scenarios import SCENARIOS, tables


def main(scenario_name: str, engine_name: str) -> None:
    """Print the figure, or null where the system does not tell."""
    scenario = next(scenario for scenario in SCENARIOS if scenario.name == scenario_name)
    engine = next(engine for engine in ENGINES if engine.name == engine_name)
    warm = engine.prepare(scenario, *tables(scenario, 0.01))
    join = engine.prepare(scenario, *tables(scenario, 1.0))
    assert warm is not None
    assert join is not None
    warm()
    try:
        Path("/proc/self/clear_refs").write_text("5")
        before = status_mb("VmRSS")
        result = join()
        print(json.dumps(status_mb("VmHWM") - before))
        del result
    except OSError:
        print(json.dumps(None))


def status_mb(name: str) -> float:
    """Return one line of the process's status in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line for line in lines if line.startswith(name)).split()[1]) / 1e3


if __name__ == "__main__":
    main(*sys.argv[1:])
