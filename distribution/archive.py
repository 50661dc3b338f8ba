"""`python -m distribution.archive` (`make dist`): one file that installs Tidemark where there is no network.

It holds the wheels of this system with their hashes, an install script, the pages, units and manifests, a
bill of materials and all licences.
"""

import argparse
import hashlib
import json
import platform
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from distribution.__main__ import ROOT
from distribution.bill import bill_of
from distribution.licences import LicenceError, require_allowed
from distribution.needs import NeedsError, closure, pinned
from distribution.rewrite import NAME, installed
from distribution.wheels import Wheel, WheelError, read_wheel

GROUPS: Final = ("app", "ui", "calendar", "dbn")
EXTRAS: Final = "app,calendar,dbn"  # of the wheel: the same groups
BESIDE: Final = (
    "LICENSE",
    "README.md",
    "CHANGELOG.md",
    "tidemark.toml",
    "docs",
    "deploy",
    "gpu_sink/README.md",
)
INSTALLED: Final = (".md", ".service", ".yaml")  # name commands, which are called otherwise there
SCRIPTS: Final = "app/serve/static/uplot/files.json"  # other people's script in the page
_MODE_MASK: Final = 0o755


def main(arguments: list[str] | None = None) -> int:
    """Build the archive and print where it is; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m distribution.archive", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--out", type=Path, default=Path("build/dist"), help="folder of the archive")
    out: Path = parser.parse_args(arguments).out
    try:
        with TemporaryDirectory(prefix="tidemark-dist-") as folder:
            wheels = Path(folder) / "wheels"
            _run("-m", "distribution", "--out", str(wheels))
            (own,) = wheels.glob(f"{NAME}-*.whl")
            _download(wheels)
            archive = pack(own, [file for file in wheels.glob("*.whl") if file != own], out)
    except (LicenceError, NeedsError, WheelError) as refused:
        sys.stderr.write(f"error: {refused}\n")
        return 2
    except subprocess.CalledProcessError as failed:
        sys.stderr.write(failed.stdout + failed.stderr)
        return 1
    sys.stdout.write(f"{archive}\n")
    return 0


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, text=True, cwd=ROOT)


def _download(wheels: Path) -> None:
    """Fetch the wheels that the lock names, each checked against its hash there."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    names = closure([line for group in GROUPS for line in groups[group]])
    lock = pinned((ROOT / "requirements.lock").read_text(), names)
    needed = wheels / "needed.lock"
    needed.write_text("".join(lock[name] for name in sorted(lock)))
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"]
    _run("-m", "pip", "download", *options, "--require-hashes", "-r", str(needed), "-d", str(wheels))


def pack(own: Path, others: Sequence[Path], out: Path) -> Path:
    """Pack our wheel with those that it needs; returns the archive.

    Raises LicenceError and WheelError.
    """
    tidemark, needed = read_wheel(own), sorted(map(read_wheel, others), key=lambda wheel: wheel.name)
    scripts = _scripts()
    require_allowed(
        {wheel.name: wheel.licence for wheel in (tidemark, *needed)}
        | {name: text for name, _, text in scripts}
    )
    name = f"{NAME}-{tidemark.version}-{_system()}"
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="tidemark-pack-") as scratch:
        folder = Path(scratch) / name
        _lay_out(folder, tidemark, needed, scripts)
        archive = out / f"{name}.tar.gz"
        with tarfile.open(archive, "w:gz", compresslevel=1) as tar:  # wheels are compressed already
            tar.add(folder, name, filter=_plain)
    archive.with_name(f"{archive.name}.sha256").write_text(f"{_sha256(archive)}  {archive.name}\n")
    return archive


def _lay_out(
    folder: Path, tidemark: Wheel, needed: Sequence[Wheel], scripts: Sequence[tuple[str, str, str]]
) -> None:
    """Write the folder that the archive holds."""
    (folder / "wheels").mkdir(parents=True)
    for wheel in (tidemark, *needed):
        shutil.copy2(wheel.file, folder / "wheels")
    (folder / "requirements.lock").write_text(locked(tidemark, needed))
    (folder / "python-version").write_text("{}.{}\n".format(*sys.version_info))
    (folder / "sbom.cdx.json").write_text(bill_of(tidemark, needed, scripts))
    shutil.copy2(ROOT / "distribution/install.sh", folder)
    for place in BESIDE:
        target = folder / place
        target.parent.mkdir(exist_ok=True)
        copy = shutil.copytree if (ROOT / place).is_dir() else shutil.copy2
        copy(ROOT / place, target)
    for text in (file for file in folder.rglob("*") if file.suffix in INSTALLED):
        text.write_text(installed(text.read_text()))
    write_licences(folder / "licences", [tidemark, *needed], scripts)
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    sums = "".join(f"{_sha256(file)}  {file.relative_to(folder)}\n" for file in files)
    (folder / "SHA256SUMS").write_text(sums)


def locked(tidemark: Wheel, needed: Sequence[Wheel]) -> str:
    """The requirements of an installation: each with the hash of the one wheel that is here."""
    lines = [f"{NAME}[{EXTRAS}]=={tidemark.version} --hash=sha256:{tidemark.sha256}"]
    lines += [f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}" for wheel in needed]
    return "".join(f"{line}\n" for line in lines)


def write_licences(folder: Path, wheels: Sequence[Wheel], scripts: Sequence[tuple[str, str, str]]) -> None:
    """Write the list of licences, and beside it each text that a wheel carries."""
    folder.mkdir(parents=True)
    rows = []
    for wheel in wheels:
        texts = []
        for name, text in sorted(wheel.texts.items()):
            place = folder / wheel.name / Path(name).as_posix().replace("/", "-")
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(text)
            texts.append(f"[{place.name}]({place.relative_to(folder)})")
        listed = ", ".join(texts) or "none in the wheel"
        rows.append(f"| {wheel.name} | {wheel.version} | {wheel.licence} | {listed} |")
    rows += [
        f"| {name} (in the page) | {version} | {licence} | within {NAME} |"
        for name, version, licence in scripts
    ]
    head = ["# Licences", "", "As each wheel states it, in SPDX's words.", ""]
    head += ["| package | version | licence | texts |", "|---|---|---|---|"]
    (folder / "README.md").write_text("\n".join([*head, *rows]) + "\n")


def _scripts() -> list[tuple[str, str, str]]:
    """What of other people's the page brings along: npm name, version, licence."""
    name, version = json.loads((ROOT / SCRIPTS).read_text())["package"].split()
    text = (ROOT / SCRIPTS).with_name("LICENSE").read_text()
    assert text.startswith("The MIT License"), f"{SCRIPTS}: another licence than it was"
    return [(name, version, "MIT")]


def _system() -> str:
    """What the wheels are for: interpreter, system and processor."""
    major, minor = sys.version_info[:2]
    return f"cp{major}{minor}-{sysconfig.get_platform().partition('-')[0]}-{platform.machine()}"


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """An entry without the owner and the time of whoever packs."""
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    entry.mode = (entry.mode | 0o644) & _MODE_MASK
    return entry


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(main())
