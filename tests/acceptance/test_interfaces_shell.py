"""The shell of the page that fixes the public surface: every command of it, run."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer.main

from handrail.access.rights import SCOPES
from handrail.cli import commands
from tests import postgres
from tests.acceptance.interfaces import LATER, Usage, block, section, usages
from tests.workspace import make_workspace

pytestmark = [
    pytest.mark.needs("shared"),
    pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT"),
]

QUICK = """\
handrail: 1
workflow: refund
title: Refund
owners: [team:ops]
subject: order
fields:
  order: string
  amount: {type: decimal, places: 2, unit: USD, min: 0, from: proposal}
stakes: {money: amount, reversible: true}
otherwise: auto
rules:
  - {id: over-limit, when: amount > 100, because: "{amount} is over the approved 100 USD"}
route:
  - {to: team:ops, sla: 4h, clock: always, fallback: [role:head], silence: block}
review:
  reasons: {wrong: Wrong amount, fraud: Fraud}
  edit: [amount]
  undo: 1h
cases:
  - {name: small, facts: {order: a}, proposal: {amount: 100}, fires: [], lane: pass}
"""
ROWS = "order,amount,score\na1,20,0.99\na2,2000,0.4\na3,oops,0.9\n"


class Work:
    """A workspace, files beside it, and the command line on them."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.place = make_workspace(
            folder / "work", refund=QUICK, page=block(section("Policy file"), "yaml")
        )
        (folder / "data.csv").write_text(ROWS, "utf-8")
        self._capfd = capfd
        self.out = self.err = ""
        self.ran: list[str] = []
        """What was run for the command of the page under test, in words."""

    def __call__(self, line: str, *, code: int = 0, where: bool = True) -> str:
        """Run `handrail …` as it is typed; returns what it printed. `code`: how it must end."""
        words = shlex.split(line)
        assert words[0] == "handrail"
        self.ran += words
        self._capfd.readouterr()
        place = ["-w", str(self.place), "--as", "ann@example.com"] if where else []
        found = commands.run([*place, *words[1:]])
        self.out, self.err = self._capfd.readouterr()
        assert found == code, f"{line}: {found}\n{self.out}{self.err}"
        return self.out

    def json(self, line: str, *, code: int = 0) -> Any:
        """The same with `--json`: a document, or a list of those of a stream."""
        found = [json.loads(one) for one in self(f"{line} --json", code=code).splitlines()]
        return found[0] if len(found) == 1 else found

    def both(self, line: str, *, code: int = 0) -> str:
        """Run for people and for programs; returns what it printed for people."""
        said = self(line, code=code)
        self.json(line, code=code)
        return said

    def held(self, order: str = "o1") -> dict[str, Any]:
        ruling = self.json(f"handrail submit refund order={order} amount=500", code=1)
        assert isinstance(ruling, dict)
        return ruling

    def start(self, line: str, **environ: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
        """Start what stays; returns it and what it said first."""
        words = shlex.split(line)
        self.ran += words
        process = subprocess.Popen(
            [sys.executable, "-c", "from handrail.cli import main; main()", "--json", *words[1:]],
            cwd=self.place,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "DISPLAY": "", "BROWSER": "", **environ},
        )
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first, process.communicate()[1]
        return process, json.loads(first)


def ends(process: subprocess.Popen[str]) -> None:
    """Ctrl-C ends it well."""
    try:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert process.returncode in (0, 130), said
        assert "Traceback" not in said
    finally:
        process.kill()


