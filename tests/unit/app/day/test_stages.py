from app.day.stages import Stages


def test_a_stage_that_comes_again_adds_to_itself_and_all_are_within_what_it_took() -> None:
    stages = Stages()
    for name in ("rows", "audit", "rows"):
        with stages.stage(name):
            pass
    stages.add("rows", 2.0)
    assert list(stages.seconds) == ["rows", "audit"]
    assert 2.0 < stages.seconds["rows"] < 2.0 + stages.took
