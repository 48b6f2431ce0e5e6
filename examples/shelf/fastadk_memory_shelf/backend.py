"""The backend: one file for each entry, in a folder.

It is complete, and proven by `tests/`. Put your own store in the place of the folder, one
method after another, and let the contract tell what is still missing.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import ClassVar, TypeVar

from fastadk_memory import BackendUnavailableError, Capability, Clock, RecordBackend
from fastadk_memory.concurrency import run_in_thread

__all__ = ["ShelfBackend"]

T = TypeVar("T")

_SUFFIX = ".entry"
_HASHED = "~"
_SHORT = 100  # a key of that many bytes makes a file name that every system takes
_LENGTH_BYTES = 2
_BATCH = 200


class ShelfBackend(RecordBackend):
    """Keeps each entry in a file of its own, for one process at a time.

    Keys may hold any character, and file systems differ in what they tell apart. So a
    file's name is its key in hexadecimal digits, or a hash of a long one; the file begins
    with the key.

    Args:
        path: The folder; it is made at the first use. By default a temporary one that
            goes away on `aclose`.
        clock: Tells the time, in seconds since 1970; another one for tests.
    """

    capabilities = RecordBackend.capabilities | {Capability.PERSISTENT}
    # The interface that this was written for; a core with another one refuses it by name.
    api_version: ClassVar[int] = 1
    # So that `fastadk-memory check shelf` needs no options.
    contract_options: ClassVar[Mapping[str, str]] = {"path": "{tmp}/store"}

    def __init__(self, path: Path | None = None, *, clock: Clock = time.time) -> None:
        super().__init__(clock=clock)
        self._path = path
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        if path is None:
            # Nothing outlives a folder that is thrown away.
            self.capabilities = RecordBackend.capabilities

    async def open_store(self) -> None:
        """Make the folder."""
        await run_in_thread(self._make_folder)

    async def close_store(self) -> None:
        """Throw the folder away if it is a temporary one."""
        if self._temporary is not None:
            await run_in_thread(self._temporary.cleanup)

    async def read_record(self, key: str) -> bytes | None:
        """Return the record from the key's file."""
        found = await self._run(_read, self._file(key))
        return None if found is None else found[1]

    async def write_record(self, key: str, record: bytes) -> None:
        """Write the key's file beside its place, then move it there: whole or not at all."""
        raw = key.encode()
        data = len(raw).to_bytes(_LENGTH_BYTES, "big") + raw + record
        await self._run(_write, self._file(key), data)

    async def delete_record(self, key: str) -> None:
        """Remove the key's file."""
        await self._run(_remove, self._file(key))

    async def list_records(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        """Read the files one by one."""
        files = await self._run(_files, self._folder(), prefix)
        for at in range(0, len(files), _BATCH):
            for key, record in await self._run(_read_all, files[at : at + _BATCH]):
                if key.startswith(prefix):
                    yield key, record

    async def check_store(self) -> bool:
        """Tell whether the folder is still there."""
        return await self._run(os.path.isdir, self._folder())

    def _make_folder(self) -> None:
        try:
            if self._path is None:
                self._temporary = tempfile.TemporaryDirectory(prefix="fastadk-memory-")
            else:
                self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise BackendUnavailableError(
                f"cannot make the folder {self._path}: {error.strerror}"
            ) from error

    def _folder(self) -> Path:
        folder = self._path if self._temporary is None else Path(self._temporary.name)
        assert folder is not None  # the store is open
        return folder

    def _file(self, key: str) -> Path:
        return self._folder() / (_name(key) + _SUFFIX)

    async def _run(self, function: Callable[..., T], *arguments: object) -> T:
        # Files may be slow, and the event loop must not wait for them.
        try:
            return await run_in_thread(function, *arguments)
        except OSError as error:
            raise BackendUnavailableError(
                f"cannot use the folder {self._folder()}: {error.strerror}"
            ) from error


def _read(file: Path) -> tuple[str, bytes] | None:
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return None
    end = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "big")
    # A file that is cut or overwritten must not hide the others: its record is judged by
    # its checksum, so only the key has to be readable.
    return data[_LENGTH_BYTES:end].decode(errors="replace"), data[end:]


def _write(file: Path, data: bytes) -> None:
    beside = file.with_suffix(f".{os.getpid()}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(beside, flags, 0o600), "wb") as stream:
        stream.write(data)
    beside.replace(file)


def _remove(file: Path) -> None:
    file.unlink(missing_ok=True)


def _name(key: str) -> str:
    raw = key.encode()
    return raw.hex() if len(raw) <= _SHORT else _HASHED + sha256(raw).hexdigest()


def _files(folder: Path, prefix: str) -> list[Path]:
    # A hash does not tell what its key begins with.
    beginnings = (prefix.encode().hex(), _HASHED)
    names = (name for name in os.listdir(folder) if name.endswith(_SUFFIX))  # noqa: PTH208
    return [folder / name for name in names if name.startswith(beginnings)]


def _read_all(files: list[Path]) -> list[tuple[str, bytes]]:
    return [found for file in files if (found := _read(file)) is not None]
