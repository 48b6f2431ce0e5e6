"""Recognising network file systems, on which SQLite's locks and shared memory do not work.

[SQLite says so itself](https://sqlite.org/wal.html): all processes that use a database in
WAL mode must be on one host. Linux tells the type of each mounted file system; Windows
marks network places in the path. Elsewhere nothing is recognised.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["network_file_system"]

_MOUNTS = Path("/proc/self/mountinfo")

# 9p is not among them: sandboxes such as gVisor show their local disks as 9p.
_NETWORK = frozenset(
    """
    afs beegfs ceph cifs coda davfs glusterfs gpfs lustre ncpfs nfs nfs4 orangefs pvfs2 smb2 smb3
    smbfs fuse.ceph fuse.cephfs fuse.davfs fuse.gcsfuse fuse.glusterfs fuse.goofys fuse.rclone
    fuse.s3fs fuse.sshfs
    """.split()
)

_OCTAL = re.compile(r"\\([0-7]{3})")


def network_file_system(folder: Path) -> str | None:
    """Return the type of the network file system that `folder` is on, such as `nfs4`.

    Args:
        folder: An existing folder, without symbolic links.

    Returns:
        `None` if it is on a local one, or if that cannot be told.
    """
    if os.name == "nt":
        return "a network share" if str(folder).startswith("\\\\") else None
    try:
        mounts = _MOUNTS.read_text(errors="surrogateescape")
    except OSError:
        return None  # not Linux, or hidden: what cannot be told is allowed
    kind = mounted_type(folder, mounts)
    return kind if kind in _NETWORK else None


def mounted_type(folder: Path, mounts: str) -> str | None:
    """Return the type of the file system that `folder` is on.

    Args:
        folder: An absolute path without symbolic links.
        mounts: The text of Linux's `/proc/self/mountinfo`; see proc(5).
    """
    found: tuple[int, str] | None = None
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        point = Path(_OCTAL.sub(lambda code: chr(int(code[1], 8)), fields[4]))
        depth = len(point.parts)
        # Of several on one point, the last one hides the others.
        if folder.is_relative_to(point) and (found is None or depth >= found[0]):
            found = depth, after.split(" ")[0]
    return None if found is None else found[1]
