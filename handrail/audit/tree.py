"""The Merkle tree of RFC 6962 over SHA-256: growing edge, proofs, and their verification.

A node is named by (level, index): level 0 are the leaf hashes, and node (l, i) covers the leaves
`i * 2**l` to `(i + 1) * 2**l - 1`. Only *complete* nodes are ever stored, so a stored node never
changes. Proofs are made from stored nodes alone, with O(log n) reads and no look at any entry.

Sources: RFC 6962 section 2.1 (hashes, proofs); RFC 9162 sections 2.1.3.2, 2.1.4.2 (verification).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import msgspec

from handrail.model.errors import BadInput

_sha256 = hashlib.sha256

EMPTY_ROOT = _sha256(b"").digest()
"""Root of the tree without leaves: SHA-256 of nothing."""

HASH_SIZE = 32
"""Bytes of every leaf hash, node hash and root."""

Node = tuple[int, int, bytes]
"""A complete subtree: (level, index, hash)."""

NodeReader = Callable[[int, int], bytes]
"""Gives the stored hash of the complete node (level, index); raises `LookupError` if absent."""


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 || entry). The prefix keeps a leaf from ever posing as a node."""
    return _sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return _sha256(b"\x01" + left + right).digest()


class Frontier(msgspec.Struct, frozen=True):
    """The right edge of a tree: all that is needed to append and to know the root.

    A value, never changed in place: a writer keeps the old one and puts it back when its
    transaction rolls back.
    """

    size: int = 0
    """Number of leaves."""
    edge: tuple[bytes, ...] = ()
    """Roots of the complete subtrees the tree consists of, largest first: one a 1 bit of `size`."""

    def append(self, leaf: bytes) -> tuple[Frontier, list[Node]]:
        """The tree with one more leaf hash, and the complete nodes this created.

        The first node is the leaf itself at level 0; on average two nodes are created.
        """
        index = self.size
        edge = self.edge
        kept = len(edge)
        nodes: list[Node] = [(0, index, leaf)]
        node = leaf
        level = 0
        while index & 1:
            kept -= 1
            node = _sha256(b"\x01" + edge[kept] + node).digest()
            level += 1
            index >>= 1
            nodes.append((level, index, node))
        return Frontier(self.size + 1, (*edge[:kept], node)), nodes

    def grow(self, leaves: Sequence[bytes]) -> tuple[Frontier, list[bytes]]:
        """The tree with more leaf hashes, and for each of these the complete nodes above it that it
        created: from level 1 up, one after the other in one text of bytes."""
        size, edge = self.size, list(self.edge)
        above = []
        for leaf in leaves:
            node, index, made = leaf, size, b""
            while index & 1:
                node = _sha256(b"\x01" + edge.pop() + node).digest()
                made += node
                index >>= 1
            edge.append(node)
            above.append(made)
            size += 1
        return Frontier(size, tuple(edge)), above

    def extend(self, leaves: Sequence[bytes]) -> Frontier:
        """The tree with many more leaf hashes; the fast way where the nodes are not wanted."""
        size, edge = self.size, list(self.edge)
        start, left = 0, len(leaves)
        while left:
            # The largest complete subtree that starts at `size` and fits in what is left.
            aligned = size & -size if size else left
            level = min(aligned, left).bit_length() - 1
            node = _complete_root(leaves[start : start + (1 << level)])
            start += 1 << level
            left -= 1 << level
            index = size >> level
            size += 1 << level
            while index & 1:
                node = _sha256(b"\x01" + edge.pop() + node).digest()
                index >>= 1
            edge.append(node)
        return Frontier(size, tuple(edge))

    def root(self) -> bytes:
        """The RFC 6962 tree hash of all leaves."""
        if not self.edge:
            return EMPTY_ROOT
        node = self.edge[-1]
        for left in self.edge[-2::-1]:
            node = _sha256(b"\x01" + left + node).digest()
        return node

    @classmethod
    def from_nodes(cls, size: int, read: NodeReader) -> Frontier:
        """The edge of a tree of `size` leaves from stored nodes: one read a 1 bit of `size`."""
        return cls(size, tuple(read(level, index) for level, index in edge_nodes(size)))


def edge_nodes(size: int) -> list[tuple[int, int]]:
    """(level, index) of the complete subtrees a tree of `size` consists of, largest first."""
    if size < 0:
        raise BadInput(f"tree size is {size}; expected 0 or more")
    found = []
    start = 0
    for level in range(size.bit_length() - 1, -1, -1):
        if size >> level & 1:
            found.append((level, start >> level))
            start += 1 << level
    return found


