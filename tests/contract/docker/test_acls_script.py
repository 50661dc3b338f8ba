"""Laws of docker/kafka/acls.sh that hold without a broker: least rights, and one line for a mistake."""

import os
import re
import subprocess

import pytest

from tests.broker.secure_broker import ACLS, bindings, printed

ROLES = ("publisher", "worker", "model", "operator")


@pytest.mark.parametrize("role", ROLES)
def test_no_role_may_create_alter_or_delete_anything_or_touch_the_cluster(role: str) -> None:
    rights = [right for line in printed(role, "somebody", "desk") for right in bindings(line)]
    assert {right.principal for right in rights} == {"User:somebody"}
    assert {right.operation.name for right in rights} <= {"READ", "WRITE", "DESCRIBE", "DESCRIBE_CONFIGS"}
    ours = ("desk.", "desk", "desk-", "tidemark-gpu-sink")
    assert all(right.name.startswith(ours) for right in rights)


def test_only_the_worker_writes_what_it_seals() -> None:
    writers = {
        role
        for role in ROLES
        for line in printed(role, "somebody", "desk")
        for right in bindings(line)
        if right.name == "desk.aligned" and right.operation.name == "WRITE"
    }
    assert writers == {"worker"}


@pytest.mark.parametrize("arguments", [[], ["worker"], ["emperor", "somebody"], ["worker", "a; b"]])
def test_a_mistake_is_one_line_and_exit_2(arguments: list[str]) -> None:
    answer = subprocess.run([str(ACLS), *arguments], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout, answer.stderr.count("\n")) == (2, "", 1)


def test_a_worker_of_a_graph_writes_its_nodes_and_what_restarts_need_and_a_model_reads_the_nodes() -> None:
    environment = {**os.environ, "NODES": "tick bars"}
    plain, graph = (
        subprocess.run([str(ACLS), "worker", "w"], capture_output=True, text=True, check=True, env=env).stdout
        for env in (os.environ, environment)
    )
    added = set(re.findall(r"--topic (\S+)", graph)) - set(re.findall(r"--topic (\S+)", plain))
    assert added == {"tidemark.tick", "tidemark.bars", "tidemark.tasks", "tidemark.state"}
    model = subprocess.run(
        [str(ACLS), "model", "m"], capture_output=True, text=True, check=True, env=environment
    ).stdout
    assert set(re.findall(r"--topic (\S+)", model)) == {"tidemark.aligned", "tidemark.tick", "tidemark.bars"}


@pytest.mark.parametrize("role", ROLES)
def test_topics_with_names_of_their_own_have_the_rights_that_the_default_ones_would(role: str) -> None:
    own = {"trade": "other.trades", "aligned": "md.aligned.v1", "last_known": "md.last", "tick": "md.tick"}
    nodes = {**os.environ, "NODES": "tick"}
    named = nodes | {"TOPICS": " ".join(f"{name}={topic}" for name, topic in own.items())}
    plain, renamed = (
        subprocess.run([str(ACLS), role, "w"], capture_output=True, text=True, check=True, env=env).stdout
        for env in (nodes, named)
    )
    for name, topic in own.items():
        plain = re.sub(rf"--topic tidemark\.{name.replace('_', '-')}\b", f"--topic {topic}", plain)
    assert renamed == plain


def test_a_name_without_its_topic_is_one_line_and_exit_2() -> None:
    answer = subprocess.run(
        [str(ACLS), "worker", "w"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TOPICS": "late"},
    )
    assert (answer.returncode, answer.stdout, answer.stderr.count("\n")) == (2, "", 1)
