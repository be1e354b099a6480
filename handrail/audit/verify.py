"""Verification of a log, entry by entry, naming the first thing that is wrong and where.

Everything streams: entries come in as bytes and are hashed as they are, never rewritten. What is
checked: every entry is in the canonical profile; the roots rebuilt from the entries are those of
all signed checkpoints and of the auditor's anchors; the stored tree nodes are those of the
entries. `handrail.audit.export` applies it to an export, `verify_log` to a living database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import islice

import msgspec

from handrail.audit import entry as entry_room
from handrail.audit.checkpoint import Checkpoint, open_checkpoint
from handrail.audit.note import VerifierKey
from handrail.audit.tree import EMPTY_ROOT, Frontier, next_level
from handrail.model.errors import BadInput

BATCH = 4096
"""Entries hashed and checked at a time."""
NAMED = 10
"""Problems of one sort that are named one by one; the rest is counted."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong, and where."""

    place: str
    """File of the export, or row of the database."""
    message: str
    """What is, what was expected, what it means."""
    index: int | None = None
    """Entry, counted from 0; the first one where `last` is given."""
    last: int | None = None
    """Last entry of the range in which the change lies, where no single one can be named."""
    line: int | None = None
    """Line of the file, counted from 1."""

    def __str__(self) -> str:
        where = self.place if self.line is None else f"{self.place}:{self.line}"
        if self.last is not None and self.last != self.index:
            return f"{where}: entries {self.index} to {self.last}: {self.message}"
        if self.index is not None:
            return f"{where}: entry {self.index}: {self.message}"
        return f"{where}: {self.message}"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a verification found."""

    size: int
    """Entries read."""
    root: bytes
    """Root of these entries."""
    checkpoints: int
    """Signed checkpoints that were checked, the head included."""
    anchored: int | None
    """Size of the newest anchor that was given; None without one. Entries from there on are not
    protected against whoever holds the signing key."""
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    @property
    def first_bad(self) -> int | None:
        """Lowest entry index that a problem names; None where none names one."""
        return min((p.index for p in self.problems if p.index is not None), default=None)


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """A signed checkpoint that could be opened, and where it lay."""

    place: str
    checkpoint: Checkpoint
    anchor: bool = False
    """True where the auditor kept it; False where it came with the log."""


def open_heads(
    notes: Iterable[tuple[str, bytes]],
    keys: Sequence[VerifierKey],
    problems: list[Problem],
    *,
    anchor: bool = False,
) -> list[Head]:
    """Open (place, note) pairs under `keys`; what cannot be opened becomes a problem."""
    heads = []
    for place, note in notes:
        try:
            heads.append(Head(place=place, checkpoint=open_checkpoint(note, keys), anchor=anchor))
        except BadInput as error:
            problems.append(Problem(place=place, message=error.message))
    return heads


class Scan:
    """One pass over the entries: profile, leaf hashes, and the root at every wanted size."""

    def __init__(
        self,
        place: str,
        sizes: Iterable[int],
        problems: list[Problem],
        *,
        keep: Iterable[int] = (),
        lines: bool = False,
    ) -> None:
        """Scan entries that lie at `place`; `lines` where they are the lines of a file."""
        self.place = place
        self.kept: dict[int, bytes] = dict.fromkeys(keep, b"")
        """Leaf hash of each index asked for in `keep`; empty where the log is too short."""
        self._lines = lines
        self.frontier = Frontier()
        self.roots: dict[int, bytes] = {0: EMPTY_ROOT}
        self._marks = sorted({size for size in sizes if size > 0}, reverse=True)
        self._problems = problems
        self._outside = 0

    @property
    def size(self) -> int:
        """Entries seen so far."""
        return self.frontier.size

    def feed(self, batch: Sequence[bytes]) -> list[bytes]:
        """Take the next entries; gives their leaf hashes."""
        start = self.frontier.size
        if not _all_canonical(batch):
            self._name_outside(batch, start)
        leaves = [sha256(b"\x00" + line).digest() for line in batch]
        for index in self.kept:
            if start <= index < start + len(batch):
                self.kept[index] = leaves[index - start]
        done = 0
        while self._marks and self._marks[-1] <= start + len(batch):
            mark = self._marks.pop()
            self.frontier = self.frontier.extend(leaves[done : mark - start])
            self.roots[mark] = self.frontier.root()
            done = mark - start
        self.frontier = self.frontier.extend(leaves[done:] if done else leaves)
        return leaves

    def finish(self) -> None:
        """Say how many entries outside the profile were not named one by one."""
        if self._outside > NAMED:
            self._problems.append(
                Problem(
                    place=self.place,
                    message=f"{self._outside - NAMED} more entries are not canonical",
                )
            )

    def _name_outside(self, batch: Sequence[bytes], start: int) -> None:
        for index, line in enumerate(batch, start):
            try:
                entry_room.decode(line)
            except BadInput as error:
                self._outside += 1
                if self._outside <= NAMED:
                    self._problems.append(
                        Problem(
                            place=self.place,
                            index=index,
                            line=index + 1 if self._lines else None,
                            message=str(error),
                        )
                    )


def _all_canonical(batch: Sequence[bytes]) -> bool:
    """Whether all of `batch` is plainly canonical, in two C calls; a False still needs a look."""
    joined = b"\n".join(batch) + b"\n"
    if not joined.isascii():
        return False
    try:
        entries = entry_room.decoder.decode_lines(joined)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
    return len(entries) == len(batch) and entry_room.encoder.encode_lines(entries) == joined


def check_heads(
    scan: Scan, heads: Sequence[Head], problems: list[Problem], *, located: int | None = None
) -> None:
    """Hold the rebuilt roots to all heads.

    Too small for a head, or another root at its size, is a failure. The range between the last head
    that agrees and the first that does not is named, unless the change in it is `located` already:
    the first entry that was named.
    """
    agreed = kept = 0
    blamed = located is not None
    for head in sorted(heads, key=lambda head: (head.checkpoint.size, head.anchor)):
        size = head.checkpoint.size
        what = "the anchor" if head.anchor else "the checkpoint"
        if size > scan.size:
            problems.append(
                Problem(
                    place=head.place,
                    index=scan.size,
                    last=size - 1,
                    message=f"missing: the log has {scan.size} entries and {what} covers {size}; "
                    "expected at least as many: entries were cut off, or a backup was restored",
                )
            )
        elif scan.roots[size] == head.checkpoint.root:
            agreed = size
            kept = size if head.anchor else kept
        elif head.anchor:
            explained = located is not None and located < size
            # Checkpoints that came with the log may be re-signed: only anchors narrow this down.
            problems.append(
                Problem(
                    place=head.place,
                    index=kept if size > kept and not explained else None,
                    last=size - 1 if size > kept and not explained else None,
                    message=f"the first {size} entries do not have the root that the anchor "
                    "kept; expected them unchanged: the log was rewritten after it was anchored",
                )
            )
        elif not blamed:
            blamed = True
            problems.append(
                Problem(
                    place=scan.place,
                    index=agreed if size > agreed else None,
                    last=size - 1 if size > agreed else None,
                    message=f"changed: the first {size} entries do not have the root that "
                    f"{head.place} signs, the first {agreed} are as they were signed",
                )
            )


Rows = Iterable[tuple[int, bytes]]
"""Rows of (index, bytes), in order of index."""


def verify_log(
    entries: Rows,
    *,
    nodes: Callable[[int], Rows],
    checkpoints: Iterable[tuple[str, bytes]],
    keys: Sequence[VerifierKey],
    anchors: Iterable[tuple[str, bytes]] = (),
) -> Report:
    """Verify a log where it lives.

    `entries` gives (index, bytes) in order, `nodes(level)` the stored complete nodes of one level
    as (index, hash) in order (nothing for a level above the tree), `checkpoints` and `anchors`
    (place, signed note). `keys` are the verifier keys the auditor trusts.

    A changed entry row, a changed, missing or surplus node row and a gap are named by index; after
    a gap nothing can be said about what follows it, so it is the last thing looked at.
    """
    problems: list[Problem] = []
    keys = tuple(keys)
    heads = open_heads(checkpoints, keys, problems)
    kept = open_heads(anchors, keys, problems, anchor=True)
    known = len(heads)
    heads += kept
    scan = Scan("entry row", (head.checkpoint.size for head in heads), problems)
    leaves: list[bytes] = []
    gapless = True
    rows = iter(entries)
    while batch := list(islice(rows, BATCH)):
        start = scan.size
        gap = next((n for n, (index, _) in enumerate(batch, start) if index != n), None)
        if gap is not None:
            leaves += scan.feed([line for _, line in batch[: gap - start]])
            found = batch[gap - start][0]
            problems.append(
                Problem(
                    place="entry row",
                    index=gap,
                    message=f"missing: the next row has index {found}; expected {gap}, "
                    "without gaps: a row was deleted or renumbered",
                )
            )
            gapless = False
            break
        leaves += scan.feed([line for _, line in batch])
    scan.finish()
    if gapless:
        before = len(problems)
        _check_nodes(leaves, nodes, scan, heads, problems)
        named = [p.index for p in problems[before:] if p.index is not None]
        check_heads(scan, heads, problems, located=min(named, default=None))
    else:
        check_heads(scan, [h for h in heads if h.checkpoint.size <= scan.size], problems)
    return Report(
        size=scan.size,
        root=scan.frontier.root(),
        checkpoints=known,
        anchored=max((head.checkpoint.size for head in kept), default=None),
        problems=tuple(problems),
    )


def _check_nodes(
    leaves: Sequence[bytes],
    nodes: Callable[[int], Rows],
    scan: Scan,
    heads: Sequence[Head],
    problems: list[Problem],
) -> None:
    """Hold the stored nodes to those of the entries, and tell a changed entry from a changed node.

    A changed entry disagrees with its stored leaf hash *and* with every node above it; a changed
    node disagrees alone, while the node above it and those below agree with the entries.
    """
    levels: list[tuple[int, set[int]]] = []
    row = list(leaves)
    level = 0
    while True:
        wrong: set[int] = set()
        stored = list(nodes(level))
        if [index for index, _ in stored] != list(range(len(row))):
            _name_missing_nodes(level, stored, len(row), problems)
            known = dict(stored)
            wrong = {i for i, node in enumerate(row) if known.get(i, node) != node}
        elif [node for _, node in stored] != row:
            pairs = zip(stored, row, strict=True)
            wrong = {index for (index, node), right in pairs if node != right}
        levels.append((len(row), wrong))
        if not row:
            break
        row = next_level(row)
        level += 1
    bad_entries: list[Problem] = []
    bad_nodes: list[Problem] = []
    for level, (_, wrong) in enumerate(levels):
        above_width, above_wrong = levels[level + 1] if level + 1 < len(levels) else (0, set())
        for index in sorted(wrong):
            parent = index >> 1
            if level:
                changed_below = levels[level - 1][1]
                blame_node = 2 * index not in changed_below and 2 * index + 1 not in changed_below
            elif parent < above_width:
                blame_node = parent not in above_wrong
            else:
                blame_node = any(
                    head.checkpoint.size > index
                    and scan.roots.get(head.checkpoint.size) == head.checkpoint.root
                    for head in heads
                )
            if blame_node:
                bad_nodes.append(
                    Problem(
                        place=f"node row (level {level}, index {index})",
                        index=index << level if level == 0 else None,
                        message="changed: it is not the hash of the entries under it, which are "
                        "as they were logged",
                    )
                )
            elif level == 0:
                bad_entries.append(
                    Problem(
                        place="entry row",
                        index=index,
                        message="changed: its leaf hash is not the one stored when it was logged",
                    )
                )
    for sort in (bad_entries, bad_nodes):
        problems.extend(sort[:NAMED])
        if len(sort) > NAMED:
            problems.append(
                Problem(place="the log", message=f"{len(sort) - NAMED} more such changes")
            )


def _name_missing_nodes(
    level: int, stored: Sequence[tuple[int, bytes]], width: int, problems: list[Problem]
) -> None:
    there = [index for index, _ in stored]
    missing = sorted(set(range(width)) - set(there))
    surplus = sorted(set(there) - set(range(width)))
    for index in missing[:NAMED]:
        problems.append(
            Problem(
                place=f"node row (level {level}, index {index})",
                message="missing; expected one row for every complete subtree",
            )
        )
    for index in surplus[:NAMED]:
        problems.append(
            Problem(
                place=f"node row (level {level}, index {index})",
                message=f"no entries are under it; expected indices below {width}: "
                "the entries were deleted, or the row was added",
            )
        )
    more = max(len(missing) - NAMED, 0) + max(len(surplus) - NAMED, 0)
    if more or (not missing and not surplus):
        problems.append(
            Problem(
                place=f"node rows of level {level}",
                message=f"{more} more rows are missing or surplus"
                if more
                else "the rows are doubled or out of order; expected each index once",
            )
        )


def line_batches(chunks: Iterable[bytes]) -> Iterator[tuple[list[bytes], bool]]:
    """Lines of a file that comes in pieces, split at LF alone: (lines, all of them ended by LF)."""
    rest: list[bytes] = []
    for chunk in chunks:
        first, *more = chunk.split(b"\n")
        rest.append(first)
        if more:
            yield [b"".join(rest), *more[:-1]], True
            rest = [more[-1]]
    if last := b"".join(rest):
        yield [last], False
