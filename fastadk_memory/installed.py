"""What is installed of a distribution: its version and a hash of each of its files.

Of an ordinary installation these are the files that the distribution's `RECORD` lists,
read anew, without what the installer adds: the metadata folder, scripts, compiled code. Of
an editable installation, whose `RECORD` does not list them, they are the files of the
package that would be imported. Both name a file by its path below the import folder, so
that a wheel and the sources that it was built from have the same hashes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

from fastadk_memory.errors import ConfigurationError

if TYPE_CHECKING:
    from importlib.metadata import Distribution

    from fastadk_memory.selection import BackendInfo

__all__ = ["Installed", "installed", "total_of"]

_COMPILED = (".pyc", ".pyo")
_IMPORTED = (".py", ".so", ".pyd")


@dataclass(frozen=True, slots=True)
class Installed:
    """What is installed of a distribution.

    Attributes:
        name: The distribution's name.
        version: Its version.
        how: `record` if its `RECORD` lists the files, `editable` if the package's folder was
            looked at.
        files: The SHA-256 of each file, in hexadecimal digits, by its path.
    """

    name: str
    version: str
    how: Literal["record", "editable"]
    files: dict[str, str]

    @property
    def total(self) -> str:
        """One SHA-256 over all files."""
        return total_of(self.files)


def total_of(files: dict[str, str]) -> str:
    """Return one SHA-256 over the hashes of files: of `path NUL hash LF`, sorted by path.

    Args:
        files: Paths to hashes.
    """
    lines = "".join(f"{path}\0{files[path]}\n" for path in sorted(files))
    return sha256(lines.encode()).hexdigest()


def installed(info: BackendInfo) -> Installed:
    """Look at the distribution that provides a backend. Imports nothing of it.

    Args:
        info: The backend's line in the registry.

    Raises:
        ConfigurationError: The application registered it, so that no distribution stands
            for it; or its files cannot be found or read.
    """
    if info.distribution is None or info.location is None:
        raise ConfigurationError(
            f"the backend {info.name!r} is registered by the application; only one that an "
            "installed distribution provides can be certified"
        )
    from importlib.metadata import Distribution

    found = Distribution.at(Path(info.location))
    module = info.target.partition(":")[0]
    try:
        listed = {path: file for path, file in _recorded(found) if file.is_file()}
        how: Literal["record", "editable"] = "record"
        if not _holds(listed, module):
            listed, how = dict(_of_package(module)), "editable"
        files = {path: sha256(file.read_bytes()).hexdigest() for path, file in listed.items()}
    except OSError as error:
        raise ConfigurationError(
            f"the files of {info.distribution} cannot be read: {error.strerror}"
        ) from error
    return Installed(info.distribution, info.version or "", how, dict(sorted(files.items())))


def _recorded(found: Distribution) -> Iterator[tuple[str, Path]]:
    """Yield what `RECORD` lists of the distribution's own, with the place of each."""
    for entry in found.files or ():
        path = PurePosixPath(entry.as_posix())
        outside = path.is_absolute() or ".." in path.parts
        if outside or path.suffix in _COMPILED or path.parts[0].endswith(".dist-info"):
            continue
        yield str(path), Path(str(found.locate_file(entry)))


def _holds(files: dict[str, Path], module: str) -> bool:
    """Tell whether the module that would be imported is among the files."""
    stem = module.replace(".", "/")
    # A compiled module is called `name.cpython-311-x86_64-linux-gnu.so`, or the like.
    return any(
        path.startswith((f"{stem}.", f"{stem}/__init__.")) and path.endswith(_IMPORTED)
        for path in files
    )


def _of_package(module: str) -> Iterator[tuple[str, Path]]:
    """Yield the files of the outermost package around a module that is no mere folder."""
    from importlib.util import find_spec

    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        name = ".".join(parts[:depth])
        try:
            spec = find_spec(name)
        except ImportError:
            spec = None
        if spec is None:
            break
        if spec.origin is not None:
            yield from _below(PurePosixPath(*parts[:depth]), Path(spec.origin))
            return
    raise ConfigurationError(f"the package {parts[0]} cannot be found; install it again")


def _below(path: PurePosixPath, origin: Path) -> Iterator[tuple[str, Path]]:
    if origin.stem != "__init__":
        yield str(path.with_name(path.name + "".join(origin.suffixes))), origin
        return
    folder = origin.parent
    for file in sorted(folder.rglob("*")):
        inner = file.relative_to(folder)
        if file.is_file() and file.suffix not in _COMPILED and "__pycache__" not in inner.parts:
            yield str(path / inner.as_posix()), file
