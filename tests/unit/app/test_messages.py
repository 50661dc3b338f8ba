"""What mistakes are answered with, word for word: what was wrong, where, and what to do."""

from pathlib import Path

import pytest

from app.config import load_settings
from app.errors import UsageError
from app.wiring.topics import require_topics
from tests.stage.market import Market
from tests.stage.programs import App
from topics.bus import TopicSpec

DURATION = 'expected a duration such as "2s", "500ms", "250us" or whole nanoseconds'
PIPELINE_KEYS = (
    "prefix, left, right, clock, direction, allow_exact, tolerance_ns, carry, grace_ns, idle_after_ms, "
    "max_ahead_ns, max_ahead_of"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[pipeline]\ntolerence_ns = 5",
            f"unknown key pipeline.tolerence_ns (did you mean tolerance_ns?); [pipeline] has {PIPELINE_KEYS}",
        ),
        (
            "[pipeline]\ntolerence = '5s'",
            f"unknown key pipeline.tolerence (did you mean tolerance?); [pipeline] has {PIPELINE_KEYS}",
        ),
        (
            "[pipeline]\nbootstrap = 'k:9092'",
            f"unknown key pipeline.bootstrap; it belongs to [bus]; [pipeline] has {PIPELINE_KEYS}",
        ),
        (
            "[stream.quote]\ngrace_ns = 1",
            (
                "unknown key stream (did you mean streams?); the tables are pipeline, bus, worker, "
                "metrics, history, streams, outputs, graph, calendars"
            ),
        ),
        (
            "[pipeline]\ntolerance_ns = '2s'",
            (
                "pipeline.tolerance_ns = '2s': expected whole nanoseconds, such as 5_000_000_000, or "
                'tolerance = "2s"'
            ),
        ),
        (
            "[pipeline]\ntolerance_ns = 0.5",
            (
                "pipeline.tolerance_ns = 0.5: expected whole nanoseconds, such as 5_000_000_000, or "
                'tolerance = "5s"'
            ),
        ),
        (
            "[streams.quote]\nidle_after_ms = '2min'",
            (
                "streams.quote.idle_after_ms = '2min': expected whole milliseconds, such as 5_000, or "
                'idle_after = "2min"'
            ),
        ),
        (
            "[pipeline]\ngrace_ns = -5",
            'pipeline.grace_ns = -5: expected 0 or more nanoseconds, such as 5_000_000_000, or grace = "5s"',
        ),
        (
            "[worker]\nbuffer_size_max = '64MB'",
            "worker.buffer_size_max = '64MB': expected whole bytes, such as 67_108_864",
        ),
        ("[bus]\npartitions = 0", "bus.partitions = 0: expected 1 or more"),
        ("[bus]\npartitions = 20_000", "bus.partitions = 20000: expected at most 10000"),
        ("[bus]\npartitions = 'four'", "bus.partitions = 'four': expected a whole number"),
        ("[pipeline]\nallow_exact = 'maybe'", "pipeline.allow_exact = 'maybe': expected true or false"),
        ("[pipeline]\nright = 'quote'", "pipeline.right = 'quote': expected a list, such as [\"name\"]"),
        (
            "[pipeline]\ndirection = 'backwards'",
            (
                'pipeline.direction = \'backwards\': expected "backward", "forward" or "nearest" '
                "(did you mean backward?)"
            ),
        ),
        (
            "[streams.quotes]\ngrace_ns = 1",
            (
                "streams.quotes is neither left nor right of the pipeline (did you mean quote?); left is "
                "trade, right is quote: rename the table, say so in pipeline.left or pipeline.right, or let "
                "a node of the graph read it"
            ),
        ),
        (
            "[graph.tick]\nfeatures = {}",
            "graph.tick.from is missing: it has no default",
        ),
        ("[pipeline]\ntolerance = '2x'", f"pipeline.tolerance = '2x': {DURATION}"),
    ],
)
def test_a_mistake_in_a_file_is_told(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "my.toml").write_text(text)
    with pytest.raises(UsageError) as told:
        load_settings(tmp_path / "my.toml")
    assert str(told.value) == f"{tmp_path}/my.toml: {message}"


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        (
            "TIDEMARK_PIPELINE__TOLERENCE_NS",
            "5",
            (
                "environment: TIDEMARK_PIPELINE__TOLERENCE_NS names no setting (did you mean "
                "TIDEMARK_PIPELINE__TOLERANCE_NS?); tidemark.toml has all of them"
            ),
        ),
        (
            "TIDEMARK_PIPELINE__GRACE_NS",
            "-5",
            (
                "environment (TIDEMARK_PIPELINE__GRACE_NS): pipeline.grace_ns = '-5': expected 0 or more "
                'nanoseconds, such as 5_000_000_000, or grace = "5s"'
            ),
        ),
        (
            "TIDEMARK_PIPELINE__CLOCK",
            "evnt",
            (
                "environment (TIDEMARK_PIPELINE__CLOCK): pipeline.clock = 'evnt': expected \"event\" or "
                '"known" (did you mean event?)'
            ),
        ),
    ],
)
def test_a_mistake_in_the_environment_is_told(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError) as told:
        load_settings(None)
    assert str(told.value) == message


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("--bus embeded", '--bus \'embeded\': expected "kafka" or "embedded" (did you mean embedded?)'),
        ("--tolerance 2x", f"--tolerance '2x': {DURATION}"),
        (
            "--tolerance 2s --tolerance-ns 2",
            "--tolerance and --tolerance-ns are both given: they are one setting, leave one of them out",
        ),
        (
            "--tolerance-ns 2s",
            "--tolerance-ns '2s': expected whole nanoseconds, such as 5_000_000_000, or --tolerance 2s",
        ),
        (
            "--grace-ns -5",
            "--grace-ns '-5': expected 0 or more nanoseconds, such as 5_000_000_000, or --grace 5s",
        ),
        ("--tolerence 2s", "No such option: --tolerence (did you mean --tolerance?)"),
        ("--partitions four", "--partitions 'four': expected a whole number from 1 to 1000"),
        ("--partitions 0", "--partitions '0': expected a whole number from 1 to 1000"),
    ],
)
def test_a_mistake_in_what_was_typed_is_told(run_app: App, typed: str, message: str) -> None:
    answer = run_app("replay", "--date", "2024-01-15", *typed.split())
    assert (answer.code, answer.error) == (2, f"error: {message}")


