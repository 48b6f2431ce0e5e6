"""`ShelfBackend`: one file for each entry, in a folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from fastadk_memory import BackendUnavailableError, Capability, RecordBackend
from fastadk_memory.concurrency import run_in_thread

__all__ = ["ShelfBackend"]

T = TypeVar("T")

_SUFFIX = ".entry"
_LENGTH_BYTES = 2


class ShelfBackend(RecordBackend):
    """Keeps each entry in a file of its own, for one process at a time.

    Written to be read: it is what a backend of somebody else's looks like. A file's name
    is a hash of its key, as keys may be longer than file names and hold any character;
    the file begins with the key itself.

    Args:
        path: The folder; it is made at the first use. By default a temporary one that
            goes away on `aclose`.
    """

    capabilities = RecordBackend.capabilities | {Capability.PERSISTENT}

    def __init__(self, path: Path | None = None) -> None:
        super().__init__()
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
        for file in await self._run(_entries, self._folder()):
            found = await self._run(_read, file)
            if found is not None and found[0].startswith(prefix):
                yield found

    def _make_folder(self) -> None:
        try:
            if self._path is None:
                self._temporary = tempfile.TemporaryDirectory(prefix="fastadk-memory-shelf-")
            else:
                self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise BackendUnavailableError(f"cannot make the folder {self._path}") from error

    def _folder(self) -> Path:
        folder = self._path if self._temporary is None else Path(self._temporary.name)
        assert folder is not None
        return folder

    def _file(self, key: str) -> Path:
        return self._folder() / (sha256(key.encode()).hexdigest() + _SUFFIX)

    async def _run(self, function: Callable[..., T], *arguments: object) -> T:
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
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with os.fdopen(os.open(beside, flags, 0o600), "wb") as stream:
        stream.write(data)
    beside.replace(file)


def _remove(file: Path) -> None:
    file.unlink(missing_ok=True)


def _entries(folder: Path) -> list[Path]:
    return list(folder.glob(f"*{_SUFFIX}"))