@pytest.fixture
def work(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Work:
    monkeypatch.setenv("COLUMNS", "200")
    return Work(tmp_path, capfd)


# ---------------------------------------------------------------- one for each line of the page


def demo(work: Work) -> None:
    figures = work.json("handrail demo marketing --once")
    assert figures["marketing"]["log"]["verified"] is True, figures
    text = work("handrail demo medical --once", where=False)
    for word in (
        "decisions", "share automated", "error of automation alone", "error after review",
        "intervention", "override", "median seconds", "verified",
    ):  # fmt: skip
        assert word in text, word
    process, said = work.start("handrail demo --port 0")
    assert (
        said["link"].startswith(said["url"])
        and httpx.get(said["link"], timeout=60).status_code == 200
    )
    ends(process)


def init(work: Work) -> None:
    work(f"handrail init {work.folder / 'new'}", where=False)
    assert (work.folder / "new" / "policies").is_dir()


def new(work: Work) -> None:
    data = work.folder / "ads.csv"
    rows = "".join(f"c{n},{'search' if n % 2 else 'social'},{n},{n if n % 3 else ''}\n"
                   for n in range(1, 101))  # fmt: skip
    data.write_text("campaign,channel,spend,clicks\n" + rows, "utf-8")
    work(f"handrail new ads --from {data}")
    text = (work.place / "policies" / "ads.yaml").read_text("utf-8")
    assert "enum: [search, social]" in text, text  # types, enums
    assert re.search(r"clicks: \{[^}]*optional: true", text), text  # optional by null share
    assert re.search(r"spend > 9\d", text), text  # a threshold by quantile
    assert text.count("- name:") + text.count("- {name:") == 2, text  # two cases
    (work.folder / "models.py").write_text(
        "from dataclasses import dataclass\n@dataclass\nclass Refund:\n    order: str\n"
        "    amount: float\n",
        "utf-8",
    )
    sys.path.insert(0, str(work.folder))
    try:
        work("handrail new typed --from models:Refund")
    finally:
        sys.path.remove(str(work.folder))
        sys.modules.pop("models", None)
    work("handrail check")


def up(work: Work) -> None:
    process, said = work.start("handrail up --host 127.0.0.1 --port 0 --dev")
    assert said["first_admin"].startswith(said["url"]), "the one-time admin link"
    assert httpx.get(f"{said['url']}/readyz", timeout=60).status_code == 200
    assert httpx.get(f"{said['url']}/schema", timeout=60).status_code == 200, (
        "--dev leaves the schema open"
    )
    ends(process)
    work("handrail up --host 0.0.0.0 --port 0", code=3)  # nothing public without an admin
    assert "admin" in work.err


def check(work: Work) -> None:
    said = work(f"handrail check {work.place / 'policies'} {work.place / 'policies/refund.yaml'}")
    assert re.search(r"refund.*\b\d+ (AST )?node visits|cost", said), said
    wrong = work.folder / "wrong.yaml"
    wrong.write_text(QUICK.replace("amount > 100", "amounts > 100").replace("sla: 4h", "sla: 4x"))
    work(f"handrail check {wrong}", code=1)
    places = re.findall(r"wrong\.yaml:\d+:\d+: ", work.out + work.err)
    assert len(places) >= 2, "all errors at once, each with its place"


def gate(work: Work) -> None:
    data = work.folder / "data.csv"
    said = work(
        f"handrail gate refund --input {data} --output {work.folder / 'out.csv'} --submit "
        "--key order --proposal amount --confidence score"
    )
    assert "over-limit" in said, "a summary by rule"
    aside = (work.folder / "data.bad.jsonl").read_text("utf-8")
    assert "oops" in aside and json.loads(aside)["row"] == 3, "bad rows aside, with reasons"
    [review] = [work.json("handrail reviews list")]
    assert review["subject"] == "a2", "what was held is a review"
    assert (work.folder / "out.csv").read_text("utf-8").count("\n") >= 3


def backtest(work: Work) -> None:
    data = work.folder / "good.csv"
    data.write_text(ROWS.replace("oops", "30"), "utf-8")
    looser = work.folder / "looser.yaml"
    looser.write_text(QUICK.replace("amount > 100", "amount > 5000"), "utf-8")
    said = work.both(f"handrail backtest {looser} --against refund --input {data}")
    assert "over-limit" in said, "interventions by rule"
    assert "95 % intervals" in said and re.search(r"\(\d+\.\d+–\d+\.\d+; 1 of 3\)", said), said
    work.held()
    work.both("handrail backtest refund --log")


def submit(work: Work) -> None:
    assert work.json("handrail submit refund order=o1 amount=5")["lane"] == "pass"
    work("handrail submit refund order=o2 amount=500", code=1)


def wait(work: Work) -> None:
    passed = work.json("handrail submit refund order=o1 amount=5")
    assert work.json(f"handrail wait {passed['decision_id']} --timeout 5")["verdict"] == "passed"
    work(f"handrail wait {work.held()['decision_id']} --timeout 0.1", code=4)


def withdraw(work: Work) -> None:
    work.both(f"handrail withdraw {work.held()['decision_id']} --reason changed", code=0)


def decisions(work: Work) -> None:
    name = work.held()["decision_id"]
    assert name in work.both("handrail decisions list")
    proof = work.folder / "proof.txt"
    work(f"handrail decisions show {name} --proof {proof}")
    assert proof.read_text("utf-8").startswith("c2sp.org/tlog-proof@v1\n")


def reviews(work: Work) -> None:
    one, two, three, four = (work.held(f"o{n}")["review_id"] for n in range(4))
    assert len(work.json("handrail reviews list")) == 4
    assert "over the approved" in work.both(f"handrail reviews show {one}")
    work(f"handrail reviews claim {one}")
    work(f"handrail reviews approve {one} --token wrong", code=3)
    work(f"handrail reviews approve {two}")
    work(f"handrail reviews undo {two}")
    work(f"handrail reviews edit {two} amount=90 --reason wrong")
    work(f"handrail reviews reject {three} --reason fraud")
    work(f"handrail reviews reject {four}", code=2)  # a reason code is required
    work(f"handrail reviews ask {four} 'Is this right?'")
    work(f"handrail reviews snooze {four} --for 15m")
    work(f"handrail reviews assign {four} --to bob@example.com")
    work(f"handrail reviews escalate {four} --reason fraud")


def policy(work: Work) -> None:
    assert "campaign-launch" in work.both("handrail policy list")
    version = work.json("handrail policy show refund")["version"]
    work.both(f"handrail policy show refund@{version[:12]}")
    file = work.place / "policies" / "refund.yaml"
    for person in ("ann@example.com", "bob@example.com"):
        work(f"handrail users add {person} --holds team:ops,role:owner,role:head")
    file.write_text(QUICK.replace("> 100", "> 150").replace("approved 100", "approved 150"))
    assert "threshold 100 → 150" in work.both("handrail policy diff refund")
    asked = work.json("handrail policy propose refund --reason 'too many holds'")
    assert asked["active"] is False and asked["review_id"], "activation is itself a decision"
    assert "too many holds" in work.both("handrail policy history refund")


def audit(work: Work) -> None:
    name = work.held()["decision_id"]
    work.both("handrail audit verify")
    work("handrail audit verify --against-state")
    work(f"handrail audit export {work.folder / 'export'}")
    work(f"handrail audit verify {work.folder / 'export'}")
    work(f"handrail audit checkpoint --output {work.folder / 'head'}")
    work(f"handrail audit prove {name} --output {work.folder / 'proof'}")
    work("handrail audit anchor")


def stop(work: Work) -> None:
    work.both("handrail stop refund --reason drill")
    work("handrail submit refund order=o1 amount=5", code=1)  # every command is a new process
    work("handrail stop --reason fire")
    work("handrail start refund --reason over", code=0)
    work("handrail submit refund order=o2 amount=5", code=1)


def start(work: Work) -> None:
    work("handrail stop refund --reason drill")
    work("handrail start refund --reason over")
    work("handrail submit refund order=o1 amount=5")


def users(work: Work) -> None:
    work.both("handrail users add ann@example.com --holds team:ops,role:owner,role:admin")
    assert "ann@example.com" in work.both("handrail users")


def tokens(work: Work) -> None:
    made = work.json("handrail tokens make shop --scope decisions:submit --workflow refund")
    assert made["secret"] in json.dumps(made) and made["secret"].startswith("hrt_")
    assert "shop" in work.both("handrail tokens")
    said = work("handrail tokens make --help")
    assert all(scope in said for scope in SCOPES), "the help names every scope there is"


def doctor(work: Work) -> None:
    work.held()
    work("handrail audit anchor")
    work.both("handrail doctor")


def backup(work: Work) -> None:
    work.held()
    work(f"handrail backup {work.folder / 'copy'} --keys {work.folder / 'keys'}")


def restore(work: Work) -> None:
    name = work.held()["decision_id"]
    work(f"handrail backup {work.folder / 'copy'} --keys {work.folder / 'keys'}")
    work(f"handrail restore {work.folder / 'copy'} --keys {work.folder / 'keys'} --force")
    assert name in work("handrail decisions list")


RUNS: dict[str, Callable[[Work], None]] = {
    f"handrail {made.__name__}": made
    for made in (
        demo, init, new, up, check, gate, backtest, submit, wait, withdraw, decisions, reviews,
        policy, audit, stop, start, users, tokens, doctor, backup, restore,
    )
}  # fmt: skip
ELSEWHERE = {"handrail up": {"--db"}}
"""Options that another test of this file runs."""


def _usages() -> list[Usage]:
    """For the parameters of a test, which are wanted where the page is not there either."""
    try:
        return usages()
    except FileNotFoundError:
        return []


@pytest.mark.parametrize("usage", _usages(), ids=lambda usage: usage.name.replace(" ", "-"))
def test_every_command_of_the_page_does_what_it_says(work: Work, usage: Usage) -> None:
    if usage.name in LATER:
        work(usage.name, code=2)
        assert "No such command" in work.err, f"{usage.name} works by now; take it out of LATER"
        return
    RUNS[usage.name](work)
    ran = set(work.ran) | ELSEWHERE.get(usage.name, set())
    missed = (usage.options | usage.words) - ran
    assert not missed, f"{usage.shown}: not run here: {', '.join(sorted(missed))}"


@pytest.mark.parametrize(
    "usage",
    [usage for usage in _usages() if usage.name not in LATER],
    ids=lambda usage: usage.name.replace(" ", "-"),
)
def test_the_help_of_a_command_names_what_the_page_names(work: Work, usage: Usage) -> None:
    said = work(f"{usage.name} --help", where=False)
    below = "".join(
        work(f"{usage.name} {word} --help", where=False)
        for word in usage.words
        if re.search(rf"^ +{word} ", said, re.M)
    )
    for name in usage.options | usage.words:
        assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", said + below), name


@pytest.mark.needs("postgres")
def test_a_team_starts_it_on_its_own_database(work: Work) -> None:
    with postgres.database(postgres.url()) as address:
        process, said = work.start(f"handrail up --db {address} --port 0")
        assert httpx.get(f"{said['url']}/readyz", timeout=60).status_code == 200
        ends(process)


def test_everything_that_prints_for_people_prints_for_programs(work: Work) -> None:
    """`--json` is an option of every command there is, whatever the page lists."""

    def below(command: Any, name: str) -> list[tuple[str, Any]]:
        inner = getattr(command, "commands", {})
        return [(name, command)] + [
            found for word in inner for found in below(inner[word], f"{name} {word}")
        ]

    found = below(typer.main.get_command(commands.app), "handrail")
    assert len(found) > 40
    for name, command in found:
        assert "--json" in {option for param in command.params for option in param.opts}, name


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("handrail submit refund order=a amount=5", 0, ""),
        ("handrail submit refund order=a amount=500", 1, ""),
        ("handrail check nowhere.yaml", 2, ""),
        ("handrail submit refund order=a amount=x", 2, "amount"),
        ("handrail nothing", 2, "No such command"),
        ("handrail withdraw PASSED --reason x", 3, "no longer be withdrawn"),
        ("handrail wait HELD --timeout 0", 4, "no outcome"),
    ],
)
def test_the_exit_codes_are_those_of_the_page(work: Work, line: str, code: int, says: str) -> None:
    if "HELD" in line:
        line = line.replace("HELD", work.held()["decision_id"])
    if "PASSED" in line:
        ruling = work.json("handrail submit refund order=a amount=5")
        line = line.replace("PASSED", ruling["decision_id"])
    work(line, code=code)
    assert says in work.err
    assert "Traceback" not in work.out + work.err
