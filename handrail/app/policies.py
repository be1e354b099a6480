"""The policies folder of a workspace: its files are drafts.

Where one person runs the workspace a changed file becomes the active version at once. Where there
are more it stays a draft, until it is proposed and approved.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from handrail.flow import Ports, take_file
from handrail.model.errors import BadInput, HandrailError
from handrail.model.feedback import PolicyVersion
from handrail.model.people import Actor
from handrail.model.versions import BUILT_IN, PolicyDraft
from handrail.packs.checks import CHECKS
from handrail.ports import Transaction

LOOK_SECONDS = 1.0
"""The folder is looked at most this often."""
WORKSPACE = Actor(name="workspace")

_log = logging.getLogger("handrail.policies")

Stamp = tuple[int, int]
"""Modification time (ns) and size of a file."""


class PolicyFolder:
    """Reads `policies/*.yaml` and the list files these name, when they changed.

    A file with mistakes changes nothing: the version that was active stays so, and `mistakes` keeps
    the sentence for people. A file that is gone leaves its policy active too.
    """

    def __init__(
        self, folder: Path, ports: Ports, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder = folder
        self._ports = ports
        self._clock = clock
        self._lock = threading.Lock()
        self._looked: float | None = None
        self._seen: dict[Path, dict[Path, Stamp | None]] = {}
        self._drafts: dict[Path, PolicyDraft] = {}
        self.mistakes: dict[str, HandrailError] = {}
        """File name to what is wrong with it."""

    def look(self) -> list[PolicyDraft]:
        """See `handrail.ports.Drafts`."""
        self.refresh(now=True)
        with self._lock:
            there = set(self._files())
            return [self._drafts[path] for path in sorted(self._drafts) if path in there]

    def refresh(self, *, now: bool = False) -> None:
        """Look whether a file changed, at most once in `LOOK_SECONDS` unless `now`."""
        looked, moment = self._looked, self._clock()
        if not now and looked is not None and moment - looked < LOOK_SECONDS:
            return
        with self._lock:
            if not now and self._looked is not looked:
                return  # another thread looked meanwhile
            changed = [path for path in self._files() if self._changed(path)]
            if changed:
                stored = {policy.path: policy for policy in self._ports.store.read(_active)}
                for path in changed:
                    self._load(path, stored.get(f"policies/{path.name}"))
            self._looked = moment

    def _files(self) -> Iterator[Path]:
        for path in sorted(self._folder.glob("*.y*ml")):
            if path.suffix in (".yaml", ".yml") and not path.name.startswith("."):
                yield path

    def _changed(self, path: Path) -> bool:
        seen = self._seen.get(path)
        return seen is None or any(_stamp(file) != stamp for file, stamp in seen.items())

    def _load(self, path: Path, stored: PolicyVersion | None) -> None:
        name = f"policies/{path.name}"
        stamps: dict[Path, Stamp | None] = {path: _stamp(path)}
        files: dict[str, str] = {}

        def read_file(relative: str) -> bytes:
            parts = PurePosixPath(relative)
            if parts.is_absolute() or ".." in parts.parts:
                raise FileNotFoundError(f"{relative} lies outside of the policies folder")
            file = self._folder / parts
            stamps[file] = _stamp(file)
            content = file.read_bytes()
            files[relative] = content.decode("utf-8")
            return content

        try:
            text = path.read_text("utf-8")
            if stored is not None and _same(stored, text, read_file):
                self._drafts[path] = PolicyDraft(
                    path=name,
                    workflow=stored.workflow,
                    version=stored.version,
                    gate_digest=stored.gate_digest,
                    text=text,
                    files=stored.files,
                )
            else:
                self._drafts[path] = self._take(text, name, read_file, files)
            self.mistakes.pop(name, None)
        except HandrailError as error:
            self._complain(path, error)
        except (OSError, UnicodeDecodeError) as error:
            self._complain(path, BadInput(f"{name} cannot be read: {error}"))
        finally:
            self._seen[path] = stamps

    def _take(
        self, text: str, name: str, read_file: Callable[[str], bytes], files: dict[str, str]
    ) -> PolicyDraft:
        from handrail.gate import load

        policy = load(text, path=name, read_file=read_file, checks=CHECKS)
        if policy.workflow in BUILT_IN:
            raise BadInput(
                f"{name}: {policy.workflow} is a workflow of the decisions that change policies; "
                "give this one another name"
            )
        version = take_file(policy, files, WORKSPACE, self._ports)
        if version is not None:
            self._ports.shelf.put(version.version, policy)
            _log.info("policy %s@%s is active", policy.workflow, version.version)
        else:
            _log.info(
                "%s is a draft of %s; `handrail policy propose %s` asks that it rule",
                name,
                policy.workflow,
                policy.workflow,
            )
        return PolicyDraft(
            path=name,
            workflow=policy.workflow,
            title=policy.title,
            version=policy.version,
            gate_digest=policy.gate_digest,
            text=text,
            files=files,
        )

    def _complain(self, path: Path, error: HandrailError) -> None:
        name = f"policies/{path.name}"
        self.mistakes[name] = error
        before = self._drafts.get(path)
        self._drafts[path] = PolicyDraft(
            path=name,
            workflow=before.workflow if before is not None else None,
            title=before.title if before is not None else path.stem,
            mistakes=tuple(str(error).splitlines()),
        )
        _log.warning("%s is not active; the version before it stays in force:\n%s", name, error)


def _active(tx: Transaction) -> list[PolicyVersion]:
    found = []
    for workflow in tx.policies.workflows():
        version = tx.policies.active(workflow)
        stored = tx.policies.get(workflow, version) if version else None
        if stored is not None:
            found.append(stored)
    return found


def _same(stored: PolicyVersion, text: str, read_file: Callable[[str], bytes]) -> bool:
    """Whether the stored version was made of these very texts and need not be checked again."""
    return stored.text == text and all(
        read_file(name) == content.encode() for name, content in stored.files.items()
    )


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
