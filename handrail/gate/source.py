"""From the text of a policy file to nodes with places: strict YAML 1.2, bounded, all at once.

Only what a reviewer can read without knowing YAML's corners is accepted: no duplicate keys,
anchors, aliases, tags, directives or second documents; `NO`, `on` and `10:30` stay text. After
`when:` and `because:` under `rules:`, and after each name under `values:`, block style takes the
text raw to the end of the line, so that conditions need no quoting.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import yaml

from handrail.model.errors import Mistake

if TYPE_CHECKING:
    from ruamel.yaml.error import MarkedYAMLError

MAX_BYTES = 256 * 1024
"""Largest policy file, bytes."""
MAX_DEPTH = 16
"""Deepest nesting of mappings and lists in a policy file."""
MAX_NODES = 30_000
"""Most values (keys, items, texts) in a policy file."""
MAX_MISTAKES = 200
"""Most mistakes of YAML's grammar that are named at once."""


class Node:
    """A value of the file with its place. `line` and `column` count from 1."""

    __slots__ = ("column", "items", "kind", "line", "style", "text")

    def __init__(self, kind: str, line: int, column: int) -> None:
        self.kind = kind
        """`scalar`, `list` or `map`."""
        self.line = line
        self.column = column
        self.text = ""
        self.style = ""
        """Scalars: `plain`, `quoted`, `block` or `raw`."""
        self.items: list[Any] = []
        """Lists: nodes. Maps: (key node, value node) pairs."""

    @property
    def value(self) -> Any:
        """A scalar by YAML 1.2's core schema: None, bool, int, exact Decimal or text."""
        if self.style != "plain":
            return self.text
        return _resolve(self.text)

    @property
    def shown(self) -> str:
        """The node as a message names it."""
        if self.kind == "scalar":
            return f"`{shorten(self.text)}`" if self.text or self.style != "plain" else "nothing"
        return "a list" if self.kind == "list" else "a mapping"


def shorten(text: str, most: int = 60) -> str:
    """`text` on one line, cut in the middle of long ones, for messages."""
    line = "".join(c if c.isprintable() else "·" for c in text[: most * 4])
    return line if len(line) <= most and len(text) <= most * 4 else line[: most - 1] + "…"


def lookalike(text: str) -> str:
    """The first letter that is not Latin beside Latin ones in a word, in words; or nothing.

    `pаyment` with a Cyrillic а looks like `payment` and is another text.
    """
    for word in () if text.isascii() else re.findall(r"\w+", text):
        scripts = {unicodedata.name(c, "?").partition(" ")[0]: c for c in word if c.isalpha()}
        if "LATIN" in scripts:
            for script in ("CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC"):
                if script in scripts:
                    return f"the letter {unicodedata.name(scripts[script])}"
    return ""


