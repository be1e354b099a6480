"""Every page that shows code is executed; the runner itself is tested below."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import Block, PageError, Runner, blocks, matches, policies, runs

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text("utf-8")
    for path in [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted(ROOT.glob("docs/**/*.md"))]
    if path.is_file()
}


@pytest.mark.slow
@pytest.mark.parametrize("page", [name for name, text in PAGES.items() if runs(name, text)])
def test_the_code_of_a_page_runs(page: str, tmp_path: Path) -> None:
    Runner(tmp_path).run(runs(page, PAGES[page]))


@pytest.mark.parametrize(
    "block",
    [block for name, text in PAGES.items() for block in policies(name, text)],
    ids=lambda block: block.place,
)
def test_every_policy_shown_is_accepted_with_its_cases(block: Block, tmp_path: Path) -> None:
    beside = ROOT / block.page.removesuffix(".md")
    if beside.is_dir():  # the lists and tables of the page's policies
        shutil.copytree(beside, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "shown.yaml"
    path.write_text(block.text, "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", "from handrail.cli import main; main()", "check", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{block.place}\n{done.stdout}{done.stderr}"


def test_the_first_code_of_the_readme_is_near_its_top() -> None:
    first = next(blocks("README.md", PAGES["README.md"]))
    assert first.line < 20


def test_every_link_inside_the_readme_leads_somewhere() -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", PAGES["README.md"]):
        assert (ROOT / target).exists(), target


# ------------------------------------------------------------------------------ the runner itself


def page(text: str) -> list[Block]:
    return runs("page.md", text.replace("'''", "```"))


def test_blocks_run_in_order_and_output_is_compared(tmp_path: Path) -> None:
    steps = page(
        "<!-- file: deep/a.txt -->\n'''text\nhello\n'''\n\n'''sh\ncat deep/a.txt; echo $HOME\n'''\n"
        "<!-- output -->\n'''text\nhello\n/…\n'''\n'''python\nprint(open('deep/a.txt').read())\n'''"
    )
    assert [step.word or step.language for step in steps] == ["file", "sh", "output", "python"]
    Runner(tmp_path).run(steps)


@pytest.mark.parametrize(
    "text",
    [
        "'''sh\nfalse\n'''",
        "'''python\nraise ValueError\n'''",
        "'''sh\necho one\n'''\n<!-- output -->\n'''text\ntwo\n'''",
        "<!-- background -->\n'''sh\nsleep 0.1; exit 3\n'''\n'''sh\ntrue\n'''",
        "<!-- fails: 1 -->\n'''sh\ntrue\n'''",
    ],
)
def test_a_block_that_does_not_hold_fails_with_its_place(text: str, tmp_path: Path) -> None:
    with pytest.raises(PageError, match=r"^page\.md:\d+: "):
        Runner(tmp_path).run(page(text))


def test_what_runs_beside_the_page_is_heard_and_ids_are_filled_in(tmp_path: Path) -> None:
    id_ = "r_01m7z01y9jxtdd380t8hhj0s7b"
    steps = page(
        f"<!-- background -->\n'''sh\necho started {id_}; while [ ! -e go ]; do sleep 0.05; done; "
        "echo ended\n'''\n"
        f"'''sh\necho {id_}\n'''\n'''sh\necho r_… > go; cat go\n'''\n"
        f"<!-- output -->\n'''text\n{id_}\n'''\n"
        "<!-- later -->\n'''text\nstarted r_…\nended\n'''"
    )
    Runner(tmp_path).run(steps)


def test_a_server_gets_a_free_port_and_ctrl_c(tmp_path: Path) -> None:
    steps = page(
        "<!-- background: port 8421 -->\n'''python\nimport http.server, signal, sys\n"
        "signal.signal(signal.SIGINT, lambda *_: sys.exit(0))\n"
        "handler = http.server.SimpleHTTPRequestHandler\n"
        "server = http.server.HTTPServer(('127.0.0.1', 8421), handler)\n"
        "print('at http://127.0.0.1:8421')\nserver.serve_forever()\n'''\n"
        "<!-- so far -->\n'''text\nat http://127.0.0.1:8421\n'''\n"
        "'''python\nimport urllib.request\n"
        "print(urllib.request.urlopen('http://127.0.0.1:8421').status)\n'''\n"
        "<!-- output -->\n'''text\n200\n'''"
    )
    runner = Runner(tmp_path)
    runner.run(steps)
    assert runner.ports["8421"] != "8421"


def test_an_id_that_nobody_printed_is_said(tmp_path: Path) -> None:
    with pytest.raises(PageError, match="nothing printed an id for r_…"):
        Runner(tmp_path).run(page("'''sh\necho r_…\n'''"))


def test_a_block_is_left_out_only_with_a_reason() -> None:
    assert page("<!-- not run: needs a browser -->\n'''sh\nfalse\n'''") == []
    with pytest.raises(PageError, match="needs a reason"):
        page("<!-- not run -->\n'''sh\nfalse\n'''")


def test_a_comment_counts_only_for_the_block_below_it() -> None:
    assert len(page("<!-- not run: x -->\nwords\n'''sh\ntrue\n'''")) == 1


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("a\n…\nb", "a\n1\n2\nb\n", True),
        ("id d_…", "id d_01kx", True),
        ("id d_…", "id d_01kx\nmore", False),
        ("a  \nb", "a\nb", True),
        ("a.b", "axb", False),
    ],
)
def test_output_patterns(shown: str, printed: str, same: bool) -> None:
    assert matches(shown, printed) is same
