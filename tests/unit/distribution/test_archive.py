"""The archive of `make dist`: what it holds, what it refuses, how it installs where there is no network."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from cyclonedx.validation.json import JsonStrictValidator

from distribution.archive import locked, pack
from distribution.bill import VERSION
from distribution.licences import LicenceError, expression_of, require_allowed
from distribution.needs import NeedsError, closure, pinned
from distribution.wheels import WheelError, read_wheel

PROGRAM = 'def main():\n    import small\n    print("tidemark 1.2", small.WORD)\n'
EXTRAS = "Provides-Extra: app\nProvides-Extra: calendar\nProvides-Extra: dbn\n"


def wheel(folder: Path, name: str, version: str, metadata: str, files: dict[str, str]) -> Path:
    """A wheel of these files, as small as wheels can be."""
    info = f"{name}-{version}.dist-info"
    head = f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\nSummary: {name} in short\n"
    tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    inside = {f"{info}/METADATA": head + metadata, f"{info}/WHEEL": tags}
    inside |= {file.replace("INFO", info): text for file, text in files.items()}
    record = "".join(f"{file},,\n" for file in [*inside, f"{info}/RECORD"])
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for file, text in {**inside, f"{info}/RECORD": record}.items():
            archive.writestr(file, text)
    return made


@pytest.fixture
def wheels(tmp_path: Path) -> tuple[Path, Path]:
    """A wheel `tidemark`, and the one that it needs."""
    metadata = f"License-Expression: Apache-2.0\nRequires-Dist: small>=1; extra == 'app'\n{EXTRAS}"
    entry = {"INFO/entry_points.txt": "[console_scripts]\ntidemark = tidemark:main\n"}
    small = {"small.py": 'WORD = "offline"\n', "INFO/licenses/LICENSE": "MIT: take it\n"}
    return (
        wheel(tmp_path / "made", "tidemark", "1.2", metadata, {"tidemark.py": PROGRAM, **entry}),
        wheel(tmp_path / "made", "small", "1.0", "License: MIT License\n", small),
    )


@pytest.fixture
def unpacked(wheels: tuple[Path, Path], tmp_path: Path) -> Path:
    """The folder of the archive, as it is unpacked elsewhere."""
    own, small = wheels
    archive = pack(own, [small], tmp_path / "out")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "there", filter="data")
    (folder,) = (tmp_path / "there").iterdir()
    assert archive.name == f"{folder.name}.tar.gz"
    return folder


def test_a_wheel_says_its_name_licence_and_texts(wheels: tuple[Path, Path]) -> None:
    own, small = map(read_wheel, wheels)
    assert (own.name, own.version, own.licence, own.texts) == ("tidemark", "1.2", "Apache-2.0", {})
    assert (small.licence, small.texts) == ("MIT", {"LICENSE": b"MIT: take it\n"})
    assert small.purl == "pkg:pypi/small@1.0"


@pytest.mark.parametrize(
    ("said", "licence"),
    [
        (("MIT OR Apache-2.0", "", []), "MIT OR Apache-2.0"),
        (("", "3-Clause BSD License", []), "BSD-3-Clause"),
        (("", "Copyright of somebody\nand more", ["License :: OSI Approved :: MIT License"]), "MIT"),
        (("", "", ["License :: OSI Approved :: BSD License", "Topic :: Office"]), "LicenseRef-BSD"),
        (("", "ask our lawyers", []), ""),
    ],
)
def test_a_licence_is_put_into_the_words_of_spdx(said: tuple[str, str, list[str]], licence: str) -> None:
    assert expression_of(*said) == licence


@pytest.mark.parametrize(
    "licence", ["GPL-3.0-only", "", "MIT AND GPL-2.0-only", "AND", "(MIT OR GPL-3.0-only)"]
)
def test_a_licence_that_nobody_has_read_is_refused_by_the_package_s_name(licence: str) -> None:
    with pytest.raises(LicenceError, match="the licence of odd is"):
        require_allowed({"fine": "MIT", "odd": licence})


def test_one_of_several_licences_is_enough() -> None:
    require_allowed(
        {"choice": "GPL-3.0-only OR MIT", "llvm": "BSD-2-Clause AND Apache-2.0 WITH LLVM-exception"}
    )


def test_the_archive_names_each_wheel_with_its_hash_and_licence(
    wheels: tuple[Path, Path], unpacked: Path
) -> None:
    own, small = map(read_wheel, wheels)
    assert (unpacked / "requirements.lock").read_text() == locked(own, [small])
    assert f"small==1.0 --hash=sha256:{small.sha256}" in locked(own, [small])
    table = (unpacked / "licences/README.md").read_text()
    assert "| small | 1.0 | MIT | [LICENSE](small/LICENSE) |" in table
    assert "| uplot (in the page) | 1.6.32 | MIT | within tidemark |" in table
    assert (
        "ExecStart=/opt/tidemark/.venv/bin/tidemark align"
        in (unpacked / "deploy/systemd/tidemark-worker@.service").read_text()
    ), "a unit starts what the wheel installs"
    assert (unpacked / "licences/small/LICENSE").read_text() == "MIT: take it\n"
    lines = [line.split("  ") for line in (unpacked / "SHA256SUMS").read_text().splitlines()]
    sums = {file: digest for digest, file in lines}
    files = {str(file.relative_to(unpacked)) for file in unpacked.rglob("*") if file.is_file()}
    assert sums.keys() == files - {"SHA256SUMS"}
    assert sums[f"wheels/{wheels[1].name}"] == small.sha256


def test_the_bill_of_materials_is_valid_and_says_what_needs_what(
    wheels: tuple[Path, Path], unpacked: Path
) -> None:
    text = (unpacked / "sbom.cdx.json").read_text()
    assert JsonStrictValidator(VERSION).validate_str(text) is None
    bill = json.loads(text)
    parts = {part["name"]: part for part in bill["components"]}
    assert parts.keys() == {"small", "uplot"}
    assert parts["small"]["hashes"] == [{"alg": "SHA-256", "content": read_wheel(wheels[1]).sha256}]
    assert parts["small"]["licenses"][0]["license"]["id"] == "MIT"
    needs = {entry["ref"]: entry.get("dependsOn", []) for entry in bill["dependencies"]}
    assert needs["pkg:pypi/tidemark@1.2"] == ["pkg:npm/uplot@1.6.32", "pkg:pypi/small@1.0"]


def test_a_file_that_is_no_wheel_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "small-1.0-py3-none-any.whl"
    broken.write_bytes(b"PK")
    with pytest.raises(WheelError, match=r"small-1.0-py3-none-any.whl: not a wheel"):
        read_wheel(broken)


def test_what_is_needed_is_followed_through_extras_and_markers() -> None:
    needs = {
        "app": ["Shell_Ing>=1", "colour; sys_platform == 'nowhere'", "tests; extra == 'dev'"],
        "shell-ing": ["app", "deep[fast]"],
        "deep": ["quick; extra == 'fast'", "slow; extra == 'lazy'"],
    }
    assert closure(["App", "old; python_version < '3'"], needs.get) == {"app", "shell-ing", "deep", "quick"}


def test_the_lock_gives_the_version_of_this_system_with_its_hashes() -> None:
    lock = (
        "one==1.0 ; python_full_version < '3' \\\n    --hash=sha256:aa\n"
        "one==2.0 ; python_full_version >= '3' \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc\n"
        "    # via two\n"
        "two==3 \\\n    --hash=sha256:dd\n"
    )
    found = pinned(lock, {"one"})
    assert found == {"one": lock.split("# via")[0].split("\n", 2)[2].rstrip() + "\n"}
    with pytest.raises(NeedsError, match="not in the lock: three: run make lock"):
        pinned(lock, {"two", "three"})


def install(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*_offline(), str(folder / "install.sh"), *arguments],
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHON": sys.executable, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def _offline() -> list[str]:
    """What has a command run without any network, where this user may ask for that."""
    alone = ["unshare", "--net", "--map-root-user"]
    may = (
        shutil.which("unshare")
        and not subprocess.run([*alone, "true"], capture_output=True, check=False).returncode
    )
    return alone if may else []


def test_the_script_refuses_what_it_cannot_do(unpacked: Path, tmp_path: Path) -> None:
    assert "say at most one folder" in install(unpacked, "one", "two").stderr
    assert "is there already: name another" in install(unpacked, str(tmp_path)).stderr
    (unpacked / "python-version").write_text("3.99\n")
    assert "these wheels are for 3.99: say PYTHON=" in install(unpacked).stderr


def test_a_file_that_was_changed_is_refused(unpacked: Path) -> None:
    (wheel,) = (unpacked / "wheels").glob("small-*")
    wheel.write_bytes(wheel.read_bytes() + b"\0")
    refused = install(unpacked)
    assert refused.returncode == 2
    assert refused.stderr.endswith("error: a file is not as it was packed: unpack the archive once more\n")
    assert not (unpacked / ".venv").exists()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_archive_installs_without_a_network_and_with_no_setting_of_pip(
    unpacked: Path, tmp_path: Path
) -> None:
    done = install(unpacked, str(tmp_path / "venv"), PIP_REQUIRE_VIRTUALENV="nonsense")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"tidemark 1.2 offline\ninstalled: {tmp_path}/venv/bin/tidemark\n"
