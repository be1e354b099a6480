"""The file anchor and the log channel."""

from __future__ import annotations

import logging
import os
import random
import stat
from pathlib import Path

import pytest

from handrail.channels import FileAnchor, LogChannel
from handrail.errors import Unavailable
from handrail.model.feedback import Notice
from handrail.ports import Checkpoint
from tests.faults.powercut import Disk, Write


def checkpoint(size: int) -> Checkpoint:
    return Checkpoint(size=size, text=f"log\n{size}\nAAAA\n\n— log sig\n", at=size, anchored=True)


def test_checkpoints_are_kept_in_order(tmp_path: Path) -> None:
    path = tmp_path / "anchor.log"
    anchor = FileAnchor(path)
    assert anchor.last() is None
    for size in (1, 5):
        anchor.publish(checkpoint(size))
    assert anchor.last() == FileAnchor(path).last() == checkpoint(5)
    assert FileAnchor(path).all() == [checkpoint(1), checkpoint(5)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_line_cut_short_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "anchor.log"
    FileAnchor(path).publish(checkpoint(1))
    whole = path.read_bytes()
    for length in range(1, len(whole) - 1):
        path.write_bytes(whole + whole[:length])
        anchor = FileAnchor(path)
        assert anchor.last() == checkpoint(1)
        anchor.publish(checkpoint(7))
        assert FileAnchor(path).all() == [checkpoint(1), checkpoint(7)]


def test_an_append_that_a_power_cut_tore_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "anchor.log"
    FileAnchor(path).publish(checkpoint(1))
    before = path.read_bytes()
    long = Checkpoint(size=7, text="log\n7\n" + "A" * 1500 + "\n\n— log sig\n", at=7, anchored=True)
    FileAnchor(path).publish(long)
    disk = Disk(before, there=True)
    disk.pending.append(Write(len(before), path.read_bytes()[len(before) :]))
    seen = set()
    for seed in range(200):
        image = disk.image(random.Random(seed), 0.5)
        assert image is not None
        path.write_bytes(image)
        anchor = FileAnchor(path)
        last = anchor.last()
        assert last in (checkpoint(1), long)
        seen.add(last.size if last else 0)
        anchor.publish(checkpoint(9))
        assert FileAnchor(path).last() == checkpoint(9)
    assert seen == {1, 7}


def test_the_name_of_a_new_anchor_is_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bool] = []
    fsync = os.fsync

    def watch(handle: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(handle).st_mode))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", watch)
    anchor = FileAnchor(tmp_path / "anchor.log")
    anchor.publish(checkpoint(1))
    assert synced == [False, True], "the line, then the folder that names the file"
    anchor.publish(checkpoint(5))
    assert synced == [False, True, False]


def test_a_changed_line_is_told(tmp_path: Path) -> None:
    path = tmp_path / "anchor.log"
    FileAnchor(path).publish(checkpoint(1))
    path.write_bytes(path.read_bytes().replace(b'"size":1', b'"size":"1"'))
    with pytest.raises(Unavailable, match=r"anchor\.log:1:1: not a checkpoint"):
        FileAnchor(path).last()


def test_an_anchor_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be written"):
        FileAnchor(tmp_path / "none" / "anchor.log").publish(checkpoint(1))


def test_a_notice_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    notice = Notice(
        id="n_1", topic="review.opened", to=("team:ops",), text="a\nERROR forged", made_at=0
    )
    with caplog.at_level(logging.INFO):
        LogChannel().deliver(notice)
    [record] = caplog.records
    assert "\n" not in record.getMessage()
    assert "team:ops" in record.getMessage()
    assert record.__dict__["notice"] == "n_1"
