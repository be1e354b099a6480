"""Verification names what was changed: in an export every byte, in a database every row."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handrail.audit import encode, verify
from handrail.audit.checkpoint import sign_checkpoint
from handrail.audit.export import MapReader, verify_export
from handrail.audit.note import SignerKey
from handrail.audit.verify import Report, line_batches, verify_log
from handrail.model.errors import BadInput

from .conftest import KEY, ORIGIN, Log

KEYS = [KEY.verifier]


def check(files: dict[str, bytes], *anchors: bytes, keys: object = KEYS) -> Report:
    return verify_export(
        MapReader(files),
        keys=keys,  # type: ignore[arg-type]
        anchors=[(f"anchor {n}", note) for n, note in enumerate(anchors)],
    )


def said(report: Report) -> str:
    return "\n".join(map(str, report.problems))


# ---------------------------------------------------------------------------- exports


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 8, 9, 100])
def test_untouched_exports_verify(size: int) -> None:
    log = Log()
    if size > 2:
        log.grow(2).sign()
    log.grow(size - len(log.entries)).sign()
    report = check(log.export(prove=range(size)), *log.checkpoints.values())
    assert report.problems == () and report.ok
    assert (report.size, report.root) == (size, log.frontier.root())
    assert report.checkpoints == len(log.checkpoints)
    assert report.anchored == size
    without = {name: data for name, data in log.export().items() if name != "leaves"}
    assert check(without, keys=None).ok


def test_what_an_export_holds(log: Log) -> None:
    assert sorted(log.export()) == [
        "checkpoint",
        "checkpoint.3",
        "checkpoint.8",
        "consistency/3-11.txt",
        "consistency/8-11.txt",
        "entries.jsonl",
        "leaves",
        "proofs/0.leaf",
        "proofs/0.tlog-proof",
        "proofs/10.leaf",
        "proofs/10.tlog-proof",
        "vkey",
    ]


@pytest.mark.slow
def test_every_changed_byte_of_an_export_is_named(log: Log) -> None:
    """Each byte of each file in turn: the file is named, and for entries the exact index."""
    files = log.export(prove=[4])
    for name, data in files.items():
        line, column = 0, 0
        for place in range(len(data)):
            broken = bytearray(data)
            broken[place] ^= 1 << place % 8
            report = check(files | {name: bytes(broken)})
            assert not report.ok, (name, place)
            assert name in {problem.place for problem in report.problems}, (name, place)
            if name == "entries.jsonl":
                assert report.first_bad == line, (place, said(report))
                named = [p for p in report.problems if p.index == line]
                assert any(p.line == line + 1 for p in named)
            if name == "leaves":
                assert report.first_bad == place // 32
            column += 1
            if data[place] == 0x0A:
                line, column = line + 1, 0


def test_every_changed_byte_of_entries_is_bracketed_without_leaf_hashes(log: Log) -> None:
    files = log.export(prove=[4])
    del files["leaves"]
    data = files["entries.jsonl"]
    index = 0
    for place in range(len(data)):
        broken = bytearray(data)
        broken[place] ^= 1 << place % 8
        report = check(files | {"entries.jsonl": bytes(broken)})
        ranges = [(p.index, p.last or p.index) for p in report.problems if p.index is not None]
        assert any(first <= index <= last for first, last in ranges), (place, said(report))
        assert any(p.place == "entries.jsonl" for p in report.problems)
        if data[place] == 0x0A:
            index += 1
    changed = data.replace(b"n9", b"m9")
    report = check(files | {"entries.jsonl": changed})
    assert [(p.index, p.last) for p in report.problems] == [(8, 10)]
    assert "entries 8 to 10: changed: the first 11 entries" in said(report)


@pytest.mark.parametrize("name", ["entries.jsonl", "checkpoint", "vkey"])
def test_a_missing_file_is_named(log: Log, name: str) -> None:
    files = log.export()
    del files[name]
    assert f"{name}: there is no such file" in said(check(files, keys=None))


def test_cr_is_a_failure(log: Log) -> None:
    files = log.export()
    crlf = files["entries.jsonl"].replace(b"\n", b"\r\n", 1)
    report = check(files | {"entries.jsonl": crlf})
    assert report.first_bad == 0
    assert "entries.jsonl:1: entry 0: the entry holds a CR" in said(report)


def test_a_signed_log_outside_the_profile_is_refused() -> None:
    """The tree is right and the head signed; the entries still have to be canonical."""
    log = Log().append(encode({"a": 1}), b'{"a":1.5}', b'{"b":1, "a":2}', b'{"a":1}\r')
    log.sign()
    report = check(log.export())
    assert [p.index for p in report.problems] == [1, 2, 3]
    assert verify_rows(log).first_bad == 1


def test_a_signed_duplicate_line_inside_one_row_is_refused() -> None:
    """A row that holds two lines would verify as one leaf and export as two entries."""
    log = Log().append(encode({"a": 1}), b'{"a":1}\n{"a":2}', encode({"a": 3}))
    log.sign()
    assert verify_rows(log).first_bad == 1
    assert not check(log.export()).ok


def test_many_bad_entries_are_counted() -> None:
    log = Log().append(*[b"[]"] * 30)
    log.sign()
    assert "20 more entries are not canonical" in said(check(log.export()))


@pytest.mark.ledger("G-006")
def test_a_cut_off_log_is_named(log: Log) -> None:
    files = log.export()
    lines = files["entries.jsonl"].splitlines(keepends=True)
    for keep in range(11):
        report = check(files | {"entries.jsonl": b"".join(lines[:keep])})
        assert report.first_bad == keep, said(report)
        assert "missing" in said(report)


def test_an_entry_put_in_or_taken_out_is_named(log: Log) -> None:
    files = log.export()
    lines = files["entries.jsonl"].splitlines(keepends=True)
    for index in range(11):
        more = [*lines[:index], b'{"a":1}\n', *lines[index:]]
        less = lines[:index] + lines[index + 1 :]
        for changed in (more, less):
            report = check(files | {"entries.jsonl": b"".join(changed)})
            assert report.first_bad == index, said(report)


def test_swapped_entries_are_named(log: Log) -> None:
    files = log.export()
    lines = files["entries.jsonl"].splitlines(keepends=True)
    lines[4], lines[6] = lines[6], lines[4]
    report = check(files | {"entries.jsonl": b"".join(lines)})
    assert report.first_bad == 4
    assert "which the signed checkpoint vouches for; 1 entries after it differ too" in said(report)


def test_entry_and_leaf_hash_changed_together_are_bracketed(log: Log) -> None:
    forged = Log()
    forged.append(*log.entries[:9], encode({"forged": True}), log.entries[10])
    forged.checkpoints = log.checkpoints
    files = log.export(prove=[]) | {
        name: data
        for name, data in forged.export(prove=[]).items()
        if name in ("entries.jsonl", "leaves")
    }
    report = check(files)
    assert [(p.place, p.index, p.last) for p in report.problems] == [("entries.jsonl", 8, 10)]


def rewritten(log: Log, index: int) -> Log:
    """The same log with one entry changed and everything re-signed with the true key."""
    forged = Log()
    for size in (3, 8, 11):
        for n in range(len(forged.entries), size):
            forged.append(encode({"forged": True}) if n == index else log.entries[n])
        forged.sign()
    return forged


def test_a_rewritten_and_re_signed_log_is_caught_by_the_anchor_alone(log: Log) -> None:
    forged = rewritten(log, 5)
    assert check(forged.export()).ok
    report = check(forged.export(), log.checkpoints[8])
    (problem,) = report.problems
    assert problem.place == "anchor 0" and (problem.index, problem.last) == (0, 7)
    assert "the log was rewritten after it was anchored" in problem.message
    both = check(forged.export(), log.checkpoints[3], log.checkpoints[8])
    assert [(p.index, p.last) for p in both.problems] == [(3, 7)]
    assert both.anchored == 8
    # The exposure window: what is newer than the last anchor cannot be told.
    assert check(forged.export(), log.checkpoints[3]).ok
    assert check(rewritten(log, 9).export(), log.checkpoints[8]).ok


def test_an_anchor_does_not_blur_which_entry_was_changed(log: Log) -> None:
    files = log.export()
    changed = files | {"entries.jsonl": files["entries.jsonl"].replace(b"n6", b"m6")}
    report = check(changed, log.checkpoints[8])
    assert report.first_bad == 6
    assert [(p.place, p.index) for p in report.problems] == [
        ("entries.jsonl", 6),
        ("anchor 0", None),
    ]
    forged = rewritten(log, 1).export()
    forged["entries.jsonl"] = forged["entries.jsonl"].replace(b"n9", b"m9")
    report = check(forged, log.checkpoints[8])
    assert [(p.place, p.index, p.last) for p in report.problems] == [
        ("entries.jsonl", 9, None),
        ("anchor 0", 0, 7),
    ]


def test_a_log_smaller_than_the_anchor_fails(log: Log) -> None:
    short = Log().grow(8)
    short.sign()
    report = check(short.export(), log.checkpoints[11])
    assert "the log has 8 entries and the anchor covers 11" in said(report)
    assert report.first_bad == 8
    empty = Log()
    empty.sign()
    assert not check(empty.export(), log.checkpoints[3]).ok


def test_anchors_go_by_the_key_the_auditor_holds(log: Log) -> None:
    """A server with a new key under the old name is neither believed nor free of its anchors."""
    thief = SignerKey.from_seed(ORIGIN, bytes(32))
    forged = Log(thief)
    forged.grow(11).sign()
    assert check(forged.export(), keys=None).ok
    report = check(forged.export(), log.checkpoints[8])
    assert {p.place for p in report.problems} >= {"vkey", "checkpoint"}
    with_own_key = check(forged.export(), log.checkpoints[8], keys=None)
    assert [p.place for p in with_own_key.problems] == ["anchor 0"]
    changed_anchor = log.checkpoints[8].replace(b"\n8\n", b"\n7\n")
    assert "anchor 0" in {p.place for p in check(log.export(), changed_anchor).problems}


def test_a_checkpoint_of_another_history_is_caught(log: Log) -> None:
    """A signed `checkpoint.8` of a forked log, with its true consistency proof to nothing here."""
    forged = rewritten(log, 5)
    files = log.export() | {"checkpoint.8": forged.checkpoints[8]}
    report = check(files)
    assert {p.place for p in report.problems} == {"entries.jsonl", "consistency/8-11.txt"}
    assert report.first_bad == 3


def test_consistency_is_needed_for_every_earlier_checkpoint(log: Log) -> None:
    files = log.export()
    del files["consistency/3-11.txt"]
    assert "there is no proof that checkpoint.3 grew into the head" in said(check(files))
    files = log.export()
    del files["checkpoint.3"]
    assert "consistency/3-11.txt: it belongs to no pair" in said(check(files))


@pytest.mark.parametrize(
    ("change", "place", "words"),
    [
        (lambda f: {"checkpoint.5": f["checkpoint.3"]}, "checkpoint.5", "expected 5"),
        (lambda f: {"checkpoint.old": b""}, "checkpoint.old", "not a checkpoint's name"),
        (lambda f: {"consistency/x.txt": b""}, "consistency/x.txt", "not a consistency"),
        (lambda f: {"proofs/x.leaf": b""}, "proofs/x.leaf", "not a proof's name"),
        (lambda f: {"proofs/4.leaf": b""}, "proofs/4.tlog-proof", "no such file"),
        (
            lambda f: {
                "proofs/4.leaf": f["proofs/0.leaf"],
                "proofs/4.tlog-proof": f["proofs/0.tlog-proof"],
            },
            "proofs/4.tlog-proof",
            "it proves entry 0; expected 4",
        ),
        (lambda f: {"proofs/0.leaf": f["proofs/10.leaf"]}, "proofs/0.leaf", "differ"),
        (lambda f: {"leaves": f["leaves"][:-1]}, "leaves", "entry 10"),
        (lambda f: {"leaves": f["leaves"][:64]}, "leaves", "entry 2"),
        (lambda f: {"leaves": f["leaves"] + b"x"}, "leaves", "changed"),
    ],
)
def test_other_mischief(
    log: Log, change: Callable[[dict[str, bytes]], dict[str, bytes]], place: str, words: str
) -> None:
    files = log.export()
    report = check(files | change(files))
    assert any(p.place == place and words in str(p) for p in report.problems), said(report)


def test_a_proof_under_a_forked_checkpoint_is_caught(log: Log) -> None:
    forged = rewritten(log, 5)
    files = log.export()
    files["proofs/0.tlog-proof"] = forged.export()["proofs/0.tlog-proof"]
    assert "its checkpoint is signed and is not of this log" in said(check(files))


def test_an_earlier_checkpoint_beyond_the_head_is_refused(log: Log) -> None:
    later = sign_checkpoint(12, bytes(32), KEY)
    log.checkpoints[0] = later
    with pytest.raises(BadInput, match="an earlier checkpoint covers 12 entries and the head 11"):
        log.export()


@given(st.lists(st.binary(max_size=12), max_size=8), st.lists(st.integers(0, 9), max_size=8))
def test_lines_come_apart_at_lf_alone_wherever_the_pieces_end(
    lines: list[bytes], cuts: list[int]
) -> None:
    lines = [line.replace(b"\n", b"\r") for line in lines]
    data = b"".join(line + b"\n" for line in lines)
    pieces = []
    for cut in cuts:
        pieces.append(data[:cut])
        data = data[cut:]
    pieces.append(data)
    found = list(line_batches(pieces))
    assert [line for batch, _ in found for line in batch] == lines
    assert all(ended for _, ended in found)
    *_, (last, ended) = line_batches([*pieces, b"x"])
    assert (last[-1], ended) == (b"x", False)


# ---------------------------------------------------------------------------- databases


def verify_rows(
    log: Log,
    *,
    rows: list[tuple[int, bytes]] | None = None,
    nodes: dict[tuple[int, int], bytes] | None = None,
    anchors: list[bytes] | None = None,
) -> Report:
    kept = log.nodes if nodes is None else nodes
    return verify_log(
        log.rows() if rows is None else rows,
        nodes=lambda level: sorted((i, node) for (at, i), node in kept.items() if at == level),
        checkpoints=log.notes(),
        keys=KEYS,
        anchors=[("anchor", note) for note in anchors or []],
    )


@pytest.mark.parametrize("size", [0, 1, 2, 5, 8, 33])
@pytest.mark.parametrize("signed", [True, False])
def test_an_untouched_database_verifies(size: int, signed: bool) -> None:
    log = Log().grow(size)
    if signed:
        log.sign()
        log.grow(3)
    report = verify_rows(log, anchors=list(log.checkpoints.values()))
    assert report.problems == ()
    assert report.root == log.frontier.root()


@pytest.mark.parametrize("tail", [0, 1, 2])
def test_every_changed_entry_row_is_named(log: Log, tail: int) -> None:
    log.grow(tail)
    size = len(log.entries)
    for index, line in enumerate(log.entries):
        for broken in (line.replace(b"n", b"m", 1), line[:-1], line + b" ", b""):
            rows = log.rows()
            rows[index] = (index, broken)
            report = verify_rows(log, rows=rows)
            if index == size - 1 and size % 2 and index >= 11:
                # A last leaf that neither a node nor a checkpoint covers: both are suspects.
                assert not report.ok
            assert report.first_bad == index, (index, said(report))
            assert not any(p.place.startswith("node") for p in report.problems), said(report)


@pytest.mark.parametrize("tail", [0, 1, 2])
def test_every_changed_node_row_is_named(log: Log, tail: int) -> None:
    log.grow(tail)
    for level, index in log.nodes:
        nodes = log.nodes | {(level, index): bytes(32)}
        report = verify_rows(log, nodes=nodes)
        if level == 0 and index >= 11 and (index >> 1) >= len(log.level(1)):
            assert report.first_bad == index
            continue
        assert [p.place for p in report.problems] == [f"node row (level {level}, index {index})"], (
            said(report)
        )


@pytest.mark.ledger("G-006")
def test_every_missing_row_is_named(log: Log) -> None:
    for index in range(11):
        rows = log.rows()
        del rows[index]
        report = verify_rows(log, rows=rows)
        assert report.first_bad == index
        if index < 10:
            (problem,) = report.problems
            assert (problem.place, problem.index) == ("entry row", index)
            assert f"missing: the next row has index {index + 1}" in problem.message
    for level, index in log.nodes:
        nodes = dict(log.nodes)
        del nodes[level, index]
        assert f"node row (level {level}, index {index}): missing" in said(
            verify_rows(log, nodes=nodes)
        )
    nodes = log.nodes | {(0, 11): bytes(32)}
    assert "node row (level 0, index 11): no entries are under it" in said(
        verify_rows(log, nodes=nodes)
    )


def test_an_entry_and_its_nodes_changed_together_are_caught_by_the_checkpoint(log: Log) -> None:
    forged = Log().append(*log.entries[:5], encode({"forged": True}), *log.entries[6:])
    report = verify_rows(log, rows=forged.rows(), nodes=forged.nodes)
    assert [(p.place, p.index, p.last) for p in report.problems] == [("entry row", 3, 7)]


def test_a_database_without_its_end_is_caught(log: Log) -> None:
    short = Log().grow(8)
    report = verify_rows(log, rows=short.rows(), nodes=short.nodes)
    assert "the log has 8 entries and the checkpoint covers 11" in said(report)
    short.sign()
    assert verify_rows(short).ok
    report = verify_rows(short, anchors=[log.checkpoints[11]])
    assert "the log has 8 entries and the anchor covers 11" in said(report)


def test_a_changed_checkpoint_row_is_named(log: Log) -> None:
    log.checkpoints[8] = log.checkpoints[8].replace(b"\n8\n", b"\n9\n")
    assert [p.place for p in verify_rows(log).problems] == ["checkpoint 8"]


def test_batches_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "BATCH", 4)
    log = Log().grow(7)
    log.sign()
    log.grow(6).sign()
    assert verify_rows(log).ok
    rows = log.rows()
    rows[9] = (9, b"{}")
    assert verify_rows(log, rows=rows).first_bad == 9
    del rows[6]
    assert verify_rows(log, rows=rows).first_bad == 6


def test_many_changes_are_counted_and_doubled_rows_refused() -> None:
    log = Log().grow(64)
    log.sign()
    rows = [(index, line.replace(b"n", b"m", 1)) for index, line in log.rows()]
    report = verify_rows(log, rows=rows)
    assert report.first_bad == 0 and "54 more such changes" in said(report)
    nodes = {place: node for place, node in log.nodes.items() if place[0] != 1}
    assert "node rows of level 1: 22 more rows are missing or surplus" in said(
        verify_rows(log, nodes=nodes)
    )
    doubled = verify_log(
        log.rows(),
        nodes=lambda level: log.level(level)[:1] + log.level(level),
        checkpoints=log.notes(),
        keys=KEYS,
    )
    assert "node rows of level 0: the rows are doubled or out of order" in said(doubled)
