"""A duration with its unit is the same setting as the whole number under the key in one unit."""

from pathlib import Path

import pytest
import tomli_w

from app.config import Settings, load_settings
from app.errors import UsageError
from app.settings.durations import duration_keys
from app.settings.pipeline import PipelineSettings
from app.settings.streams import StreamSettings
from app.settings.worker import WorkerSettings


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "my.toml"
    file.write_text(text)
    return file


def test_each_key_in_one_unit_has_one_for_durations_beside_it() -> None:
    assert duration_keys(PipelineSettings) == {
        "tolerance": "tolerance_ns",
        "grace": "grace_ns",
        "idle_after": "idle_after_ms",
        "max_ahead": "max_ahead_ns",
    }
    assert duration_keys(WorkerSettings) == {
        "commit_interval": "commit_interval_ms",
        "poll_wait_max": "poll_wait_ms_max",
        "checkpoint_interval": "checkpoint_interval_ms",
        "last_known_interval": "last_known_interval_ms",
        "state_interval": "state_interval_ms",
        "keep_gone": "keep_gone_ms",
        "session_timeout": "session_timeout_ms",
    }
    for table in (PipelineSettings, WorkerSettings, StreamSettings):
        assert not set(duration_keys(table)) & set(table.model_fields)


def test_durations_of_a_file_are_whole_numbers_of_the_unit_of_their_setting(tmp_path: Path) -> None:
    text = '[pipeline]\ntolerance = "1.5s"\ngrace = 7\nidle_after = "5s"\n'
    text += '[worker]\npoll_wait_max = "20ms"\n[streams.quote]\ngrace = "250us"\nidle_after = "1min"\n'
    settings = load_settings(written(tmp_path, text))
    assert (settings.pipeline.tolerance_ns, settings.pipeline.grace_ns) == (1_500_000_000, 7)
    assert (settings.pipeline.idle_after_ms, settings.worker.poll_wait_ms_max) == (5_000, 20)
    assert (settings.grace_ns("quote"), settings.idle_after_ms("quote")) == (250_000, 60_000)


def test_a_variable_wins_over_either_key_of_the_file_and_a_flag_over_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, '[pipeline]\ntolerance_ns = 1\ngrace = "1s"\n[streams.quote]\ngrace = "1s"')
    monkeypatch.setenv("TIDEMARK_PIPELINE__TOLERANCE", "2s")
    monkeypatch.setenv("TIDEMARK_PIPELINE__GRACE_NS", "2")
    monkeypatch.setenv("TIDEMARK_STREAMS__QUOTE__GRACE", "2ns")
    settings = load_settings(file)
    assert (settings.pipeline.tolerance_ns, settings.pipeline.grace_ns) == (2_000_000_000, 2)
    assert settings.grace_ns("quote") == 2
    assert load_settings(file, {"pipeline": {"tolerance_ns": 3}}).pipeline.tolerance_ns == 3


def test_settings_that_are_kept_are_whole_numbers_and_read_back(tmp_path: Path) -> None:
    settings = load_settings(
        written(tmp_path, '[pipeline]\ntolerance = "2s"\n[worker]\ncommit_interval = "1s"')
    )
    kept = settings.model_dump(mode="json", exclude_none=True, include={"pipeline", "worker"})
    assert (kept["pipeline"]["tolerance_ns"], kept["worker"]["commit_interval_ms"]) == (2_000_000_000, 1_000)
    assert "tolerance" not in kept["pipeline"]
    assert load_settings(written(tmp_path, tomli_w.dumps(kept))).pipeline == settings.pipeline


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "[pipeline]\ntolerance = '2x'",
            'pipeline.tolerance = \'2x\': expected a duration such as "2s", "500ms", "250us"',
        ),
        ("[pipeline]\ngrace = '-5ms'", "pipeline.grace = '-5ms': expected a duration of 0 or more, such as"),
        ("[pipeline]\ngrace = 0.5", "pipeline.grace = 0.5: expected a duration such as"),
        ("[streams.quote]\ngrace = '0.5ns'", "streams.quote.grace = '0.5ns': expected whole nanoseconds"),
        (
            "[pipeline]\ntolerance = '2s'\ntolerance_ns = 2_000_000_000",
            "pipeline.tolerance and pipeline.tolerance_ns are both given: they are one setting",
        ),
        (
            "[pipeline]\nidle_after = 5_000",
            'pipeline.idle_after = 5000: expected a unit, such as "5s" or "500ms"; idle_after_ms takes',
        ),
        ("[worker]\ncommit_interval = '1us'", "worker.commit_interval = '1us': expected whole milliseconds"),
        (
            "[worker]\ncommit_interval = '0s'",
            "worker.commit_interval_ms = 0: expected 1 or more milli",
        ),
        (
            "[pipeline]\ngrace_ns = 9_223_372_036_854_775_808",
            "pipeline.grace_ns = 9223372036854775808: expected at most 9223372036854775807 nanoseconds",
        ),
        (
            "[streams.quote]\ngrace_ns = 9_223_372_036_854_775_808",
            "streams.quote.grace_ns = 9223372036854775808: expected at most",
        ),
    ],
)
def test_a_duration_that_will_not_do_is_named_with_what_would(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UsageError) as refused:
        load_settings(written(tmp_path, text))
    assert str(refused.value).startswith(f"{tmp_path}/my.toml: {told}")


def test_a_duration_of_the_environment_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_PIPELINE__TOLERANCE", "2x")
    with pytest.raises(
        UsageError, match=r"^environment \(TIDEMARK_PIPELINE__TOLERANCE\): pipeline.tolerance = '2x'"
    ):
        load_settings(None)


def test_settings_made_in_python_have_the_keys_in_one_unit_alone() -> None:
    assert Settings(pipeline=PipelineSettings(tolerance_ns=1)).pipeline.tolerance_ns == 1
