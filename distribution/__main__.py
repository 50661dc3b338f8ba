"""`python -m distribution`: the wheel `tidemark`, built from the folders of this repository.

The repository keeps its flat folders, which run from its root.  Installed so, `app` and `state` would collide
with other people's; so a copy of them below `tidemark/` is what is built.
"""

import argparse
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import tomli_w

from distribution.rewrite import NAME, rewritten

ROOT: Final = Path(__file__).resolve().parents[1]
ROOTS: Final = ("app", "operators", "topics", "state", "replay", "gpu_sink", "schemas")
DATA: Final = (".avsc", ".typed")  # what is installed beside sources
PAGE: Final = "app/serve/static"  # the files of the page, which are installed whole
SCRIPTS: Final = (
    "docker/kafka/kafka.sh",
    "docker/kafka/acls.sh",
    "docker/kafka/pom.xml",
)  # a broker on loopback


def main(arguments: list[str] | None = None) -> int:
    """Build the wheel and print where it is; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m distribution", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("build/wheel"), help="folder of the wheel")
    options = parser.parse_args(arguments)
    with TemporaryDirectory(prefix="tidemark-wheel-") as folder:
        lay_out(ROOT, Path(folder))
        build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(options.out)]
        done = subprocess.run([*build, folder], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
        return 1
    sys.stdout.write(f"{done.stdout.strip().splitlines()[-1]}\n")
    return 0


def lay_out(root: Path, target: Path) -> None:
    """Write all that the wheel is built from; raises RewriteError."""
    package = target / NAME
    for name in ROOTS:
        for file in sorted((root / name).rglob("*")):
            place = file.relative_to(root)
            if file.suffix == ".py":
                write(package / place, rewritten(file.read_text(), ROOTS, str(place)))
            elif file.suffix in DATA:
                write(package / place, file.read_text())
    facade = root / "distribution" / "facade.py"
    write(package / "__init__.py", rewritten(facade.read_text(), ROOTS, "distribution/facade.py"))
    write(package / "py.typed", "")
    shutil.copytree(root / PAGE, package / PAGE)
    for name in SCRIPTS:
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, package / name)  # with the right to run it
    shutil.copy2(root / "LICENSE", target)
    shutil.copy2(root / "README.md", target)
    settings = tomllib.loads((root / "pyproject.toml").read_text())
    packages = sorted(str(file.parent.relative_to(target)) for file in package.rglob("__init__.py"))
    write(target / "pyproject.toml", tomli_w.dumps(project(settings, packages)))


def project(settings: dict[str, Any], packages: list[str]) -> dict[str, Any]:
    """The `pyproject.toml` of the wheel, from that of the repository.

    The join of tables is what a notebook installs this for, so its compiler is no extra.
    """
    client, groups = settings["project"], settings["dependency-groups"]
    (compiler,) = (need for need in groups["app"] if need.startswith("numba"))
    return {
        "build-system": settings["build-system"],
        "project": {
            "name": NAME,
            "version": client["version"],
            "description": "As-of joins of market data streams, live from Kafka or on tables",
            "readme": "README.md",
            "requires-python": client["requires-python"],
            "license": client["license"],
            "dependencies": [*client["dependencies"], compiler],
            "optional-dependencies": {
                **client["optional-dependencies"],
                "app": [*groups["app"], *groups["ui"]],
                "calendar": groups["calendar"],
                "dbn": groups["dbn"],
            },
            "scripts": {NAME: f"{NAME}:main"},
        },
        "tool": {
            "setuptools": {
                "packages": [package.replace("/", ".") for package in packages],
                "package-data": {
                    NAME: ["py.typed", *SCRIPTS],
                    f"{NAME}.app.serve": ["static/**/*"],
                    f"{NAME}.gpu_sink": ["py.typed"],
                    f"{NAME}.schemas": ["*.avsc"],
                },
            }
        },
    }


def write(file: Path, text: str) -> None:
    """Write a file, and the folders above it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


if __name__ == "__main__":
    sys.exit(main())
