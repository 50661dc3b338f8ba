"""Where a task goes on after a restart: a scene for each state there may be, and for rows kept elsewhere."""

from dataclasses import replace

from operators.inputs.progress import InputProgress, TaskProgress
from operators.inputs.resuming import needs_kept, plan_resume

TRADE = InputProgress(4, 9, 70, late=((5, 0),))
QUOTE = InputProgress(20, 30, 80, late=((21, 0), (25, 1)))
COMMITTED = TaskProgress(
    frontier_ns=70, inputs={"trade": TRADE, "quote": QUOTE}, through={"aligned": (60, 0, 3, 0)}
)
AT_THE_COMMIT = {"trade": 9, "quote": 30}


def test_without_state_reading_starts_where_rows_are_needed() -> None:
    plan = plan_resume(COMMITTED, None, {})
    assert plan.read_from == {"trade": 4, "quote": 20}
    assert plan.committed == COMMITTED


def test_on_state_of_the_commit_nothing_is_read_again() -> None:
    plan = plan_resume(COMMITTED, AT_THE_COMMIT, {})
    assert plan.read_from == AT_THE_COMMIT
    assert plan.committed == COMMITTED


def test_on_older_state_reading_starts_at_its_end_whatever_is_needed() -> None:
    older = {"trade": 2, "quote": 24}
    plan = plan_resume(COMMITTED, older, {})
    assert plan.read_from == older
    assert plan.committed == COMMITTED


def test_without_state_rows_that_are_kept_nowhere_else_are_read_from_their_offset() -> None:
    plan = plan_resume(COMMITTED, None, {"quote": 7})
    assert plan.read_from == {"trade": 4, "quote": 7}
    assert plan.committed.inputs == {
        "trade": TRADE,
        "quote": replace(QUOTE, needed_offset=7, late_from=20),
    }, "the commit names rows set aside only from the offset on that it needed"
    assert replace(plan.committed, inputs=COMMITTED.inputs) == COMMITTED


def test_what_is_recalled_moves_no_input_forward() -> None:
    for offset in (20, 25, 40):
        plan = plan_resume(COMMITTED, None, {"quote": offset})
        assert plan.read_from == {"trade": 4, "quote": 20}
        assert plan.committed == COMMITTED


def test_on_older_state_the_rows_read_again_are_needed_from_its_end_on() -> None:
    plan = plan_resume(COMMITTED, {"trade": 9, "quote": 15}, {"quote": 17})
    assert plan.read_from == {"trade": 9, "quote": 15}
    assert plan.committed.inputs["quote"] == replace(QUOTE, needed_offset=15, late_from=20)


def test_on_older_state_rows_that_lie_further_back_are_needed_though_reading_starts_behind_them() -> None:
    plan = plan_resume(COMMITTED, {"trade": 9, "quote": 15}, {"quote": 7})
    assert plan.read_from == {"trade": 9, "quote": 15}
    assert plan.committed.inputs["quote"].needed_offset == 7


def test_rows_the_commit_had_no_room_to_name_stay_unnamed_when_more_are_needed() -> None:
    crowded = replace(COMMITTED, inputs={"trade": TRADE, "quote": replace(QUOTE, late_from=25)})
    plan = plan_resume(crowded, None, {"quote": 7})
    assert plan.committed.inputs["quote"].late_from == 25


def test_the_commit_and_the_offsets_of_the_state_are_left_as_they_were() -> None:
    state, inputs = dict(AT_THE_COMMIT), dict(COMMITTED.inputs)
    plan_resume(COMMITTED, state, {"quote": 7})
    plan_resume(COMMITTED, None, {"quote": 7})
    assert (state, COMMITTED.inputs) == (AT_THE_COMMIT, inputs)


def test_without_state_kept_rows_are_recalled() -> None:
    assert needs_kept(COMMITTED, None)


def test_state_that_has_all_the_commit_needs_holds_the_kept_rows_itself() -> None:
    assert not needs_kept(COMMITTED, AT_THE_COMMIT)
    assert not needs_kept(COMMITTED, {"trade": 4, "quote": 20})


def test_state_from_before_what_any_input_needs_lacks_rows_that_are_kept() -> None:
    assert needs_kept(COMMITTED, {"trade": 3, "quote": 30})
    assert needs_kept(COMMITTED, {"trade": 9, "quote": 19})


def test_rows_set_aside_are_unnamed_where_reading_starts_before_the_named_ones() -> None:
    crowded = replace(COMMITTED, inputs={"trade": TRADE, "quote": replace(QUOTE, late_from=25)})
    assert plan_resume(crowded, None, {}).unnamed == ("quote",)
    assert plan_resume(crowded, {"trade": 9, "quote": 24}, {}).unnamed == ("quote",)
    assert plan_resume(crowded, {"trade": 9, "quote": 25}, {}).unnamed == ()
    assert plan_resume(COMMITTED, None, {}).unnamed == ()


def test_rows_needed_beyond_the_commit_may_have_been_set_aside_without_being_named() -> None:
    assert plan_resume(COMMITTED, None, {"quote": 7}).unnamed == ("quote",)


def test_rows_that_are_named_too_join_those_the_commit_names_in_order() -> None:
    plan = plan_resume(COMMITTED, None, {"quote": 7})
    named = plan.with_set_aside("quote", [(25, 1), (8, 2), (8, 0)])
    assert named.committed.inputs["quote"].late == ((8, 0), (8, 2), (21, 0), (25, 1))
    assert named.unnamed == ()
    assert named.committed.inputs["trade"] == TRADE
    assert (named.read_from, named.committed.through) == (plan.read_from, COMMITTED.through)


def test_rows_from_the_end_of_the_commit_on_will_be_judged_anew() -> None:
    named = plan_resume(COMMITTED, None, {}).with_set_aside("quote", [(29, 3), (30, 0), (31, 0)])
    assert named.committed.inputs["quote"].late == ((21, 0), (25, 1), (29, 3))


def test_where_not_all_could_be_named_it_is_still_known_from_where_on_all_are() -> None:
    plan = plan_resume(COMMITTED, None, {"quote": 7})
    named = plan.with_set_aside("quote", [(8, 0)], whole=False)
    assert named.committed.inputs["quote"].late == ((8, 0), (21, 0), (25, 1))
    assert named.committed.inputs["quote"].late_from == 20
    assert named.unnamed == ("quote",)
