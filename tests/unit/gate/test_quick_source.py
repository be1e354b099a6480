"""libyaml may read a policy only where it reads the very nodes that ruamel.yaml reads."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

import handrail.packs
from handrail import gate
from handrail.gate import source
from handrail.gate.source import Node

PACKS = sorted(Path(handrail.packs.__file__).parent.glob("*/*.yaml"))
SIGNS = "\n\n  \t:-?,[]{}#&*!|>'\"%@`ab1~.\\éx\u0085\u2028\ufeff="
PIECES = (
    "a: b\n", "- x\n", "- - y\n", "? k\n: v\n", "[a, b]", "{a: 1, b}", "{a:1}", '"q\\/"', "'it''s'",
    "| \n  x\n\n", ">-\n  y\n  z\n", "# c\n", "a:\tb\n", "--- \n", "...\n", "%YAML 1.1\n", "! x",
    "!!str y", "&a z", "*a", " - [x,\n y]\n", '"a\n\n b"', "a: -\n", "-\n", '{"a":1}\n', "[a: b]\n",
    "a: |2\n   x\n", "http://x:80\n", "a : b\n", '"k" : v\n', "a:: b\n", "[a,,b]\n", "{a,}\n",
    "[?]\n",
    "a: @x\n", "a: b: c\n", 'a: "x" y\n', "a: >1-\n  q\n", '"\\x41\\N\\_\\L\\P\\e"', "a: x\n  y\n",
    "a:\n- b\n- c\n", "a:\n  - b\n  -\n", "a: [b, c]: d\n", "x: 10:30\n", "y: NO\n",
)  # fmt: skip


def tree(node: Node) -> Any:
    """The node with its places; values that are not there have none."""
    if node.kind == "scalar":
        nothing = node.style == "plain" and not node.text
        return "" if nothing else (node.line, node.column, node.style, node.text)
    if node.kind == "list":
        return node.line, node.column, [tree(item) for item in node.items]
    return node.line, node.column, [(tree(key), tree(value)) for key, value in node.items]


def agree(text: str) -> bool:
    """Whether libyaml read it; then ruamel.yaml reads the same."""
    rewritten, raw, _ = source._take_raw(text, "p.yaml")
    quick = source._quickly("p.yaml", raw, rewritten)
    if quick is None:
        return False
    thorough, _, mistakes = source.read(text, "p.yaml")
    assert not mistakes and thorough is not None, text
    assert tree(quick) == tree(thorough), text
    return True


@pytest.mark.parametrize("path", PACKS, ids=lambda path: path.stem)
def test_every_packaged_policy_is_read_quickly(path: Path) -> None:
    assert agree(path.read_text("utf-8"))


@pytest.mark.parametrize("seed", range(3))
def test_what_libyaml_reads_is_what_ruamel_yaml_reads(seed: int) -> None:
    r = random.Random(seed)
    packs = [path.read_text("utf-8") for path in PACKS]
    quick = 0
    for _ in range(1_000):
        if r.random() < 0.4:
            whole = r.choice(packs)
            start = r.randrange(len(whole))
            text = whole[start : start + r.randrange(400)].partition("\n")[2]
        else:
            text = "k: v\n" + "".join(
                r.choice(PIECES) if r.random() < 0.7 else r.choice(SIGNS)
                for _ in range(r.randrange(1, 9))
            )
        signs = list(text)
        for _ in range(r.randrange(4)):
            if signs:
                at = r.randrange(len(signs))
                signs[at : at + r.randrange(2)] = r.choice(("", r.choice(SIGNS)))
        quick += agree("".join(signs))
    assert quick > 50


@pytest.mark.parametrize("odd", ["a:\tb", "a: b\u2028", 'a: {"x":1}', "a: |# c\n  x", "a: [? x]"])
def test_what_yaml_1_1_may_mean_otherwise_is_not_read_quickly(odd: str) -> None:
    rewritten, raw, _ = source._take_raw(f"k: v\n{odd}\n", "p.yaml")
    assert source._quickly("p.yaml", raw, rewritten) is None


@pytest.mark.parametrize(
    "body",
    [
        "fields:    # none\nrules: [{id: r, when: a > 1}]\n",
        "fields: {a: int, b: }\nrules:\n  - id: r\n    when: a > 1\n    because:   \n",
        "fields: {a: int}\nrules:\n  - id: r\n    when: a > c\n    then:\n",
    ],
)
def test_mistakes_are_named_where_the_thorough_reading_sees_them(
    body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "handrail: 1\nworkflow: x\nowners: [team:a]\nroute: [{to: team:a, silence: block}]\n" + body
    )
    rewritten, raw, _ = source._take_raw(text, "p.yaml")
    assert source._quickly("p.yaml", raw, rewritten) is not None
    found = [str(mistake) for mistake in gate.check(text)]
    monkeypatch.setattr(source, "_quickly", lambda *given: None)
    assert found and found == [str(mistake) for mistake in gate.check(text)]


def test_without_libyaml_everything_is_read_thoroughly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("yaml.CSafeLoader")
    text = PACKS[0].read_text("utf-8")
    assert source._quickly("p.yaml", {}, text) is None
    assert gate.load(text, read_file=lambda name: b"").rules
