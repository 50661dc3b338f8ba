"""Laws of the files that run workers for months, as far as they can be checked without a cluster."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.config import load_settings

DEPLOY = Path(__file__).parents[3] / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
KUBERNETES = DEPLOY / "kubernetes"
EXPOSURE_MAX = "3.0"  # of `systemd-analyze security`, from 0 to 10: below 4.0 it says OK
PROGRAM = "/opt/tidemark/.venv/bin/python"


def setting(unit: Path, name: str) -> list[str]:
    """The values of a setting in a unit."""
    return re.findall(rf"^{name}=(.*)$", unit.read_text(), re.MULTILINE)


def manifests() -> list[dict[str, Any]]:
    """What `kubectl apply -k` would send."""
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl here: what it makes of the files was not checked")
    built = subprocess.run(
        ["kubectl", "kustomize", str(KUBERNETES)], check=True, capture_output=True, text=True
    )
    return [one for one in yaml.safe_load_all(built.stdout) if one]


def containers(kinds: set[str]) -> list[dict[str, Any]]:
    pods = [one["spec"]["template"]["spec"] for one in manifests() if one["kind"] in kinds]
    return [container for pod in pods for container in pod["containers"]]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_a_unit(unit: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here: the unit was not checked")
    copy = tmp_path / unit.name.replace("@", "@0")
    copy.write_text(unit.read_text().replace(PROGRAM, "/bin/true"))
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False
    )
    lines = [
        line
        for line in checked.stderr.splitlines()
        if unit.name.partition("@")[0].removesuffix(".service") in line
    ]
    assert lines == []


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_leaves_little_open(unit: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here: the unit was not checked")
    copy = tmp_path / unit.name.replace("@", "@0")
    copy.write_text(unit.read_text())
    threshold = str(round(float(EXPOSURE_MAX) * 10))
    checked = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={threshold}", str(copy)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout[-400:]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_starts_a_command_that_there_is(unit: Path, run_app: Any) -> None:
    (line,) = setting(unit, "ExecStart")
    program, dash, module, command, *flags = shlex.split(line)
    assert (program, dash, module) == (PROGRAM, "-m", "app")
    shown = run_app(command, "--help").out
    assert [flag for flag in flags if flag.startswith("--") and flag not in shown] == []


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_variables_of_a_unit_are_settings(unit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = [pair for line in setting(unit, "Environment") for pair in line.split()]
    ours = dict(pair.split("=", 1) for pair in variables if pair.startswith("TIDEMARK_"))
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    settings = load_settings(None)
    assert str(settings.worker.state) == ours["TIDEMARK_WORKER__STATE"]
    (folder,) = setting(unit, "StateDirectory")
    assert ours["TIDEMARK_WORKER__STATE"] == f"/var/lib/{folder}"


def test_each_manifest_is_one_that_kubernetes_takes() -> None:
    validate = pytest.importorskip("kubernetes_validate")
    for manifest in manifests():
        validate.validate(manifest, "1.32", strict=True)


def test_the_settings_of_pods_are_settings() -> None:
    settings = load_settings(KUBERNETES / "tidemark.toml")
    (worker,) = containers({"StatefulSet"})
    assert {port["containerPort"] for port in worker["ports"]} == {settings.metrics.port}
    mounts = {mount["mountPath"] for mount in worker["volumeMounts"]}
    assert str(settings.worker.state.parent) in mounts
    assert settings.metrics.token_file is not None
    assert str(settings.metrics.token_file.parent) in mounts
    assert not settings.metrics.by_slot


def test_a_pod_has_its_number_as_its_slot_and_more_time_than_a_restart_takes() -> None:
    (worker,) = containers({"StatefulSet"})
    (slot,) = [one for one in worker["env"] if one["name"] == "TIDEMARK_WORKER__SLOT"]
    assert slot["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.labels['apps.kubernetes.io/pod-index']"
    assert load_settings(KUBERNETES / "tidemark.toml").worker.session_timeout_ms >= 45_000


def test_no_container_is_root_or_writes_where_it_should_not() -> None:
    for container in containers({"StatefulSet", "Deployment"}):
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
    for manifest in manifests():
        if manifest["kind"] in ("StatefulSet", "Deployment"):
            assert manifest["spec"]["template"]["spec"]["securityContext"]["runAsNonRoot"] is True
