"""What the stored lists of a policy hold, for commands that judge files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from handrail.cli.screen import counted
from handrail.cli.shell import POLICIES, Shell, is_workspace
from handrail.model.errors import BadInput, NotFound

if TYPE_CHECKING:
    from handrail.gate import Policy


def with_stored_lists(shell: Shell, policy: Policy) -> Policy:
    """The policy with what its stored lists hold now in the workspace.

    That is the chosen workspace, or else the one its file lies in. A list that was never filled is
    empty. Raises `BadInput` where there is no workspace: an empty list could let something pass.
    """
    if not policy.stored_lists:
        return policy
    from handrail.app.reading import read_store

    try:
        with read_store(_workspace(shell, policy)) as reading:
            return reading.filled(policy)
    except NotFound:
        return policy  # a workspace without a store: nothing was ever stored


def _workspace(shell: Shell, policy: Policy) -> Path:
    try:
        return shell.workspace
    except BadInput as error:
        folder = Path(policy.path).resolve().parent
        its_own = folder.name == POLICIES and is_workspace(folder.parent)
        if shell.chosen_workspace is None and its_own:
            return folder.parent
        raise BadInput(
            f"{policy.path} reads the stored list "
            f"{' and '.join(policy.stored_lists)}, which a workspace keeps; {error.message}"
        ) from error


def lists_of(policy: Policy) -> list[dict[str, Any]]:
    """The stored lists a policy is filled with: `list`, `version`, `entries` (how many)."""
    return [
        {"list": name, "version": policy.list_versions[name], "entries": len(policy.lists[name])}
        for name in policy.stored_lists
    ]


def list_words(one: dict[str, Any]) -> str:
    """`stored list sources: 3 values (version 2)`."""
    return (
        f"stored list {one['list']}: {counted(one['entries'], 'value')} (version {one['version']})"
    )
