"""Keywords in a text: every keyword of a policy in one search, with the place of each hit.

A text and a keyword are folded the same way (`fold`): any case, any Unicode spelling of the same
letters, no invisible characters. A word is a run of letters, marks and digits; a keyword is one
word or a phrase, whose words may be apart by blanks, line ends, hyphens, apostrophes or `_`. So
`refund` is in "REFUND!", "the refund's" and "refund_request", and not in "prefund".

English inflection of each word of at least three letters a to z, unless a list is looked for
exactly: `s`, `es` (behind s, x, z, ch, sh), `ies` (for y behind a consonant), `ed`, `d` (behind
e), `ied`, `ing` (an e at the end goes), and the doubled consonant of `stopped`, `stopping`.
Only forms of what is listed count: `refunds` in a list does not find "refund".

One RE2 pattern over all keywords says whether there is a hit at all; only then the words are
walked one by one, so that hits may overlap and lie in several lists.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import re2

MAX_KEYWORDS = 5_000
"""Most keywords (items of lists, counted for each text they are looked for in) of one policy."""
MAX_KEYWORD = 100
"""Longest keyword, characters."""
MAX_HITS = 100
"""Most places of hits that are kept; whether there is one is always exact."""

_WORD = r"[\pL\pN\pM]"
_GAP = r"[\s\x{2010}-\x{2015}'’_-]+"
_WORDS = re2.compile(_WORD + "+")
_GAPS = re2.compile(_GAP)
_IGNORED = dict.fromkeys(
    (
        0xAD,
        0x34F,
        0x61C,
        0x180E,
        0xFEFF,
        *range(0x200B, 0x2010),
        *range(0x202A, 0x202F),
        *range(0x2060, 0x2070),
        *range(0xFE00, 0xFE10),
    )
)
"""Characters without a shape of their own: soft hyphen, joiners, directions, variants."""
_VOWELS = "aeiou"


class Hit(NamedTuple):
    """A keyword that was found."""

    source: int
    """Index of the list it stands in, as given to `Search`."""
    word: str
    """As the list spells it."""
    start: int
    """Where it starts in the text, in code points."""
    end: int
    """Where it ends, exclusive."""


def fold(text: str) -> str:
    """The text as keywords are compared: Unicode NFKC, folded case, nothing invisible."""
    if text.isascii():
        return text.lower()
    plain = text.translate(_IGNORED)
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", plain).casefold())


def split(keyword: str) -> tuple[str, ...]:
    """The folded words of a keyword."""
    return tuple(_WORDS.findall(fold(keyword)))


def odd(keyword: str) -> str:
    """The first character that is neither part of a word nor a gap between two; or nothing."""
    return next(iter(_GAPS.sub("", _WORDS.sub("", fold(keyword).strip()))), "")


def forms(word: str) -> tuple[str, ...]:
    """The folded word with its English inflections."""
    if len(word) < 3 or not (word.isascii() and word.isalpha()):
        return (word,)
    last, before = word[-1], word[-2]
    found = [word]
    if last in "sxz" or word.endswith(("ch", "sh")):
        found.append(word + "es")
    elif last == "y" and before not in _VOWELS:
        found += [word[:-1] + "ies", word[:-1] + "ied", word + "ing"]
    else:
        found.append(word + "s")
    if last == "e":
        found.append(word + "d")
        found.append(word + "ing" if before in "eoy" else word[:-1] + "ing")
    elif not (last == "y" and before not in _VOWELS):
        found += [word + "ed", word + "ing"]
    if last not in _VOWELS + "hwxy" and before in _VOWELS and word[-3] not in _VOWELS:
        found += [word + last + "ed", word + last + "ing"]
    return tuple(dict.fromkeys(found))


class _Step:
    """What may follow, and which keywords end here: (source, as it is spelt)."""

    __slots__ = ("ends", "then")

    def __init__(self) -> None:
        self.then: dict[tuple[str, bool], _Step] = {}
        self.ends: list[tuple[int, str]] = []


class Search:
    """All keywords that are looked for in one text; `sources` are (keywords, exactly) pairs."""

    def __init__(self, sources: Sequence[tuple[Iterable[str], bool]]) -> None:
        self._root = _Step()
        self._means: dict[str, list[tuple[str, bool]]] = {}
        self._sources = [(tuple(dict.fromkeys(words)), exact) for words, exact in sources]
        for source, (keywords, exact) in enumerate(self._sources):
            for keyword in keywords:
                self._add(source, keyword, exact)
        whole = self._pattern(range(len(self._sources)))
        self._any: Any = None if whole is None else _compiled(whole)

    def _add(self, source: int, keyword: str, exact: bool) -> None:
        step = self._root
        words = split(keyword)
        for word in words:
            key = (word, exact)
            for form in (word,) if exact else forms(word):
                means = self._means.setdefault(form, [])
                if key not in means:
                    means.append(key)
            step = step.then.setdefault(key, _Step())
        if words:
            step.ends.append((source, keyword))

    def _pattern(self, sources: Iterable[int]) -> str | None:
        found = dict.fromkeys(
            _GAP.join(_either((word,) if exact else forms(word)) for word in words)
            for keywords, exact in (self._sources[source] for source in sources)
            for keyword in keywords
            if (words := split(keyword))
        )
        if not found:
            return None
        edge = _WORD.replace("[", "[^", 1)
        return f"(?:^|{edge})(?:{'|'.join(found)})(?:$|{edge})"

    def pattern(self, source: int) -> str | None:
        """An RE2 pattern that is found in a folded text exactly where `find` has a hit of this
        source; None where the source has no keyword."""
        return self._pattern([source])

    def find(self, text: str) -> tuple[Hit, ...]:
        """The hits in a text by place; at most `MAX_HITS`, but of every source that has one."""
        folded = fold(text)
        if self._any is None or self._any.search(folded) is None:
            return ()
        hits: list[Hit] = []
        seen: set[int] = set()
        active: list[tuple[_Step, int]] = []
        behind = 0
        for match in _WORDS.finditer(folded):
            start, end = match.span()
            if active and _GAPS.fullmatch(folded[behind:start]) is None:
                active = []
            active.append((self._root, start))
            behind = end
            means = self._means.get(match[0], ())
            moved: list[tuple[_Step, int]] = []
            for step, begin in active if means else ():
                for key in means:
                    following = step.then.get(key)
                    if following is None:
                        continue
                    moved.append((following, begin))
                    for source, word in following.ends:
                        if len(hits) < MAX_HITS or source not in seen:
                            seen.add(source)
                            hits.append(Hit(source, word, begin, end))
            active = moved
        places = None if text.isascii() else _places(text, folded)
        if places is not None:
            hits = [hit._replace(start=places[hit.start], end=places[hit.end]) for hit in hits]
        return tuple(sorted(hits, key=lambda hit: (hit.start, hit.end, hit.source, hit.word)))


def _either(words: tuple[str, ...]) -> str:
    return words[0] if len(words) == 1 else f"(?:{'|'.join(words)})"


def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 256 << 20
    return re2.compile(pattern, options)


def _places(text: str, folded: str) -> list[int]:
    """For each offset of the folded text the offset of the text that it comes from.

    Letters that fold together (a letter and its marks, a Korean syllable in parts) are one piece,
    and every offset inside a piece is the start of it.
    """
    pieces: list[tuple[int, str]] = []
    for at, c in enumerate(text):
        first = unicodedata.normalize("NFKC", c)[:1]
        if pieces and (_continues(first) or ord(c) in _IGNORED):
            pieces[-1] = (pieces[-1][0], pieces[-1][1] + c)
        else:
            pieces.append((at, c))
    places: list[int] = []
    for at, piece in pieces:
        places += [at] * len(fold(piece) if not piece.isascii() else piece.lower())
    if len(places) != len(folded):
        return [0] * len(folded) + [len(text)]
    return [*places, len(text)]


def _continues(c: str) -> bool:
    return bool(c and (unicodedata.category(c)[0] == "M" or 0x1160 <= ord(c) <= 0x11FF))
