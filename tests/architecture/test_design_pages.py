"""The sentences of the design that no line of code shows: each has tests, named here.

`interfaces.md` gives the meanings of a policy, `architecture.md` the walk of one decision. Where a
page gains or renames one, or a test that proves one goes, this fails. The pages lie beside the
repository; what they show as code is run in `tests/acceptance/test_interfaces_*.py`.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.needs("shared")

ROOT = Path(__file__).resolve().parents[2]
DESIGN = ROOT.parent / "shared" / "design"

PROMISES = "acceptance/test_promises.py"
WALK_TESTS = "unit/flow/test_walk.py"
DEADLINES = "unit/review/test_deadlines.py"
POLICY = "unit/gate/test_policy.py"

MEANINGS: dict[str, tuple[str, ...]] = {
    "Modes": (
        "unit/flow/test_modes.py::test_workflows_of_every_mode_live_side_by_side",
        "unit/flow/test_modes.py::test_in_command_nothing_happens_without_a_person",
        "unit/flow/test_modes.py::test_approval_comes_before_the_effect_or_the_look_after_it",
        f"{PROMISES}::test_what_is_refused_tells_why_and_never_runs",
        "unit/flow/test_reverse.py::test_what_has_run_is_undone_by_the_program_after_people_say_so",
    ),
    "Combination": (
        f"{POLICY}::test_the_strictest_mode_wins_and_every_fired_rule_is_named",
        f"{POLICY}::test_rules_and_tiers_combine_to_the_strictest",
        f"{POLICY}::test_approvals_are_the_union_of_what_fired",
        f"{POLICY}::test_the_first_matching_line_of_the_route",
        f"{POLICY}::test_the_stop_button_turns_a_pass_into_a_hold",
    ),
    "Edit": (
        f"{PROMISES}::test_only_what_may_run_can_be_edited",
        f"{PROMISES}::test_an_edit_that_the_policy_refuses_leaves_the_review_as_it_was",
        f"{PROMISES}::test_an_edit_past_a_rule_of_the_campaign_policy_adds_whom_it_names",
        f"{PROMISES}::test_votes_fall_when_an_edit_makes_it_worse_and_stay_when_it_makes_it_better",
    ),
    "Cases": (
        f"{PROMISES}::test_a_case_merges_across_subjects_only_where_the_rule_says_so",
        f"{PROMISES}::test_two_subjects_with_equal_values_are_two_reviews",
        f"{PROMISES}::test_who_leaves_a_case_takes_only_their_own_value_along",
    ),
    "Missing and wrong": (
        "unit/server/test_api.py::test_hostile_bodies",
        "unit/flow/test_modes.py::test_a_model_that_fails_passes_nothing",
        f"{POLICY}::test_why_a_value_is_unknown",
        f"{POLICY}::test_on_unknown",
        f"{POLICY}::test_division_by_zero_names_the_divisor",
        "unit/flow/test_checks.py::test_where_the_check_is_not_installed_the_decision_is_held",
    ),
    "Versions": (
        f"{POLICY}::test_gate_digest_holds_what_decides_the_lane_and_version_the_text",
        "unit/flow/test_policy_life.py::test_a_change_waits_for_an_owner_who_did_not_propose_it",
        "unit/flow/test_policy_life.py::test_where_there_are_more_people_a_changed_file_is_a_draft",
    ),
    "Override": (
        f"{WALK_TESTS}::test_accept_modify_and_reject_differ_in_outcome_and_feedback",
        f"{WALK_TESTS}::test_a_rejection_or_edit_without_reason_code_is_refused",
    ),
}
"""What stands in bold under `### Meanings`, and the tests that hold it."""

WALK: dict[str, tuple[str, ...]] = {
    "submit": (
        "acceptance/test_conversion.py::test_every_kind_and_way_is_the_same_bytes",
        f"{WALK_TESTS}::test_a_repeat_gets_the_first_ruling_even_after_a_policy_change",
        f"{WALK_TESTS}::test_a_key_is_one_decision_for_a_month_and_longer",
    ),
    "gate": (
        "unit/flow/test_modes.py::test_what_would_go_over_the_days_limit_is_held_before_it_runs",
        "unit/bulk/test_columns.py",
    ),
    "hold or pass": (
        f"{PROMISES}::test_a_changed_threshold_changes_nothing_for_an_open_review",
        f"{PROMISES}::test_a_changed_list_changes_nothing_for_an_open_review",
        "faults/test_short.py::test_kills_break_no_promise",
    ),
    "assign and notify": (
        f"{WALK_TESTS}::test_silence_reminds_hands_on_and_blocks",
        "unit/flow/test_modes.py::test_who_is_asked_hears_of_it_before_the_start",
    ),
    "look": (
        "unit/flow/test_blind.py::test_no_command_tells_a_blind_seat",
        "browser/test_forms.py::test_the_card_has_its_parts_in_the_fixed_order",
        "browser/test_desk.py::test_the_next_card_is_there_at_once_and_nobody_was_seated_before",
    ),
    "decide": (
        f"{WALK_TESTS}::test_a_card_that_moved_is_not_decided",
        f"{WALK_TESTS}::test_a_lost_race_names_winner_verdict_and_time",
        "acceptance/test_competing.py",
    ),
    "release and run": (
        f"{PROMISES}::test_undo_within_its_time_and_by_who_closed_it",
        f"{PROMISES}::test_a_redeem_sent_twice_is_one_redeem_and_another_one_is_refused",
        f"{PROMISES}::test_a_run_that_was_not_confirmed_is_shown_and_never_repeated",
        f"{WALK_TESTS}::test_redeem_once_and_only_what_was_approved",
    ),
    "sweep": (
        f"{DEADLINES}::test_half_reminds_full_hands_on_once_then_silence_speaks",
        f"{DEADLINES}::test_silence_never_approves_what_is_irreversible_or_in_command",
        f"{PROMISES}::test_a_decision_that_is_of_no_use_any_more_expires",
    ),
    "learn and assure": (
        "unit/flow/test_policy_life.py::test_the_card_says_what_changes_and_what_comes_out_otherwise",
        "unit/flow/test_readiness.py::test_what_nobody_can_carry_any_more_is_not_activated",
    ),
}
"""The steps of the walk, and the tests that hold them. Of the last one only changes of policies and
lists are there; certificates, monitors and models come with later steps."""


def bold(page: str, heading: str) -> list[str]:
    """What begins a line of a list in bold, under a heading."""
    text = (DESIGN / page).read_text("utf-8")
    part = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.M | re.S)
    assert part, f"{page} has no heading {heading!r} any more"
    return [name.rstrip(".") for name in re.findall(r"^(?:-|\d+\.) \*\*(.+?)\*\*", part[1], re.M)]


@cache
def functions(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / "tests" / path).read_text("utf-8"))
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def test_every_meaning_of_the_page_has_its_tests() -> None:
    assert bold("interfaces.md", "Meanings") == list(MEANINGS)


def test_every_step_of_the_walk_has_its_tests() -> None:
    assert bold("architecture.md", "3. The walk of one decision") == list(WALK)


@pytest.mark.parametrize(
    "name",
    sorted({name for table in (MEANINGS, WALK) for names in table.values() for name in names}),
)
def test_the_named_test_is_there(name: str) -> None:
    path, _, test = name.partition("::")
    assert functions(path), f"{path} has no tests"
    assert not test or test in functions(path), f"{name} is gone; name what proves it now"
