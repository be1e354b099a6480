"""Nothing of the machine it was written on stands in the repository."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ABSOLUTE = re.compile(r"""(?:^|[\s"'`(=:,])(/(?:root|Users|work|opt|srv)/[\w.-]+[^\s"'`)]*)""")
HOSTS = re.compile(
    r"https?://(?:[\w.-]*\.)?(?:pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|debian\.org)"
    r"|--(?:extra-)?index-url\s+\S|--find-links\s+\S"
)


def tracked(root: Path) -> list[Path]:
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("not a git work tree")
    return [root / name for name in done.stdout.split("\0") if name and (root / name).is_file()]


def found(text: str) -> list[str]:
    here = [str(ROOT), str(Path.home())]
    wrong = [place for place in here if len(place) > 5 and place in text]
    return wrong + [m.group(0).strip() for p in (ABSOLUTE, HOSTS) for m in p.finditer(text)]


def test_no_machine_paths_and_no_registry_hosts(root: Path) -> None:
    wrong = []
    for path in tracked(root):
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        if path == Path(__file__).resolve():
            continue
        wrong += [f"{path.relative_to(root)}: {what}" for what in found(text)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "text",
    [
        'DATA = "/Users/ann/data/x.csv"',
        f"cd {ROOT}",
        "see /root/notes.txt",
        "--extra-index-url https://mirror.example/simple",
        "https://files.pythonhosted.org/packages/x.whl",
    ],
)
def test_the_check_can_fail(text: str) -> None:
    assert found(text)


@pytest.mark.parametrize("text", ["/api/v1/decisions", "https://handrail.example", "../shared"])
def test_the_check_leaves_ordinary_text_alone(text: str) -> None:
    assert not found(text)


def test_the_lock_carries_hashes_and_no_address(root: Path) -> None:
    for name in ("demo.txt", "dev.txt", "uv.txt"):
        text = (root / "requirements" / name).read_text()
        pins = re.findall(r"^[a-z0-9][\w.-]*==\S+", text, re.MULTILINE)
        assert pins, name
        assert text.count("--hash=sha256:") >= len(pins)
        assert "://" not in text
        assert not re.search(r"^-", text, re.MULTILINE), name


def names(requirements: list[object]) -> set[str]:
    """Normalised package names of requirement texts; included groups are left out."""
    found = {re.split(r"[\s\[<>=!~;]", text)[0] for text in requirements if isinstance(text, str)}
    return {re.sub(r"[-_.]+", "-", name).lower() for name in found} - {"handrail"}


def test_the_lock_holds_every_dependency(root: Path) -> None:
    told = tomllib.loads((root / "pyproject.toml").read_text())
    project, groups = told["project"], told["dependency-groups"]
    extras = project["optional-dependencies"]
    demo = names([*project["dependencies"], *extras["bulk"], *extras["learn"]])
    spark = names(extras.pop("spark"))
    dev = demo | names([one for group in [*extras.values(), *groups.values()] for one in group])
    for file, wanted in (("demo.txt", demo), ("dev.txt", dev), ("spark.txt", spark)):
        pins = re.findall(r"(?m)^([a-z0-9][\w.-]*)==", (root / "requirements" / file).read_text())
        assert wanted <= set(pins), f"{file} lacks {wanted - set(pins)}; run `make lock`"