def test_an_unknown_command_is_answered_with_the_nearest(run_app: App) -> None:
    assert run_app("topics", "aply").error == "error: No such command 'aply'. Did you mean 'apply'?"


def test_a_group_of_commands_alone_shows_its_help_and_no_empty_error(run_app: App) -> None:
    answer = run_app("topics")
    assert (answer.code, answer.err) == (2, "")
    assert "repartition" in answer.out


def test_a_topic_that_is_not_there_is_told_with_the_nearest_and_the_command_that_makes_it(
    tmp_path: Path,
) -> None:
    market = Market(tmp_path)
    admin = market.bus.admin()
    admin.delete(["tidemark.quote", "tidemark.late"])
    admin.create([TopicSpec(name="md.quotes.v1", partitions=1, configs={})])
    with pytest.raises(UsageError) as told:
        require_topics(market.bus, market.settings)
    assert str(told.value) == (
        "tidemark.quote, tidemark.late do not exist; tidemark.quote may be md.quotes.v1: name it in "
        "streams.quote.topic; what is missing is created by `python -m app topics apply`; see `python -m app "
        "topics plan`"
    )
    file = tmp_path / "my own.toml"
    file.touch()
    with pytest.raises(UsageError) as told:
        require_topics(market.bus, market.settings.model_copy().read_from(file))
    assert str(told.value).endswith(
        f"`python -m app topics apply -c '{file}'`; see `python -m app topics plan -c '{file}'`"
    )


def test_a_worker_that_cannot_keep_its_state_ends_before_it_asks_the_broker(
    run_app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state").write_text("a file")
    monkeypatch.setenv("TIDEMARK_WORKER__STATE", str(tmp_path / "state"))
    answer = run_app("align", "--bootstrap", "127.0.0.1:1")
    assert (answer.code, answer.error) == (
        2,
        (
            f"error: worker.state = '{tmp_path}/state': File exists; give the worker's user the right to "
            "write there, or set worker.state to another folder"
        ),
    )