_INT = re.compile(r"[-+]?[0-9]{1,400}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,400}|[0-9]{1,400}(\.[0-9]{0,400})?)([eE][-+]?[0-9]{1,3})?")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def _resolve(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return Decimal(text)
    return text


def _mistake(path: str, line: int, column: int, what: str, expected: str, fix: str) -> Mistake:
    return Mistake(
        path=path, line=line, column=column, what=what, expected=f"expected {expected}", fix=fix
    )


def read(
    text: str | bytes, path: str, *, quick: bool = False
) -> tuple[Node | None, str, list[Mistake]]:
    """The root mapping, the decoded text and the mistakes; the root is None where none is usable.

    After a mistake of YAML's own grammar nothing behind it can be read, so it comes last. `quick`
    lets libyaml read what it reads to the same nodes, many times faster; only the places of values
    that are not there differ, so what is found wrong afterwards is to be named after a reading
    that was not quick.
    """

    def wrong(what: str, expected: str, fix: str, line: int = 1, column: int = 1) -> Mistake:
        return _mistake(path, line, column, what, expected, fix)

    size = len(text) if isinstance(text, bytes) else len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        return (
            None,
            "",
            [
                wrong(
                    f"the file has {size:,} bytes",
                    f"at most {MAX_BYTES:,} are read",
                    "put long lists into files of their own: `{file: lists/name.csv}`",
                )
            ],
        )
    if isinstance(text, bytes):
        data = text
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            return (
                None,
                "",
                [wrong("a byte that is not UTF-8", "UTF-8 text", "save the file as UTF-8", line)],
            )
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    rewritten, raw, mistakes = _take_raw(text, path)
    if quick and not mistakes:
        found = _quickly(path, raw, rewritten)
        if found is not None:
            return found, text, []
    # Only a file in doubt needs it: every start would have to load it.
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.reader import ReaderError

    builder = _Builder(path, raw, rewritten)
    root: Node | None = None
    try:
        root = builder.document(iter(YAML(typ="safe", pure=True).parse(rewritten)))
    except _Stop:
        pass
    except ReaderError as error:
        before = rewritten[: error.position]
        builder.mistakes.append(
            wrong(
                "a character that YAML does not allow (a control character or half a pair)",
                "printable text",
                "delete it or write it as an escape inside double quotes",
                before.count("\n") + 1,
                len(before) - (before.rfind("\n") + 1) + 1,
            )
        )
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        builder.mistakes.append(wrong(*_unreadable(error, rewritten), *place))
    except (YAMLError, ValueError, OverflowError) as error:
        builder.mistakes.append(
            wrong(f"not YAML: {shorten(str(error))}", "YAML 1.2", "correct the file")
        )
    mistakes += builder.mistakes
    if root is None and not mistakes:
        mistakes.append(
            wrong("the file is empty", "a mapping that starts with `handrail: 1`", "write a policy")
        )
    if root is not None and root.kind != "map":
        mistakes.append(
            wrong(
                f"the file holds {root.shown}",
                "a mapping that starts with `handrail: 1`",
                "write keys such as `workflow:` at the start of lines",
                root.line,
                root.column,
            )
        )
        root = None
    return root, text, mistakes


def _unreadable(error: MarkedYAMLError, text: str) -> tuple[str, str, str]:
    """What is, what was expected and what to do, where the file is no YAML."""
    problem = error.problem or error.context or "unreadable"
    mark = error.problem_mark
    line = text.split("\n")[mark.line] if mark is not None else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return ("a tab at the start of the line", "blanks", "put blanks in its place")
    before = text.split("\n")[max(0, mark.line - 1)] if mark is not None else ""
    for one in (line, before):
        if re.match(r" *[\u00a0\u2000-\u200b\u202f\u3000]", one):
            return (
                "a blank that is none, at the start of this line or the one before",
                "plain blanks",
                "put plain blanks in its place; it comes from a word processor or a web page",
            )
    if "expected <block end>" in problem:
        return (
            "this line is indented otherwise than the lines it belongs to",
            "keys of one section below each other",
            "give it the same number of blanks as its neighbours",
        )
    if "expected ':'" in problem:
        return (
            "a key without its value before this place",
            "`key: value` on each line",
            "put a colon and a blank behind the key",
        )
    return (
        f"not YAML here: {problem}",
        "YAML 1.2 with even indentation",
        "quote text that starts with a sign or holds `: ` or ` #`",
    )


_UNLIKE = (
    ("", re.compile(r"[\t\x85\u2028\u2029\ufeff]")),
    (":", re.compile(r"""["']\s*:\S""")),
    ("#", re.compile(r"[|>][-+0-9]*#")),
    ("?", re.compile(r"(?:^|[\n\[{,-])\s*\?")),
)
"""Where YAML 1.1, which libyaml reads, may mean another than YAML 1.2, each with a character it has
to hold: tabs and other line breaks, `"key":value`, a comment at a block's sign, keys with `?`."""


def _quickly(path: str, raw: dict[tuple[int, int], str], text: str) -> Node | None:
    """The root mapping by libyaml; None where there is any doubt."""
    loader = getattr(yaml, "CSafeLoader", None)
    if loader is None or any(sign in text and like.search(text) for sign, like in _UNLIKE):
        return None
    builder = _Builder(path, raw, text)
    reading = None
    try:
        reading = loader(text)
        # As `yaml.parse`, which asks before each event whether there is one.
        root = builder.document(iter(reading.get_event, None))
    except (_Stop, yaml.YAMLError, ValueError, OverflowError):
        return None
    finally:
        if reading is not None:
            reading.dispose()
    return root if root is not None and root.kind == "map" and not builder.mistakes else None


class _Stop(Exception):
    """What follows cannot be read; the reason is among the mistakes."""


class _Builder:
    """Nodes from YAML events, with every refused feature named once at its place."""

    def __init__(self, path: str, raw: dict[tuple[int, int], str], text: str) -> None:
        self.path = path
        self.directive = text[: ("\n" + text).find("\n%")].count("\n") + 1
        self.raw = raw
        self.mistakes: list[Mistake] = []
        self.count = 0

    def wrong(self, event: Any, what: str, expected: str, fix: str) -> None:
        self.bounded()
        mark = event.start_mark
        self.mistakes.append(
            _mistake(self.path, mark.line + 1, mark.column + 1, what, expected, fix)
        )

    def bounded(self) -> None:
        if len(self.mistakes) >= MAX_MISTAKES:
            raise _Stop

    def document(self, events: Iterator[Any]) -> Node | None:
        root: Node | None = None
        documents = 0
        for event in events:
            kind = type(event).__name__
            if kind == "DocumentStartEvent":
                documents += 1
                if event.version is not None or event.tags:
                    self.mistakes.append(
                        _mistake(
                            self.path,
                            self.directive,
                            1,
                            "a YAML directive (`%…`)",
                            "none",
                            "delete the line",
                        )
                    )
                if documents > 1:
                    self.wrong(
                        event, "a second document", "one policy a file", "move it to its own file"
                    )
                    raise _Stop
            elif kind not in ("StreamStartEvent", "StreamEndEvent", "DocumentEndEvent"):
                root = self.node(event, events, 0)
        return root

    def node(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        kind = type(event).__name__
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        self.count += 1
        if self.count > MAX_NODES:
            self.wrong(
                event,
                f"more than {MAX_NODES:,} values in the file",
                f"at most {MAX_NODES:,}",
                "put long lists into files of their own: `{file: lists/name.csv}`",
            )
            raise _Stop
        if depth > MAX_DEPTH:
            self.wrong(
                event,
                f"nested deeper than {MAX_DEPTH}",
                f"at most {MAX_DEPTH} levels",
                "write it flatter",
            )
            raise _Stop
        if kind == "AliasEvent":
            self.wrong(
                event, f"an alias (`*{event.anchor}`)", "plain values", "write the value out"
            )
            return Node("scalar", line, column)
        if event.anchor is not None:
            self.wrong(event, f"an anchor (`&{event.anchor}`)", "plain values", "delete the anchor")
        if event.tag is not None:
            tag = str(event.tag).replace("tag:yaml.org,2002:", "!!")
            self.wrong(event, f"a tag (`{tag}`)", "plain values", "delete the tag")
        if kind == "ScalarEvent":
            node = Node("scalar", line, column)
            node.text = event.value
            raw = self.raw.get((line, column))
            if raw is not None:
                node.text, node.style = raw, "raw"
            elif event.style in ("|", ">"):
                node.style = "block"
                node.text = event.value.rstrip("\n")
            else:
                node.style = "quoted" if event.style else "plain"
            return node
        if kind == "SequenceStartEvent":
            node = Node("list", line, column)
            for inner in events:
                if type(inner).__name__ == "SequenceEndEvent":
                    break
                node.items.append(self.node(inner, events, depth + 1))
            return node
        node = Node("map", line, column)
        seen: dict[str, Node] = {}
        for inner in events:
            if type(inner).__name__ == "MappingEndEvent":
                break
            key = self.node(inner, events, depth + 1)
            value = self.node(next(events), events, depth + 1)
            self.bounded()
            if key.kind != "scalar":
                self.mistakes.append(
                    _mistake(
                        self.path,
                        key.line,
                        key.column,
                        f"{key.shown} as a key",
                        "a name",
                        "write `name: value`",
                    )
                )
                continue
            first = seen.setdefault(key.text, key)
            if first is not key:
                self.mistakes.append(
                    _mistake(
                        self.path,
                        key.line,
                        key.column,
                        f"the key `{shorten(key.text)}` is here a second time",
                        f"once (first on line {first.line})",
                        "delete one of the two",
                    )
                )
                continue
            node.items.append((key, value))
        return node


# --------------------------------------------------------------------- raw text to end of line

_SECTION = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)\s*:(?:\s|$)")
_RULE_KEY = re.compile(r"(\s*(?:-\s+)*)(when|because)(\s*:)(?:[ \t]+(.*))?$")
_VALUE_KEY = re.compile(r"(\s+)([A-Za-z_][A-Za-z0-9_.-]*)(\s*:)(?:[ \t]+(.*))?$")
_BLOCK = re.compile(r"[|>][-+0-9]{0,2}\s*(#.*)?$")
_PLAIN_KEY = re.compile(r"[^\s#][^#]*?:(?=\s|$)")
_DASHES = re.compile(r"\s*(?:-(?:\s+|$))*")


def _take_raw(text: str, path: str) -> tuple[str, dict[tuple[int, int], str], list[Mistake]]:
    """Quote the raw texts for YAML, and remember each by the place where its value starts."""
    lines = text.split("\n")
    raw: dict[tuple[int, int], str] = {}
    mistakes: list[Mistake] = []
    section = ""
    value_indent: int | None = None
    block_over: int | None = None  # inside a block scalar: its lines are indented deeper than this
    flow = _Flow()
    for index, line in enumerate(lines):
        stripped = line.strip()
        indent = len(line) - len(line.lstrip(" "))
        if block_over is not None:
            if not stripped or indent > block_over:
                continue
            block_over = None
        if flow.open:
            flow.feed(line, 0)
            continue
        if not stripped or stripped.startswith("#"):
            continue
        if indent == 0 and (found := _SECTION.match(line)):
            section, value_indent = found[1], None
        match = None
        if section == "rules":
            match = _RULE_KEY.match(line)
        elif section == "values" and indent > 0:
            match = _VALUE_KEY.match(line)
            if match and value_indent is None:
                value_indent = indent
            if match and indent != value_indent:
                match = None
        if match is None:
            block_over = _follow(line, flow)
            continue
        key_column = len(match[1])
        rest = (match[4] or "").strip()
        start = match.start(4) if match[4] is not None else len(line)

        def wrong(what: str, expected: str, fix: str, column: int, at: int = index) -> None:
            if len(mistakes) < MAX_MISTAKES:
                mistakes.append(_mistake(path, at + 1, column + 1, what, expected, fix))

        name = match[2]
        deeper = _deeper_line(lines, index, key_column)
        if not rest or rest.startswith("#"):
            if deeper is not None:
                wrong(
                    f"the text of `{name}:` starts on the next line",
                    "text on the same line",
                    f"write it behind `{name}:`, or `{name}: |` for several lines",
                    len(match[1]),
                )
                block_over = key_column
            continue
        if _BLOCK.match(rest):
            block_over = key_column
            continue
        if rest[0] in "\"'" and _wholly_quoted(lines, index, start, key_column):
            flow.feed(line, start)
            continue
        comment = _comment_at(rest, prose=name == "because")
        if comment is not None:
            wrong(
                f"a comment directly behind the text of `{name}:`",
                f"the text alone: `{name}:` takes everything to the end of the line",
                "move the comment to a line of its own, or quote the whole text",
                start + comment,
            )
            rest = rest[:comment].rstrip()
        if deeper is not None:
            wrong(
                f"the text of `{name}:` goes on on the next line",
                "text that ends with its line",
                f"write it on one line, or as a block: `{name}: |`",
                len(lines[deeper]) - len(lines[deeper].lstrip()),
                deeper,
            )
            block_over = key_column
            for later in range(deeper, len(lines)):
                body = lines[later]
                if body.strip() and len(body) - len(body.lstrip(" ")) <= key_column:
                    break
                # Read as if it had been on one line, so that this is the only mistake.
                if not body.lstrip().startswith("#"):
                    rest = f"{rest} {body.strip()}".rstrip()
                lines[later] = ""
        raw[(index + 1, start + 1)] = rest
        lines[index] = line[:start] + "'" + rest.replace("'", "''") + "'"
    return "\n".join(lines), raw, mistakes


def _deeper_line(lines: list[str], index: int, key_column: int) -> int | None:
    """Index of the next line with text if it is indented deeper than the key, else None."""
    for later in range(index + 1, min(len(lines), index + 200)):
        body = lines[later]
        if body.strip():
            if body.lstrip().startswith("#"):
                continue
            return later if len(body) - len(body.lstrip(" ")) > key_column else None
    return None


def _closing(text: str, start: int, quote: str) -> int | None:
    """Index of the quote that closes a scalar whose body starts at `start`, or None."""
    at = start
    while at < len(text):
        c = text[at]
        if quote == '"' and c == "\\":
            at += 2
            continue
        if c == quote:
            if quote == "'" and text[at + 1 : at + 2] == "'":
                at += 2
                continue
            return at
        at += 1
    return None


def _wholly_quoted(lines: list[str], index: int, start: int, key_column: int) -> bool:
    quote = lines[index][start]
    text, begin = lines[index], start + 1
    for later in range(index + 1, min(len(lines) + 1, index + 200)):
        end = _closing(text, begin, quote)
        if end is not None:
            after = text[end + 1 :]
            return not after.strip() or bool(re.match(r"\s+#", after))
        if later >= len(lines):
            return False
        text, begin = lines[later], 0
        if text.strip() and len(text) - len(text.lstrip(" ")) <= key_column:
            return False
    return False


def _comment_at(rest: str, *, prose: bool) -> int | None:
    """Where ` #` starts outside the quotes of an expression (prose has none), or None."""
    quote = ""
    at = 0
    while at < len(rest):
        c = rest[at]
        if quote:
            if c == "\\":
                at += 1
            elif c == quote:
                quote = ""
        elif c in "\"'" and not prose:
            quote = c
        elif c == "#" and at and rest[at - 1] in " \t":
            return at
        at += 1
    return None


def _follow(line: str, flow: _Flow) -> int | None:
    """Walk a line of ordinary YAML; the indent a block scalar that starts on it must exceed."""
    at = _DASHES.match(line).end()  # type: ignore[union-attr]
    parent = max(at - 2, 0) if "-" in line[:at] else at
    for _ in range(4):
        rest = line[at:]
        if not rest or rest[0] == "#":
            return None
        if _BLOCK.match(rest):
            return parent
        if rest[0] in "[{\"'":
            end = flow.feed(line, at)
            tail = line[end:]
            if flow.open or not re.match(r"\s*:(\s|$)", tail):
                return None
            parent = at
            at = end + tail.index(":") + 1
        else:
            key = _PLAIN_KEY.match(rest)
            if key is None:
                return None
            parent = at
            at += key.end()
        at += len(line[at:]) - len(line[at:].lstrip())
    return None


_PIECE = re.compile(r"""[^"'\[\]{}\#]+|.""", re.DOTALL)
_QUOTES = frozenset("\"'")
_OPENING = frozenset("[{")
_CLOSING = frozenset("]}")
_PARTING = (",", ":")


class _Flow:
    """How deep in `[…]`, `{…}` or a quoted scalar the walk is; both may span lines."""

    def __init__(self) -> None:
        self.depth = 0
        self.quote = ""

    @property
    def open(self) -> bool:
        return bool(self.depth or self.quote)

    def feed(self, line: str, at: int) -> int:
        """Walk on from `at`; the index behind the collection or scalar, or the line's end."""
        begins = True
        while at < len(line):
            if self.quote:
                end = _closing(line, at, self.quote)
                if end is None:
                    return len(line)
                self.quote = ""
                at = end + 1
                begins = False
                if not self.depth:
                    return at
                continue
            token = _PIECE.match(line, at)
            if token is None:
                return len(line)
            c = token[0]
            if c in _QUOTES and begins:
                self.quote = c
            elif c in _OPENING:
                self.depth += 1
                begins = True
            elif c in _CLOSING:
                self.depth = max(0, self.depth - 1)
                begins = False
                if not self.depth:
                    return at + 1
            elif c == "#" and (at == 0 or line[at - 1] in " \t"):
                return len(line)
            elif words := c.rstrip():
                begins = words.endswith(_PARTING)
            at = token.end()
        return at
