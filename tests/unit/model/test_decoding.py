"""Types are made ready one at a time: threads that first read one together all read it whole."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from handrail.model.decoding import convert, decoder
from handrail.model.review import Card

CROWD = """
import sys, threading, types
import msgspec
from handrail.model.decoding import convert, decoder

DEPTH = 6
source = "from __future__ import annotations\\nimport msgspec\\nfrom typing import Any\\n"
for at in range(DEPTH, 0, -1):
    source += f"class S{at}(msgspec.Struct, frozen=True, kw_only=True):\\n    a: int\\n"
    source += "    b: str | None = None\\n    c: tuple[int, ...] = ()\\n"
    source += f"    d: S{at + 1} | None = None\\n" if at < DEPTH else ""

def value(at):
    return {"a": 1, "b": "x", "c": [1]} | ({"d": value(at + 1)} if at < DEPTH else {})

sys.setswitchinterval(1e-6)
done = []
for turn in range(60):
    module = types.ModuleType(f"shapes{turn}")
    sys.modules[module.__name__] = module
    exec(source, module.__dict__)
    together = threading.Barrier(8)

    def read(number, kind=module.S1):
        together.wait()
        if number % 2:
            done.append(convert(value(1), kind).d.a)
        else:
            done.append(decoder(kind).decode(msgspec.json.encode(value(1))).d.a)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print(len(done))
"""


def test_a_crowd_of_threads_reads_types_that_nobody_has_read_before() -> None:
    made = subprocess.run([sys.executable, "-c", CROWD], capture_output=True, text=True)
    assert (made.returncode, made.stdout) == (0, "480\n"), made.stderr


def test_what_does_not_fit_is_refused_as_ever() -> None:
    with pytest.raises(msgspec.ValidationError):
        convert({"review": 1}, Card)
    with pytest.raises(msgspec.ValidationError):
        decoder(list[int]).decode(b'["a"]')
    assert convert("1", int, strict=False) == 1
    assert decoder(list[int]) is decoder(list[int])


def test_nothing_of_ours_reads_types_behind_the_lock(root: Path) -> None:
    direct = re.compile(r"msgspec\.(convert|json\.Decoder)\(|(?:json|msgpack)\.decode\(.*type=")
    found = [
        f"{path.relative_to(root)}:{number}"
        for path in sorted((root / "handrail").rglob("*.py"))
        if path.name != "decoding.py"
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if direct.search(line)
    ]
    assert not found, "use handrail.model.decoding"
