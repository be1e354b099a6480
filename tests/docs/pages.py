"""Documentation that runs: how the blocks of a page become steps, and how they are executed.

Every `python` and `sh` block of a page is run, in the order of the page, in one empty folder. A
comment on the line above a block changes that; it is not shown to readers:

    <!-- not run: reason -->        the block is not run, and the reason is a sentence
    <!-- background -->             started, and left running while the next blocks run; it must
                                    end well before the page ends
    <!-- file: policies/x.yaml -->  the text of the block is written to that file
    <!-- output -->                 what the block before printed; a line `…` stands for any lines,
                                    `…` inside a line for any text
    <!-- fails: 3 -->               the command ends with this exit code

Other blocks (`text`, `yaml` …) are left alone unless a comment says more, but see `policies`.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DIRECTIVE = re.compile(r"^<!-- *(?P<word>[a-z ]+?)(?:: *(?P<rest>.*?))? *-->$")
FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,}) *(?P<language>[\w-]*)")
WORDS = {"background", "fails", "file", "not run", "output"}
RUN = {"python", "sh"}
PATIENCE = 120
"""Seconds after which a block is taken to hang."""


class PageError(Exception):
    """A block did not do what the page says; the message begins with `page:line`."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block: `line` counts from 1, `word` and `rest` are its comment's, or empty."""

    page: str
    line: int
    language: str
    text: str
    word: str = ""
    rest: str = ""

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: str, text: str) -> Iterator[Block]:
    """Every fenced block of a page, with the comment above it."""
    word = rest = ""
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        if directive := DIRECTIVE.match(line.strip()):
            word, rest = directive["word"], directive["rest"] or ""
            if word not in WORDS:
                word = rest = ""  # an ordinary comment
            continue
        if not (fence := FENCE.match(line)):
            if line.strip():
                word = rest = ""
            continue
        body = []
        for _, inner in lines:
            if inner.strip() == fence["ticks"]:
                break
            body.append(inner.removeprefix(fence["indent"]))
        else:
            raise PageError(f"{page}:{number}: the block never ends; close it with ```")
        if word == "not run" and not rest:
            raise PageError(f"{page}:{number}: `not run` needs a reason")
        yield Block(
            page=page,
            line=number,
            language=fence["language"],
            text="\n".join(body) + "\n",
            word=word,
            rest=rest,
        )
        word = rest = ""


def runs(page: str, text: str) -> list[Block]:
    """The blocks of a page that do something when the page is executed."""
    return [
        block
        for block in blocks(page, text)
        if block.word != "not run" and (block.word or block.language in RUN)
    ]


def policies(page: str, text: str) -> list[Block]:
    """The complete policy files shown on a page."""
    return [
        block
        for block in blocks(page, text)
        if block.language == "yaml" and re.search(r"^handrail: \d", block.text, re.MULTILINE)
    ]


def matches(shown: str, printed: str) -> bool:
    """Whether an output block describes what was printed; spaces at line ends do not count."""
    pattern = ""
    for line in shown.strip("\n").splitlines():
        if line.strip() == "…":
            pattern += r"(?:.*\n)*"
        else:
            pattern += ".*".join(map(re.escape, line.rstrip().split("…"))) + r"\n"
    text = "".join(line.rstrip() + "\n" for line in printed.strip("\n").splitlines())
    return re.fullmatch(pattern, text) is not None


class Runner:
    """Executes the blocks of one page in one folder, with nothing of this machine's settings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.printed = ""
        self.background: list[tuple[Block, subprocess.Popen[str]]] = []
        kept = ("PATH", "LANG", "TMPDIR", "SSL_CERT_FILE")
        self.environment = {key: os.environ[key] for key in kept if key in os.environ}
        self.environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment |= {"HOME": str(folder), "COLUMNS": "100", "NO_COLOR": "1"}
        self.environment["PYTHONWARNINGS"] = "error::SyntaxWarning"

    def command(self, block: Block) -> list[str]:
        if block.language == "python":
            return [sys.executable, "-c", block.text]
        shell = shutil.which("bash") or "sh"
        return [shell, "-e", "-u", "-c", block.text]

    def start(self, block: Block) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(block),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def end(self, block: Block, process: subprocess.Popen[str], code: int = 0) -> None:
        try:
            printed, _ = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            printed, _ = process.communicate()
            raise PageError(f"{block.place}: did not end within {PATIENCE} s\n{printed}") from None
        if process.returncode != code:
            raise PageError(
                f"{block.place}: ended with code {process.returncode}, not {code}\n{printed}"
            )
        self.printed = printed

    def step(self, block: Block) -> None:
        match block.word:
            case "file":
                path = self.folder / block.rest
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text, "utf-8")
            case "output":
                if not matches(block.text, self.printed):
                    raise PageError(
                        f"{block.place}: the page shows\n{block.text}\nbut this was printed\n"
                        f"{self.printed}"
                    )
            case "background":
                self.background.append((block, self.start(block)))
            case "fails":
                self.end(block, self.start(block), int(block.rest))
            case _:
                self.end(block, self.start(block))

    def run(self, page: list[Block]) -> None:
        """Every block in order, then the ones left in the background."""
        try:
            for block in page:
                self.step(block)
            for block, process in self.background:
                self.end(block, process)
        finally:
            for _, process in self.background:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.communicate()
