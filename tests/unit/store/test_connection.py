"""Network file systems are refused, in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from handrail.model.errors import Unavailable
from handrail.store.sqlite import connection
from handrail.store.sqlite.connection import REMOTE, file_system, refuse_network

MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:25 / /mnt/team rw,relatime shared:9 - nfs4 server:/export rw,vers=4.2
31 30 0:26 / /mnt/team/local rw - tmpfs tmpfs rw
32 22 0:27 / /mnt/with\\040blank rw - cifs //server/share rw
33 22 0:28 / /mnt/twice rw - ext4 /dev/vdb rw
34 33 0:29 / /mnt/twice rw master:3 propagate_from:2 - fuse.sshfs host:/ rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/ana/store.db", "ext4"),
        ("/mnt/team/store.db", "nfs4"),
        ("/mnt/teammate/store.db", "ext4"),
        ("/mnt/team/local/a/b/store.db", "tmpfs"),
        ("/mnt/with blank/store.db", "cifs"),
        ("/mnt/twice/store.db", "fuse.sshfs"),
    ],
)
def test_the_innermost_mount_says_the_kind(path: str, kind: str) -> None:
    assert file_system(Path(path), MOUNTS) == kind


def test_an_unknown_table_of_mounts_says_nothing() -> None:
    assert file_system(Path("/a"), "") is None
    assert file_system(Path("/a"), "hello\nworld - ext4\n") is None


@pytest.mark.parametrize("kind", sorted(REMOTE))
def test_a_network_file_system_is_refused(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        f"22 1 254:0 / / rw shared:1 - ext4 /dev/vda rw\n9 22 0:1 / {tmp_path} rw - {kind} x rw\n"
    )
    monkeypatch.setattr(connection, "MOUNTS", mounts)
    with pytest.raises(Unavailable, match=rf"network file system \({kind}\).*local disk"):
        refuse_network(str(tmp_path / "store.db"))
    link = tmp_path.parent / f"link-{kind}"
    link.symlink_to(tmp_path)
    try:
        with pytest.raises(Unavailable):
            refuse_network(str(link / "store.db"))
    finally:
        link.unlink()


def test_where_nobody_knows_the_mounts_the_path_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MOUNTS", tmp_path / "none")
    refuse_network(str(tmp_path / "store.db"))
