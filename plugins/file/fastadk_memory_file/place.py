"""The place of the database: its path, how the file is made, and whether it is still the same.

No function here opens a file that exists: closing any descriptor of a database drops the
locks that this process holds on it (https://sqlite.org/howtocorrupt.html, 2.2).
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import NamedTuple

from fastadk_memory import BackendUnavailableError, ConfigurationError
from fastadk_memory_file.network import network_file_system

__all__ = ["Identity", "absolute", "check_same", "identity", "make_file"]

_PRIVATE = 0o600


class Identity(NamedTuple):
    """Which file a path leads to."""

    device: int
    inode: int


def absolute(path: object) -> Path:
    """Return the option `path` as an absolute path, `~` expanded; no disk is touched.

    Raises:
        ConfigurationError: It is no path, or an empty one.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise ConfigurationError(f"path must be a str or a Path, not {type(path).__name__}")
    text = os.fspath(path)
    if not isinstance(text, str) or not text or "\0" in text:
        raise ConfigurationError("path must be the text of a path: not empty, without NUL")
    try:
        # Not resolved: that would follow symbolic links, on the disk.
        return Path(os.path.abspath(Path(text).expanduser()))  # noqa: PTH100
    except RuntimeError as error:
        raise ConfigurationError(
            f"path {text!r} begins with ~, but this user has no home folder"
        ) from error


def make_file(path: Path) -> None:
    """Make an empty, private file, unless there is one already.

    SQLite gives the files beside it, -wal and -shm, the same mode.

    Raises:
        ConfigurationError: The path leads to something that is no file, its folder does not
            exist, or it is on a network file system.
        BackendUnavailableError: It cannot be made.
    """
    _check_folder(path)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    try:
        os.close(os.open(path, flags | getattr(os, "O_CLOEXEC", 0), _PRIVATE))
    except FileExistsError:
        _check_file(path)
    except OSError as error:
        raise BackendUnavailableError(
            f"{path} cannot be made: {_reason(error)}. This user needs to be able to write "
            "to its folder"
        ) from error


def _check_folder(path: Path) -> None:
    folder = path.parent
    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "does not exist"
        raise ConfigurationError(
            f"{path} cannot be made: {folder} {what}; create the folder, or choose another path"
        )
    kind = network_file_system(folder.resolve())
    if kind is not None:
        raise ConfigurationError(
            f"{path} is on a network file system ({kind}), where SQLite's locks do not work and "
            "data is lost; choose a path on a local disk, or a backend with a server, such as redis"
        )


def _check_file(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"{path} is a symbolic link to nothing; remove it, or make the file it leads to"
        ) from error
    except OSError as error:
        raise BackendUnavailableError(f"{path} cannot be looked at: {_reason(error)}") from error
    if stat.S_ISDIR(mode):
        raise ConfigurationError(f"{path} is a folder; name a file in it, such as {path / 'a.db'}")
    if not stat.S_ISREG(mode):
        raise ConfigurationError(f"{path} is no regular file; choose another path")
    if not os.access(path, os.R_OK | os.W_OK):
        raise BackendUnavailableError(
            f"{path} cannot be written: the file is read-only for this user; nothing was changed"
        )


def identity(path: Path) -> Identity:
    """Return which file `path` leads to.

    Raises:
        BackendUnavailableError: To none.
    """
    try:
        found = os.stat(path)  # noqa: PTH116 (twice as fast as Path.stat; once for each batch)
    except OSError as error:
        raise _gone(path) from error
    return Identity(found.st_dev, found.st_ino)


def check_same(path: Path, known: Identity) -> None:
    """Make sure that `path` still leads to the file that was opened.

    SQLite would go on writing to a file that has no name any more.

    Raises:
        BackendUnavailableError: The file was deleted, moved or replaced.
    """
    if identity(path) != known:
        raise _gone(path)


def _gone(path: Path) -> BackendUnavailableError:
    return BackendUnavailableError(
        f"{path} was deleted, moved or replaced while it was open; nothing was written. Put "
        "it back, or create a new backend"
    )


def _reason(error: OSError) -> str:
    if error.errno == errno.EROFS:
        return "the file system is read-only"
    return error.strerror or type(error).__name__
