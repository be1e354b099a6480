"""Policy files become active versions; broken ones change nothing."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from handrail.app import LOCAL, Workspace
from handrail.app.policies import LOOK_SECONDS, PolicyFolder
from handrail.errors import NotFound
from handrail.model.commands import ListPolicies, Preview, SetPerson
from handrail.ports import Transaction
from tests.workspace import REFUND

LISTED = (
    REFUND.replace(
        "rules:\n",
        """\
lists:
  known: {file: lists/known.csv}
rules:
  - {id: stranger, when: not (order in lists.known), because: "{order} is not known"}
""",
    )
    .replace("fires: [], lane: pass", "fires: [stranger], lane: hold")
    .replace("fires: [over-limit]", "fires: [over-limit, stranger]")
)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def policies(workspace: Workspace, clock: Clock) -> PolicyFolder:
    return PolicyFolder(workspace.paths.policies, workspace.ports, clock)


def active(workspace: Workspace) -> str | None:
    return workspace.store.read(lambda tx: tx.policies.active("refund"))


def entries(workspace: Workspace) -> int:
    def count(tx: Transaction) -> int:
        return tx.audit.size()

    return workspace.store.read(count)


def test_a_changed_file_becomes_active_once(
    workspace: Workspace, policies: PolicyFolder, clock: Clock
) -> None:
    policies.refresh()
    first, size = active(workspace), entries(workspace)
    assert first is not None
    path = workspace.paths.policies / "refund.yaml"
    path.write_text(REFUND.replace("amount > 100\n", "amount > 99\n").replace("100}", "99}"))
    policies.refresh()
    assert active(workspace) == first, "looked again too early"
    clock.now += LOOK_SECONDS
    policies.refresh()
    second = active(workspace)
    assert second != first
    policies.refresh(now=True)
    PolicyFolder(workspace.paths.policies, workspace.ports, clock).refresh()
    assert entries(workspace) == size + 1


def test_a_broken_file_changes_nothing(
    workspace: Workspace, policies: PolicyFolder, caplog: pytest.LogCaptureFixture
) -> None:
    policies.refresh()
    first = active(workspace)
    path = workspace.paths.policies / "refund.yaml"
    path.write_text(REFUND.replace("when: amount > 100\n", "when: price > 100\n"))
    with caplog.at_level(logging.WARNING):
        policies.refresh(now=True)
    assert active(workspace) == first
    assert "policies/refund.yaml:" in str(policies.mistakes["policies/refund.yaml"])
    assert "stays in force" in caplog.text
    path.write_text(REFUND)
    policies.refresh(now=True)
    assert policies.mistakes == {}
    path.write_bytes(b"\xff\xfe")
    policies.refresh(now=True)
    assert "cannot be read" in str(policies.mistakes["policies/refund.yaml"])
    path.unlink()
    policies.refresh(now=True)
    assert active(workspace) == first


def test_a_list_file_is_part_of_the_version(workspace: Workspace, policies: PolicyFolder) -> None:
    place = workspace.paths.policies
    (place / "refund.yaml").write_text(LISTED)
    policies.refresh(now=True)
    assert "lists/known.csv" in str(policies.mistakes["policies/refund.yaml"])
    (place / "lists").mkdir()
    (place / "lists" / "known.csv").write_text("order\nb\n")
    policies.refresh(now=True)
    assert policies.mistakes == {}
    first = active(workspace)
    (place / "lists" / "known.csv").write_text("order\nb\nc\nd\n")
    policies.refresh(now=True)
    assert active(workspace) != first


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd"])
def test_a_list_outside_of_the_folder_is_not_read(
    workspace: Workspace, policies: PolicyFolder, name: str
) -> None:
    (workspace.paths.folder / "secret").write_text("x")
    workspace.policies.refresh(now=True)  # the scheduler looks too, whenever it starts
    before = active(workspace)
    path = workspace.paths.policies / "refund.yaml"
    path.write_text(LISTED.replace("lists/known.csv", name))
    policies.refresh(now=True)
    assert "policies/refund.yaml" in policies.mistakes
    assert active(workspace) == before


def test_who_submits_learns_why_a_policy_is_missing(folder: Path) -> None:
    path = folder / "policies" / "refund.yaml"
    path.write_text(REFUND.replace("when: amount > 100\n", "when: price > 100\n"))
    wrong = r"Not active because of mistakes:\npolicies/refund.yaml:"
    workspace = Workspace.own(folder)
    assert workspace is not None
    with workspace, pytest.raises(NotFound, match=wrong):
        workspace.service.call(Preview(workflow="refund"), LOCAL)


def test_where_there_are_more_people_a_changed_file_is_a_draft(workspace: Workspace) -> None:
    """What lies in the folder when the second person is registered rules by then."""
    for handle in ("ann", "bob"):
        person = SetPerson(handle=handle, holds=("team:ops",))
        workspace.service.call(person, LOCAL)
    first = active(workspace)
    assert first is not None
    path = workspace.paths.policies / "refund.yaml"
    path.write_text(REFUND.replace("amount > 100\n", "amount > 99\n").replace("100}", "99}"))
    [line] = workspace.service.call(ListPolicies(), LOCAL)
    assert (line.state, line.version, line.path) == ("draft", first, "policies/refund.yaml")
    assert active(workspace) == first
    path.write_text(REFUND.replace("workflow: refund", "workflow: policy-change"))
    lines = workspace.service.call(ListPolicies(), LOCAL)
    assert any("give this one another name" in mistake for line in lines for mistake in
               line.mistakes)  # fmt: skip


def test_only_policy_files_are_read(workspace: Workspace, policies: PolicyFolder) -> None:
    place: Path = workspace.paths.policies
    for name in (".refund.yaml.swp", ".hidden.yaml", "notes.txt", "refund.yaml~"):
        (place / name).write_text("not a policy")
    policies.refresh()
    assert policies.mistakes == {}
