"""Where the database is: every place that will not do has its own error, and comes to no harm."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fastadk_memory_file import FileBackend, network
from fastadk_memory_file.network import mounted_type
from fastadk_memory_file.schema import APPLICATION_ID, SCHEMA_VERSION

from fastadk_memory import BackendUnavailableError, ConfigurationError, open_memory


async def use(backend: FileBackend) -> None:
    async with backend:
        await backend.set("key", "value")
        assert await backend.get("key") == "value"


def refused(path, kind, *words: str) -> None:
    """Require that opening fails with an error that says these words, and health is bad."""

    async def main() -> None:
        backend = FileBackend(path)
        with pytest.raises(kind) as raised:
            await backend.open()
        for word in (str(path), *words):
            assert word in str(raised.value)
        assert not await backend.health_check()
        await backend.aclose()

    asyncio.run(main())


def sqlite_file(path: Path, *statements: str) -> bytes:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
    return path.read_bytes()


# ------------------------------------------------------------------------ a good place


def test_all_files_are_private_whatever_the_umask(tmp_path):
    async def main() -> list[int]:
        async with FileBackend(tmp_path / "a.db") as memory:
            await memory.set("key", "value")
            return [file.stat().st_mode & 0o777 for file in tmp_path.iterdir()]

    before = os.umask(0)
    try:
        modes = asyncio.run(main())
    finally:
        os.umask(before)
    assert modes == [0o600] * 3  # the database, -wal and -shm


def test_closing_leaves_one_file(tmp_path):
    asyncio.run(use(FileBackend(tmp_path / "a.db")))
    assert [file.name for file in tmp_path.iterdir()] == ["a.db"]


def test_a_file_of_no_length_is_a_new_store(tmp_path):
    (tmp_path / "a.db").touch()
    asyncio.run(use(FileBackend(tmp_path / "a.db")))


def test_the_database_says_whose_it_is(tmp_path):
    asyncio.run(use(FileBackend(tmp_path / "a.db")))
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)


def test_a_symbolic_link_leads_to_its_file(tmp_path):
    asyncio.run(use(FileBackend(tmp_path / "a.db")))
    (tmp_path / "link.db").symlink_to(tmp_path / "a.db")
    asyncio.run(use(FileBackend(tmp_path / "link.db")))


def test_a_path_with_special_characters_is_taken_as_it_is(tmp_path):
    path = tmp_path / "a ?b#c%20d&mode=ro é.db"
    asyncio.run(use(FileBackend(path)))
    assert path.is_file()


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    asyncio.run(use(FileBackend("~/a.db")))
    assert (tmp_path / "a.db").is_file()


def test_a_url_names_the_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    async def main() -> None:
        async with open_memory(f"file://{tmp_path}/absolute.db?durability=process") as memory:
            await memory.set("key", 1)
        async with open_memory("file://relative.db") as memory:
            await memory.set("key", 2)

    asyncio.run(main())
    assert {file.name for file in tmp_path.iterdir()} == {"absolute.db", "relative.db"}


# ------------------------------------------------------------------------- bad options


@pytest.mark.parametrize("path", ["", "a\0b", 5, None, b"a.db"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(ConfigurationError, match="path"):
        FileBackend(path)


@pytest.mark.parametrize("durability", ["", "POWER", None, True])
def test_an_unknown_durability_is_refused(durability):
    with pytest.raises(ConfigurationError, match="durability"):
        FileBackend("a.db", durability=durability)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), 3601, "5", True, None])
def test_a_timeout_that_is_none_is_refused(timeout):
    with pytest.raises(ConfigurationError, match="timeout"):
        FileBackend("a.db", timeout=timeout)


# -------------------------------------------------------------------------- bad places


def test_a_folder_is_refused(tmp_path):
    refused(tmp_path, ConfigurationError, "is a folder")


def test_a_missing_folder_is_refused_and_not_made(tmp_path):
    refused(tmp_path / "none" / "a.db", ConfigurationError, "does not exist")
    assert not (tmp_path / "none").exists()


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    refused(tmp_path / "file" / "a.db", ConfigurationError, "is no folder")


def test_a_symbolic_link_to_nothing_is_refused(tmp_path):
    (tmp_path / "a.db").symlink_to(tmp_path / "none")
    refused(tmp_path / "a.db", ConfigurationError, "symbolic link")
    assert not (tmp_path / "none").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a.db")
    refused(tmp_path / "a.db", ConfigurationError, "no regular file")


@pytest.mark.parametrize(
    "content", [b"mine", b"mine " * 10_000, b"SQLite format 3\0" + b"x" * 9999]
)
def test_a_file_of_another_kind_is_refused_and_left_as_it_is(tmp_path, content):
    (tmp_path / "a.db").write_bytes(content)
    refused(tmp_path / "a.db", ConfigurationError, "is no database")
    assert (tmp_path / "a.db").read_bytes() == content


@pytest.mark.parametrize(
    "statement",
    ["CREATE TABLE theirs (a)", "PRAGMA application_id = 7", "PRAGMA user_version = 1"],
)
def test_a_database_of_another_program_is_refused_and_left_as_it_is(tmp_path, statement):
    content = sqlite_file(tmp_path / "a.db", statement)
    refused(tmp_path / "a.db", ConfigurationError, "another program")
    assert (tmp_path / "a.db").read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == ["a.db"]


def test_a_database_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path):
    asyncio.run(use(FileBackend(tmp_path / "a.db")))
    newer = f"PRAGMA user_version = {SCHEMA_VERSION + 1}"
    content = sqlite_file(tmp_path / "a.db", newer)
    refused(tmp_path / "a.db", ConfigurationError, "newer version", "Upgrade")
    assert (tmp_path / "a.db").read_bytes() == content


def test_a_network_file_system_is_refused(tmp_path, monkeypatch):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 0 0:1 / / rw - ext4 a rw\n2 1 0:2 / {tmp_path} rw - nfs4 server:/ rw\n")
    monkeypatch.setattr(network, "_MOUNTS", mounts)
    refused(tmp_path / "a.db", ConfigurationError, "network file system", "nfs4")
    assert not (tmp_path / "a.db").exists()


MOUNTS = r"""
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 0:20 / /home rw - nfs4 server:/home rw
23 22 0:21 / /home/ada/local rw - tmpfs tmpfs rw
24 21 0:22 / /mnt/with\040space rw - cifs //server/share rw
25 21 0:23 / /twice rw - nfs server:/ rw
26 21 0:24 / /twice rw - xfs /dev/sdb rw
an odd line
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/var", "ext4"),
        ("/home", "nfs4"),
        ("/home/ada", "nfs4"),
        ("/home/ada/local/x", "tmpfs"),
        ("/homeless", "ext4"),
        ("/mnt/with space", "cifs"),
        ("/twice/x", "xfs"),
    ],
)
def test_the_deepest_and_last_mount_counts(folder, kind):
    assert mounted_type(Path(folder), MOUNTS) == kind


