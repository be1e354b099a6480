"""The RFC 6962 tree: published vectors, and properties against the definition itself."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handrail.audit import tree
from handrail.model.errors import BadInput

# The eight inputs and the roots after each, as Certificate Transparency's own tests publish them
# (google/certificate-transparency, merkletree tests).
CT_LEAVES = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
CT_PATHS = [  # (leaf counted from 1, size, path)
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (3, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        2,
        5,
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
CT_CONSISTENCY = [
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        5,
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]

LEAVES = [tree.leaf_hash(bytes.fromhex(text)) for text in CT_LEAVES]
NODES = tree.reader(tree.tree_nodes(LEAVES))


def defined_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return tree.node_hash(defined_root(leaves[:k]), defined_root(leaves[k:]))


def some_leaves(count: int) -> list[bytes]:
    return [tree.leaf_hash(b"%d" % number) for number in range(count)]


def grown(leaves: list[bytes]) -> tuple[tree.Frontier, dict[tuple[int, int], bytes]]:
    frontier = tree.Frontier()
    nodes = {}
    for leaf in leaves:
        frontier, created = frontier.append(leaf)
        nodes.update({(level, index): node for level, index, node in created})
    return frontier, nodes


def test_published_roots() -> None:
    assert tree.Frontier().root() == tree.EMPTY_ROOT
    assert tree.EMPTY_ROOT.hex() == (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
    for size, root in enumerate(CT_ROOTS, 1):
        assert grown(LEAVES[:size])[0].root().hex() == root


@pytest.mark.parametrize(("leaf", "size", "path"), CT_PATHS)
def test_published_inclusion_proofs(leaf: int, size: int, path: list[str]) -> None:
    made = tree.inclusion_proof(leaf - 1, size, NODES)
    assert [node.hex() for node in made] == path
    root = bytes.fromhex(CT_ROOTS[size - 1])
    assert tree.verify_inclusion(LEAVES[leaf - 1], leaf - 1, size, made, root)


@pytest.mark.parametrize(("old", "new", "path"), CT_CONSISTENCY)
def test_published_consistency_proofs(old: int, new: int, path: list[str]) -> None:
    made = tree.consistency_proof(old, new, NODES)
    assert [node.hex() for node in made] == path
    assert tree.verify_consistency(
        old,
        new,
        bytes.fromhex(CT_ROOTS[old - 1]),
        bytes.fromhex(CT_ROOTS[new - 1]),
        made,
    )


def test_a_node_never_passes_for_a_leaf() -> None:
    """Second preimage: without the 0x00/0x01 prefixes this forged leaf would give the same root."""
    left, right = LEAVES[:2]
    root = grown(LEAVES[:2])[0].root()
    forged = left + right
    assert tree.leaf_hash(forged) != root
    assert grown([tree.leaf_hash(forged)])[0].root() != root
    assert not tree.verify_inclusion(tree.leaf_hash(forged), 0, 1, [], root)


@given(st.integers(0, 130))
def test_appending_is_rebuilding(size: int) -> None:
    leaves = some_leaves(size)
    frontier, nodes = grown(leaves)
    assert frontier.size == size
    assert frontier.root() == defined_root(leaves)
    assert nodes == tree.tree_nodes(leaves)
    assert tree.Frontier.from_nodes(size, tree.reader(nodes)) == frontier


@given(st.lists(st.integers(0, 70), max_size=6))
def test_extending_in_any_pieces_is_appending(pieces: list[int]) -> None:
    leaves = some_leaves(sum(pieces))
    frontier = tree.Frontier()
    start = 0
    for piece in pieces:
        frontier = frontier.extend(leaves[start : start + piece])
        start += piece
    assert frontier == grown(leaves)[0]


@given(st.lists(st.integers(0, 40), max_size=6))
def test_growing_in_any_pieces_is_appending(pieces: list[int]) -> None:
    leaves = [tree.leaf_hash(str(number).encode()) for number in range(sum(pieces))]
    frontier, nodes = tree.Frontier(), {}
    for piece in pieces:
        start = frontier.size
        frontier, above = frontier.grow(leaves[start : start + piece])
        for index, made in enumerate(above, start):
            assert len(made) % 32 == 0
            found = [leaves[index], *(made[at : at + 32] for at in range(0, len(made), 32))]
            for level, node in enumerate(found):
                nodes[level, ((index + 1) >> level) - 1] = node
    assert (frontier, nodes) == grown(leaves)


def test_a_rolled_back_append_leaves_the_old_value() -> None:
    before = grown(LEAVES[:5])[0]
    kept = tree.Frontier(before.size, before.edge)
    before.append(LEAVES[5])
    before.extend(LEAVES[5:])
    assert before == kept


@given(st.data())
def test_inclusion_proofs_of_any_leaf_and_size(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 300))
    index = data.draw(st.integers(0, size - 1))
    leaves = some_leaves(size)
    reads = []
    nodes = tree.tree_nodes(some_leaves(300))

    def read(level: int, at: int) -> bytes:
        reads.append((level, at))
        return nodes[level, at]

    path = tree.inclusion_proof(index, size, read)
    root = defined_root(leaves)
    assert tree.verify_inclusion(leaves[index], index, size, path, root)
    assert len(reads) <= 2 * size.bit_length()
    # Any other place, size, leaf, root or path is refused.
    other = data.draw(
        st.integers(0, size - 1).filter(lambda i: i != index) if size > 1 else st.none()
    )
    if other is not None:
        assert not tree.verify_inclusion(leaves[other], index, size, path, root)
        assert not tree.verify_inclusion(leaves[index], other, size, path, root)
    assert not tree.verify_inclusion(leaves[index], index, size, [*path, root], root)
    assert not tree.verify_inclusion(leaves[index], index, size, path, tree.EMPTY_ROOT)
    for place in range(len(path)):
        broken = list(path)
        broken[place] = tree.EMPTY_ROOT
        assert not tree.verify_inclusion(leaves[index], index, size, broken, root)
        assert not tree.verify_inclusion(
            leaves[index], index, size, path[:place] + path[place + 1 :], root
        )


@given(st.data())
def test_consistency_proofs_of_any_two_sizes(data: st.DataObject) -> None:
    new = data.draw(st.integers(0, 300))
    old = data.draw(st.integers(0, new))
    leaves = some_leaves(new)
    reads = []
    nodes = tree.tree_nodes(some_leaves(300))

    def read(level: int, at: int) -> bytes:
        reads.append((level, at))
        return nodes[level, at]

    path = tree.consistency_proof(old, new, read)
    old_root, new_root = defined_root(leaves[:old]), defined_root(leaves)
    assert tree.verify_consistency(old, new, old_root, new_root, path)
    assert len(reads) <= 2 * max(new.bit_length(), 1)
    rewritten = defined_root([tree.leaf_hash(b"rewritten"), *leaves[1:]])
    if old:
        assert not tree.verify_consistency(old, new, old_root, rewritten, path)
        assert not tree.verify_consistency(old, new, tree.EMPTY_ROOT, new_root, path)
    if old < new:
        assert not tree.verify_consistency(new, old, new_root, old_root, path)
    for place in range(len(path)):
        broken = list(path)
        broken[place] = tree.EMPTY_ROOT
        assert not tree.verify_consistency(old, new, old_root, new_root, broken)


def test_a_smaller_head_is_never_consistent() -> None:
    roots = [bytes.fromhex(root) for root in CT_ROOTS]
    assert not tree.verify_consistency(8, 5, roots[7], roots[4], [])
    assert not tree.verify_consistency(3, 8, roots[2], roots[7], [])
    assert not tree.verify_consistency(0, 8, roots[0], roots[7], [])


def test_wrong_places_and_absent_nodes_are_said() -> None:
    with pytest.raises(BadInput, match="leaf index is 8 for a tree of size 8; expected 0 to 7"):
        tree.inclusion_proof(8, 8, NODES)
    with pytest.raises(BadInput, match="the tree is empty"):
        tree.inclusion_proof(0, 0, NODES)
    with pytest.raises(BadInput, match="a log never shrinks"):
        tree.consistency_proof(5, 3, NODES)
    with pytest.raises(LookupError):
        tree.inclusion_proof(2, 16, NODES)