def inclusion_proof(index: int, size: int, read: NodeReader) -> list[bytes]:
    """The audit path of leaf `index` in the tree of the first `size` leaves, sibling first.

    Raises `BadInput` unless `0 <= index < size`, and what `read` raises for an absent node.
    """
    if not 0 <= index < size:
        raise BadInput(
            f"leaf index is {index} for a tree of size {size}; "
            f"expected {'no proof, the tree is empty' if not size else f'0 to {size - 1}'}"
        )
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_range_hash(middle, end, read))
            end = middle
        else:
            path.append(_range_hash(start, middle, read))
            start = middle
    path.reverse()
    return path


def consistency_proof(old_size: int, new_size: int, read: NodeReader) -> list[bytes]:
    """The proof that the first `old_size` leaves of the tree of `new_size` are unchanged.

    Empty where `old_size` is 0 or equals `new_size`. Raises `BadInput` unless
    `0 <= old_size <= new_size`, and what `read` raises for an absent node.
    """
    if not 0 <= old_size <= new_size:
        raise BadInput(
            f"sizes are {old_size} and {new_size}; expected 0 <= old size <= new size: "
            "a log never shrinks, so ask for the proof from the smaller to the larger"
        )
    if old_size in (0, new_size):
        return []
    path: list[bytes] = []
    start, end = 0, new_size
    on_old_edge = True
    while old_size != end:
        middle = start + _split(end - start)
        if old_size <= middle:
            path.append(_range_hash(middle, end, read))
            end = middle
        else:
            path.append(_range_hash(start, middle, read))
            start = middle
            on_old_edge = False
    if not on_old_edge:
        path.append(_range_hash(start, end, read))
    path.reverse()
    return path


def verify_inclusion(
    leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes
) -> bool:
    """Whether `path` proves the leaf hash `leaf` at `index` in the tree (`size`, `root`)."""
    if not 0 <= index < size:
        return False
    node, last = index, size - 1
    found = leaf
    for sibling in path:
        if last == 0:
            return False
        if node & 1 or node == last:
            found = node_hash(sibling, found)
            while node and not node & 1:
                node >>= 1
                last >>= 1
        else:
            found = node_hash(found, sibling)
        node >>= 1
        last >>= 1
    return last == 0 and found == root


def verify_consistency(
    old_size: int,
    new_size: int,
    old_root: bytes,
    new_root: bytes,
    path: Sequence[bytes],
) -> bool:
    """Whether `path` proves that the tree (`new_size`, `new_root`) continues the old one.

    From size 0 only the empty root and an empty path are accepted; at equal sizes only equal
    roots and an empty path; a new tree smaller than the old one is never consistent with it.
    """
    if not 0 <= old_size <= new_size:
        return False
    if old_size == new_size:
        return not path and old_root == new_root
    if old_size == 0:
        return not path and old_root == EMPTY_ROOT
    hashes = list(path)
    if not old_size & (old_size - 1):
        hashes.insert(0, old_root)
    if not hashes:
        return False
    node, last = old_size - 1, new_size - 1
    while node & 1:
        node >>= 1
        last >>= 1
    old = new = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old = node_hash(sibling, old)
            new = node_hash(sibling, new)
            while node and not node & 1:
                node >>= 1
                last >>= 1
        else:
            new = node_hash(new, sibling)
        node >>= 1
        last >>= 1
    return last == 0 and old == old_root and new == new_root


def tree_nodes(leaves: Sequence[bytes]) -> dict[tuple[int, int], bytes]:
    """All complete nodes over `leaves` by (level, index): a node reader's map for small trees."""
    nodes: dict[tuple[int, int], bytes] = {}
    level = 0
    row = list(leaves)
    while row:
        nodes.update(((level, index), node) for index, node in enumerate(row))
        row = next_level(row)
        level += 1
    return nodes


def reader(nodes: dict[tuple[int, int], bytes]) -> NodeReader:
    """A node reader over a map; an absent node raises `KeyError`."""
    return lambda level, index: nodes[level, index]


def next_level(row: Sequence[bytes]) -> list[bytes]:
    """The complete nodes above a level, in order; an odd last node has none above it yet."""
    sha256 = _sha256
    pairs = iter(row)
    return [
        sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=False)
    ]


def _complete_root(leaves: Sequence[bytes]) -> bytes:
    """Root of 2**k leaves."""
    row = leaves
    while len(row) > 1:
        row = next_level(row)
    return row[0]


def _split(width: int) -> int:
    """The largest power of two smaller than `width` (>= 2)."""
    return 1 << ((width - 1).bit_length() - 1)


def _range_hash(start: int, end: int, read: NodeReader) -> bytes:
    """Tree hash of leaves start..end-1, where `start` is a multiple of the next power of two."""
    complete = []
    while start < end:
        level = (end - start).bit_length() - 1
        complete.append(read(level, start >> level))
        start += 1 << level
    node = complete.pop()
    while complete:
        node = node_hash(complete.pop(), node)
    return node
