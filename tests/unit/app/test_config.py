from pathlib import Path

import pytest

from app.config import Settings, load_settings
from app.errors import UsageError
from app.wiring.pipeline import topic_specs

REFERENCE = Path(__file__).parents[3] / "tidemark.toml"


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "tidemark.toml"
    file.write_text(text)
    return file


def test_the_reference_file_shows_the_defaults() -> None:
    shown = load_settings(REFERENCE)
    default = Settings()
    for section in ("pipeline", "bus", "worker", "metrics"):
        assert getattr(shown, section) == getattr(default, section)
    assert all(shown.stream(name) == default.stream(name) for name in shown.stream_names)


def test_the_reference_file_names_every_key() -> None:
    text = REFERENCE.read_text()
    for section in ("pipeline", "bus", "worker", "metrics"):
        table = Settings.model_fields[section].annotation
        assert table is not None
        for key in table.model_fields:
            assert f"\n{key} " in text or f"\n# {key} " in text, f"{section}.{key}"


def test_a_flag_wins_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, "[pipeline]\ngrace_ns = 1\ntolerance_ns = 1\nprefix = 'file'")
    monkeypatch.setenv("TIDEMARK_PIPELINE__GRACE_NS", "2")
    monkeypatch.setenv("TIDEMARK_PIPELINE__TOLERANCE_NS", "2")
    settings = load_settings(file, {"pipeline": {"grace_ns": 3, "carry": None}}).pipeline
    assert (settings.prefix, settings.tolerance_ns, settings.grace_ns, settings.carry) == (
        "file",
        2,
        3,
        "row",
    )


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[pipeline]\ntolerance_ns = -5", "pipeline.tolerance_ns = -5"),
        ("[pipeline]\ntolerence_ns = 5", "unknown key pipeline.tolerence_ns"),
        ("[pipelines]\nleft = 'a'", "unknown key pipelines"),
        ("[pipeline]\nright = ['trade']", "must be different streams"),
        ("[pipeline]\ndirection = 'forward'", "needs pipeline.tolerance_ns"),
        ("[pipeline]\nclock = 'wall'", "pipeline.clock = 'wall'"),
        ("[streams.bar]\ngrace_ns = 1", "streams.bar is neither left nor right"),
        ("[worker]\ncommit_interval_ms = 0", "worker.commit_interval_ms = 0"),
        ("[worker]\nguarantee = 'at_most_once'", "worker.guarantee = 'at_most_once'"),
        (
            "[worker]\nfailpoint = 'lunch'",
            "worker.failpoint = 'lunch': the failpoints are sealed, commit-begin",
        ),
        ("[bus]\ngroup_protocol = 'raft'", "bus.group_protocol = 'raft'"),
        (
            "[streams.trade]\nevent_time = { feild = 't' }",
            "unknown key streams.trade.event_time.feild (did you mean field?); event_time has field, form",
        ),
        ("[streams.trade.rules]\npositve = ['p']", "rules has not_null, finite, positive"),
        ("[streams.trade.fields]\np = { typ = 'double' }", "fields.p has type, path"),
        ("[streams.quote]\nformat = 'json'", 'streams.quote: format = "json" needs fields'),
        ("left =", "not valid TOML"),
        ("left = " + "[" * 3_000, "not valid TOML"),
        ("[pipeline]\nprefix = '..'", "pipeline.prefix = '..': string should match"),
        ("[pipeline]\rprefix = 'a'\n", "not valid TOML"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_file_and_the_key(tmp_path: Path, text: str, named: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(UsageError) as told:
        load_settings(file)
    assert named in str(told.value)
    assert str(file) in str(told.value)
    assert "\n" not in str(told.value).strip()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent\.toml: cannot read"):
        load_settings(tmp_path / "absent.toml")


def test_a_misspelt_environment_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_PIPELINE__GRACE_N", "2")
    with pytest.raises(
        UsageError,
        match=r"TIDEMARK_PIPELINE__GRACE_N names no setting \(did you mean TIDEMARK_PIPELINE__GRACE_NS\?\)",
    ):
        load_settings(None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "graph.ancor = 1",
            "unknown key graph.ancor (did you mean anchor?); [graph] has name, anchor, and a table for each",
        ),
        (
            "graph.tick.kid = 1",
            "unknown key graph.tick.kid (did you mean kind?); [graph.NAME] has kind, from, features, out",
        ),
        (
            "graph.tick.out.tpic = 1",
            "unknown key graph.tick.out.tpic (did you mean topic?); [graph.NAME.out] has topic, columns",
        ),
    ],
)
def test_an_unknown_key_of_a_graph_is_named_as_it_is_written(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "my.toml"
    file.write_text(f'graph.tick.from = "aligned"\ngraph.tick.features = {{}}\n{text}\n')
    with pytest.raises(UsageError) as refused:
        load_settings(file)
    assert message in str(refused.value)


OUTPUTS = """
[outputs]
aligned = "md.aligned.v1"
last_known = "md.last"
tick = "md.tick"
[graph.tick]
from = "aligned"
features = { x = "1.0" }
out = {}
"""


UNSET = "streams.trade.topic (unset: tidemark.trade)"


def test_outputs_have_the_names_that_are_chosen_and_the_others_the_prefix(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, OUTPUTS))
    names = (*settings.stream_names, *settings.output_names)
    assert {name: settings.topic(name) for name in names} == {
        "trade": "tidemark.trade",
        "quote": "tidemark.quote",
        "aligned": "md.aligned.v1",
        "late": "tidemark.late",
        "dead": "tidemark.dead",
        "tick": "md.tick",
        "last-known": "md.last",
        "tasks": "tidemark.tasks",
    }
    assert {spec.name for spec in topic_specs(settings)} == {settings.topic(name) for name in names}


def test_an_output_is_named_by_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_OUTPUTS__LATE", "md.late")
    assert load_settings(None).topic("late") == "md.late"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[outputs]\nlate = 'md.x'\ndead = 'md.x'",
            'outputs.late = "md.x" and outputs.dead = "md.x" are one topic',
        ),
        (
            "[outputs]\naligned = 'md.x'\n[streams.quote]\ntopic = 'md.x'",
            'streams.quote.topic = "md.x" and outputs.aligned = "md.x" are one topic',
        ),
        (
            "[outputs]\naligned = 'tidemark.trade'",
            UNSET + ' and outputs.aligned = "tidemark.trade" are one topic',
        ),
        (
            "[streams.trade]\ntopic = 'md.x'\n[streams.quote]\ntopic = 'md.x'",
            'streams.trade.topic = "md.x" and streams.quote.topic = "md.x" are one topic',
        ),
        (
            OUTPUTS.replace("out = {}", "out = { topic = 'md.tock' }"),
            "outputs.tick and graph.tick.out.topic are both given: one of them is enough",
        ),
        (
            OUTPUTS.replace("aligned = ", "align = "),
            "outputs.align is no output (did you mean aligned?); the outputs are aligned, late, dead",
        ),
        ("[outputs]\nlate = 'md late'", "outputs.late = 'md late'"),
        ("[pipeline]\nright = ['late']", "late cannot be a stream: late is an output of the pipeline"),
    ],
)
def test_a_name_that_will_not_do_is_refused_with_its_keys(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        load_settings(written(tmp_path, text))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