# ------------------------------------------------- a read-only place, and a full disk

# Permissions mean nothing to root: the child becomes nobody once everything is imported.
CHILD = """
import asyncio, os, resource, signal, sys
from pathlib import Path
from fastadk_memory_file import FileBackend
from fastadk_memory import FastADKMemoryError

async def attempt(what):
    try:
        await what
        print("done")
    except FastADKMemoryError as error:
        print(type(error).__name__, error, repr(error.__cause__))

async def warm_up(folder):
    async with FileBackend(folder / "warm.db") as memory:
        await memory.set("key", 1)
        await memory.get("key")

folder = Path(sys.argv[1])
asyncio.run(warm_up(folder))
"""


def run_child(script: str, folder: Path) -> list[str]:
    command = [sys.executable, "-c", CHILD + script, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def public_path() -> Iterator[Path]:
    """Return a folder that everybody can get at; those of `tmp_path` are closed to others."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    for each in folder.iterdir():
        each.chmod(0o755)
    shutil.rmtree(folder)


AS_NOBODY = """
async def main():
    memory = FileBackend(folder / "place" / "a.db")
    await attempt(memory.set("key", 2))
    await memory.aclose()
if os.geteuid() == 0:
    os.setgid(65534); os.setuid(65534)
asyncio.run(main())
"""


def test_a_read_only_folder_has_its_own_error(public_path):
    place = public_path / "place"
    place.mkdir()
    place.chmod(0o555)
    (told,) = run_child(AS_NOBODY, public_path)
    assert told.startswith("BackendUnavailableError")
    assert "cannot be made" in told
    assert list(place.iterdir()) == []


def test_a_read_only_file_has_its_own_error_and_is_left_as_it_is(public_path):
    place = public_path / "place"
    place.mkdir()
    asyncio.run(use(FileBackend(place / "a.db")))
    content = (place / "a.db").read_bytes()
    (place / "a.db").chmod(0o444)
    place.chmod(0o755)
    (told,) = run_child(AS_NOBODY, public_path)
    assert told.startswith("BackendUnavailableError")
    assert "read-only" in told
    assert (place / "a.db").read_bytes() == content


def test_a_writable_file_in_a_read_only_folder_has_its_own_error(public_path):
    place = public_path / "place"
    place.mkdir()
    asyncio.run(use(FileBackend(place / "a.db")))
    (place / "a.db").chmod(0o666)
    place.chmod(0o555)
    (told,) = run_child(AS_NOBODY, public_path)
    assert told.startswith("BackendUnavailableError")
    assert "cannot be opened" in told or "cannot be written" in told


LIMITED = """
async def main():
    memory = FileBackend(folder / "a.db")
    await memory.set("before", 1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, resource.RLIM_INFINITY))
    await attempt(memory.set("large", "x" * 300_000))
    print(await memory.get("before"), await memory.get("large"), await memory.exists("large"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await attempt(memory.set("large", "y" * 300_000))
    print(await memory.get("before"), len(await memory.get("large")))
    await memory.aclose()
asyncio.run(main())
"""


def test_a_write_that_the_system_refuses_fails_and_the_same_backend_recovers(tmp_path):
    """The operating system itself refuses to let the files grow, as with a quota."""
    told = run_child(LIMITED, tmp_path)
    assert told[0].startswith("BackendUnavailableError")
    assert "OperationalError" in told[0]  # the cause
    assert told[1:] == ["1 None False", "done", "1 300000"]


def test_a_full_database_fails_whole_and_the_same_backend_recovers(tmp_path):
    """SQLite's own bound gives the very error of a full disk, SQLITE_FULL."""

    async def main() -> None:
        async with FileBackend(tmp_path / "a.db") as memory:
            await memory.set("before", 1)
            store = memory._store
            assert store is not None
            store._connection.execute("PRAGMA max_page_count = 20")
            with pytest.raises(BackendUnavailableError, match="disk is full") as raised:
                await memory.set_many({"small": 1, "large": "x" * 300_000})
            assert isinstance(raised.value.__cause__, sqlite3.Error)
            assert await memory.keys() == ["before"]
            # Of those that wait together only the culprit fails.
            outcomes = await asyncio.gather(
                memory.set("a", 1),
                memory.set("large", "x" * 300_000),
                memory.set("b", 2),
                return_exceptions=True,
            )
            assert [type(each) for each in outcomes] == [
                type(None), BackendUnavailableError, type(None),
            ]  # fmt: skip
            store._connection.execute("PRAGMA max_page_count = 100000")
            await memory.set("large", "x" * 300_000)
            assert sorted(await memory.keys()) == ["a", "b", "before", "large"]

    asyncio.run(main())


# ------------------------------------------------------------- a file that goes away


@pytest.mark.parametrize("replaced", [False, True])
def test_a_deleted_or_replaced_file_is_not_written_to(tmp_path, replaced):
    async def main() -> None:
        async with FileBackend(tmp_path / "a.db") as memory:
            await memory.set("key", 1)
            (tmp_path / "a.db").rename(tmp_path / "moved.db")
            if replaced:
                (tmp_path / "a.db").write_bytes(b"mine")
            for _ in range(2):
                with pytest.raises(BackendUnavailableError, match="deleted, moved or replaced"):
                    await memory.set("key", 2)
            assert not await memory.health_check()
            assert (tmp_path / "a.db").exists() == replaced
            if replaced:
                assert (tmp_path / "a.db").read_bytes() == b"mine"
            (tmp_path / "moved.db").replace(tmp_path / "a.db")
            await memory.set("key", 3)  # it is back
            assert await memory.get("key") == 3

    asyncio.run(main())
