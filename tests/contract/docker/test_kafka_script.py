"""Laws of `make kafka` that hold without a broker: what is missing is one clear line and exit 2."""

from pathlib import Path

from tests.stage.kafka_process import kafka_script


def test_a_missing_java_is_one_line_and_exit_2(tmp_path: Path) -> None:
    answer = kafka_script("start", KAFKA_DIR=str(tmp_path / "kafka"), JAVA_HOME=str(tmp_path / "no-java"))
    assert answer.returncode == 2
    assert len(answer.stderr.splitlines()) == 1
    assert "install Java 17 or newer" in answer.stderr
    assert not (tmp_path / "kafka").exists()


def test_an_old_java_is_one_line_with_its_version_and_exit_2(tmp_path: Path) -> None:
    java = tmp_path / "bin/java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    answer = kafka_script("start", KAFKA_DIR=str(tmp_path / "kafka"), JAVA_HOME=str(tmp_path))
    assert answer.returncode == 2
    assert len(answer.stderr.splitlines()) == 1
    assert "needs Java 17 or newer, found 11" in answer.stderr


def test_a_fetch_ahead_leaves_it_to_the_start_to_say_that_java_is_missing(tmp_path: Path) -> None:
    answer = kafka_script("fetch", KAFKA_DIR=str(tmp_path / "kafka"), JAVA_HOME=str(tmp_path / "no-java"))
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")
    assert not (tmp_path / "kafka").exists()


def test_an_unknown_word_is_answered_with_those_it_knows() -> None:
    answer = kafka_script("restart")
    assert answer.returncode == 2
    assert "start, fetch, stop, status, address" in answer.stderr
