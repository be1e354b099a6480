"""Documentation that runs: how the blocks of a page become steps, and how they are executed.

Every `python` and `sh` block of a page is run, in the order of the page, in one empty folder. A
comment on the line above a block changes that; it is not shown to readers:

    <!-- not run: reason -->        the block is not run, and the reason is a sentence
    <!-- background -->             started, and left running from its first line of output on,
                                    as in a second terminal; it must end well before the page ends
    <!-- background: port 8421 -->  the same, for a server: it gets a free port instead of that one,
                                    here and in every block below, and Ctrl-C when the page ends
    <!-- so far -->                 as `output`, of the block in the background, while it runs
    <!-- file: policies/x.yaml -->  the text of the block is written to that file
    <!-- output -->                 what the block before printed; a line `…` stands for any lines,
                                    `…` inside a line for any text
    <!-- later -->                  as `output`, of the block in the background, once it has ended
    <!-- fails: 3 -->               the command ends with this exit code

An id that is cut short, such as `r_…`, stands in a command for the last id of its kind that was
printed. Other blocks (`text`, `yaml` …) are left alone unless a comment says more, but see
`policies`.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

DIRECTIVE = re.compile(r"^<!-- *(?P<word>[a-z ]+?)(?:: *(?P<rest>.*?))? *-->$")
FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,}) *(?P<language>[\w-]*)")
WORDS = {"background", "fails", "file", "later", "not run", "output", "so far"}
RUN = {"python", "sh"}
ID = re.compile(r"\b([a-z])_[0-9a-hjkmnp-tv-z]{26}\b")
PORT = re.compile(r"port (\d+)")
CUT = re.compile(r"\b([a-z])_…")
PATIENCE = 300
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


def free_port() -> str:
    """A port of loopback that nobody has just now."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return str(found.getsockname()[1])


class Started:
    """A process whose output is collected as it comes."""

    def __init__(self, block: Block, command: list[str], folder: Path, env: dict[str, str]) -> None:
        self.block = block
        self.printed = ""
        self._said = threading.Condition()
        self._over = False
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._said:
                self.printed += line
                self._said.notify_all()
        with self._said:
            self._over = True
            self._said.notify_all()

    def speaks(self, enough: Callable[[str], bool] = bool) -> None:
        """Wait until what it printed is enough (its first line), or it ended."""
        with self._said:
            self._said.wait_for(lambda: self._over or enough(self.printed), PATIENCE)

    def end(self, code: int = 0) -> str:
        """Wait for its end; returns all it printed. Raises `PageError` for another exit code."""
        place = self.block.place
        self._reader.join(PATIENCE)
        if self._reader.is_alive():
            self.kill()
            raise PageError(f"{place}: did not end within {PATIENCE} s\n{self.printed}")
        found = self._process.wait()
        if found != code:
            raise PageError(f"{place}: ended with code {found}, not {code}\n{self.printed}")
        return self.printed

    def interrupt(self) -> str:
        """Ctrl-C, and its end."""
        os.killpg(self._process.pid, signal.SIGINT)
        return self.end()

    def kill(self) -> None:
        """End it and all it started, if it still runs."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


class Runner:
    """Executes the blocks of one page in one folder, with nothing of this machine's settings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.printed = ""
        self.ids: dict[str, str] = {}
        self.background: list[Started] = []
        self.ports: dict[str, str] = {}
        """Port that the page shows → free port that is used."""
        kept = ("PATH", "LANG", "TMPDIR", "SSL_CERT_FILE")
        self.environment = {key: os.environ[key] for key in kept if key in os.environ}
        self.environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment |= {
            "COLUMNS": "100",
            "HANDRAIL_PERSON": "ann@example.com",
            "HOME": str(folder),
            "NO_COLOR": "1",
            "PYTHONUNBUFFERED": "1",
        }

    def start(self, block: Block) -> Started:
        if block.language == "python":
            command = [sys.executable, "-c", self.completed(block)]
        else:
            command = [shutil.which("bash") or "sh", "-e", "-u", "-c", self.completed(block)]
        return Started(block, command, self.folder, self.environment)

    def completed(self, block: Block) -> str:
        """The text of a block with ids in the place of `r_…`."""

        def last(cut: re.Match[str]) -> str:
            if cut[1] not in self.ids:
                raise PageError(f"{block.place}: nothing printed an id for {cut[0]} before")
            return self.ids[cut[1]]

        text = CUT.sub(last, block.text)
        for shown, used in self.ports.items():
            text = text.replace(shown, used)
        return text

    def heard(self, printed: str) -> None:
        for shown, used in self.ports.items():
            printed = printed.replace(used, shown)
        self.printed = printed
        self.ids |= {id_[1]: id_[0] for id_ in ID.finditer(printed)}

    def compare(self, block: Block) -> None:
        if not matches(block.text, self.printed):
            raise PageError(
                f"{block.place}: the page shows\n{block.text}\nbut this was printed\n{self.printed}"
            )

    def step(self, block: Block) -> None:
        match block.word:
            case "file":
                path = self.folder / block.rest
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text, "utf-8")
            case "output":
                self.compare(block)
            case "later":
                self.heard(self.background[-1].end())
                self.compare(block)
            case "so far":
                started = self.background[-1]
                started.speaks(lambda printed: matches(self.completed(block), printed))
                self.heard(started.printed)
                self.compare(block)
            case "background":
                if port := PORT.fullmatch(block.rest):
                    self.ports[port[1]] = free_port()
                self.background.append(self.start(block))
                self.background[-1].speaks()
            case "fails":
                self.heard(self.start(block).end(int(block.rest)))
            case _:
                self.heard(self.start(block).end())

    def run(self, page: list[Block]) -> None:
        """Every block in order, then the ones left in the background."""
        try:
            for block in page:
                self.step(block)
            for started in self.background:
                if PORT.fullmatch(started.block.rest):
                    started.interrupt()
                else:
                    started.end()
        finally:
            for started in self.background:
                started.kill()
