"""Finds the entry points of installed distributions, without importing any of them.

The standard library's ``entry_points()`` raises for everybody once a single package of
the environment is malformed, lets a leftover folder hide a healthy distribution, and
costs more than the rest of the start-up. So folders on the path are read here directly:
one listing, one small read per distribution, and a closer look only at those that name
the group. Whatever a folder listing cannot see (zip files and wheels on the path,
finders that other tools put on ``sys.meta_path``) is asked for through
``importlib.metadata``, one distribution at a time.

Nothing found here is an error: what cannot be read becomes a `Problem`, and the rest of
the environment stays usable.
"""

# Plain os.path: pathlib would cost more than the whole search.
# ruff: noqa: PTH100, PTH110, PTH113, PTH118, PTH119, PTH120, PTH208

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from fastadk_memory.errors import ConfigurationError

if TYPE_CHECKING:
    from importlib.metadata import Distribution

__all__ = ["Discovery", "EntryPoint", "Problem", "discover", "normalise"]


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """One line of an installed distribution's ``entry_points.txt``.

    Attributes:
        name: What stands left of the ``=``.
        value: What stands right of it, such as ``package.module:Attribute``.
        group: The section it stands in.
        distribution: The name of the distribution, as its metadata spells it.
        version: The distribution's version; empty where the metadata has none.
        location: Where its metadata lies: the folder, or a place inside a zip file.
    """

    name: str
    value: str
    group: str
    distribution: str
    version: str
    location: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in the environment that did not stop anything else.

    Attributes:
        what: What is wrong, in one sentence.
        where: The file, folder or setting it was found in.
        cure: What to do about it.
    """

    what: str
    where: str
    cure: str


@dataclass(frozen=True, slots=True)
class Discovery:
    """What `discover` found.

    Attributes:
        entry_points: The group's entry points, by distribution and in the order of its
            file; of each distribution those of one version only.
        problems: What could not be read or is left over.
    """

    entry_points: tuple[EntryPoint, ...]
    problems: tuple[Problem, ...]


def discover(group: str, path: Sequence[str] | None = None) -> Discovery:
    """Find the entry points of `group` that installed distributions declare.

    Of several distributions with one name the first on the path counts, as for an
    import; one without metadata, which an interrupted uninstallation left, never hides a
    whole one; of two versions in one folder the higher counts, and a problem is reported.

    Args:
        group: The name of the group, exactly.
        path: Where to look; `sys.path` by default. Entries that are no `str` are passed
            over, as an import does.

    Returns:
        The entry points and the problems. Nothing has been imported but, where zip files
        or foreign finders are involved, `importlib.metadata`.

    Raises:
        ConfigurationError: `group` is no `str` or empty, or `path` is a single `str`.
    """
    _check(group, path)
    problems: list[Problem] = []
    entries: Sequence[object] = sys.path if path is None else path
    roots = [root for root in entries if isinstance(root, str)]
    places = list(_candidates(roots, problems))
    marker = group.encode(errors="surrogatepass")
    keys = {place.key for place in places if marker in place.text}
    if not keys:
        return Discovery((), tuple(problems))
    found: list[EntryPoint] = []
    rivals = [place for place in places if place.key in keys]
    for _, same in sorted(_by_name(rivals, marker, problems).items()):
        found += _entries(_choose(same, problems), group, problems)
    return Discovery(tuple(found), tuple(problems))


def _check(group: object, path: object) -> None:
    if not isinstance(group, str) or not group:
        raise ConfigurationError("the group of entry points must be a str that is not empty")
    if path is not None and (isinstance(path, (str, bytes)) or not isinstance(path, Sequence)):
        raise ConfigurationError("path must be a sequence of folders, such as a list of str")


def normalise(distribution: str) -> str:
    """Return a distribution's name in the form in which two spellings of it are equal.

    Args:
        distribution: Any spelling, such as ``FastADK_Memory.Redis``.

    Returns:
        Lower case, with each run of ``-``, ``_`` and ``.`` as one ``-``.
    """
    return _SEPARATORS.sub("-", distribution).lower()


_SEPARATORS = re.compile(r"[-_.]+")
_PROJECT_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?\Z", re.IGNORECASE)
_METADATA_FILES = ("METADATA", "PKG-INFO")
_READ_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


# ------------------------------------------------------------------ where to look


class _Place(Protocol):
    """One installed distribution, known so far by where its metadata lies."""

    order: int
    """The position of its path entry or finder: of two namesakes the lower one counts."""
    text: bytes
    """Its ``entry_points.txt``; empty if there is none."""

    @property
    def key(self) -> str: ...
    @property
    def location(self) -> str: ...
    def complete(self) -> bool: ...
    def identity(self) -> tuple[str, str]: ...


def _candidates(path: list[str], problems: list[Problem]) -> Iterator[_Place]:
    """Every distribution that the import system's finders offer, in their order."""
    scanned = False
    order = 0
    for finder in list(sys.meta_path):
        find = getattr(finder, "find_distributions", None)
        if find is None:
            continue
        if not _reads_the_path(finder):
            order += 1
            yield from _Foreign.all_of(finder, path, order, problems)
        elif not scanned:
            scanned = True
            yield from _scan(path, order, problems)
            order += len(path)
    if not scanned:
        yield from _scan(path, order, problems)


def _reads_the_path(finder: object) -> bool:
    """Tell whether the scan replaces this finder: the import system's own, or the backport's."""
    kind = finder if isinstance(finder, type) else type(finder)
    if kind.__name__ == "PathFinder":
        return kind.__module__.endswith(("_frozen_importlib_external", "_bootstrap_external"))
    module = kind.__module__.rpartition(".")[2]
    return kind.__name__ == "MetadataPathFinder" and module in ("importlib_metadata", "metadata")


def _scan(path: list[str], order: int, problems: list[Problem]) -> Iterator[_Place]:
    seen = set()
    for root in path:
        if root in seen:
            continue
        seen.add(root)
        order += 1
        try:
            children = os.listdir(root or ".")
        except FileNotFoundError:
            continue
        except NotADirectoryError:
            if os.path.isfile(root):
                yield from _Foreign.inside(root, order, problems)
            continue
        except (OSError, ValueError) as error:
            problems.append(_unreadable(root, error))
            continue
        egg = root.lower().endswith(".egg")
        for child in children:
            low = child.lower()
            if low.endswith((".dist-info", ".egg-info")) or (egg and low == "egg-info"):
                folder = os.path.join(root, child)
                yield _Folder(order, folder, _read_entry_points(folder, problems))


def _read_entry_points(folder: str, problems: list[Problem]) -> bytes:
    try:
        return _read(os.path.join(folder, "entry_points.txt"))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return b""
    except OSError as error:
        problems.append(_unreadable(folder, error))
        return b""


def _read(file: str) -> bytes:
    # A third of the time of open(): this runs once for every installed distribution.
    descriptor = os.open(file, _READ_FLAGS)
    try:
        data = os.read(descriptor, 65_536)
        if len(data) == 65_536:
            while more := os.read(descriptor, 1 << 20):
                data += more
        return data
    finally:
        os.close(descriptor)


def _unreadable(where: str, error: Exception) -> Problem:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return Problem(
        f"cannot be read ({reason}); plugins in it are not seen",
        where,
        "make it readable for this user, or remove it from the path",
    )


class _Folder:
    """A ``.dist-info`` or ``.egg-info`` folder on the path."""

    __slots__ = ("folder", "order", "text")

    def __init__(self, order: int, folder: str, text: bytes) -> None:
        self.order = order
        self.folder = folder
        self.text = text

    @property
    def key(self) -> str:
        return normalise(self._stem().partition("-")[0])

    @property
    def location(self) -> str:
        return os.path.abspath(self.folder)

    def _stem(self) -> str:
        head, base = os.path.split(self.folder)
        if base.lower() == "egg-info":
            base = os.path.basename(head)
        return base.rpartition(".")[0]

    def complete(self) -> bool:
        return os.path.isfile(self.folder) or any(
            os.path.exists(os.path.join(self.folder, name)) for name in _METADATA_FILES
        )

    def identity(self) -> tuple[str, str]:
        name, _, rest = self._stem().partition("-")
        headers = self._headers()
        # Messages put the name into commands: what is no name of a project must not get there.
        if _PROJECT_NAME.match(headers.get("name", "")):
            name = headers["name"]
        return name, _printable(headers.get("version") or rest.partition("-")[0])

    def _headers(self) -> dict[str, str]:
        for file in _METADATA_FILES:
            try:
                text = _read(os.path.join(self.folder, file)).decode(errors="replace")
            except OSError:
                continue
            headers: dict[str, str] = {}
            for line in text.splitlines():
                name, colon, value = line.partition(":")
                if not colon:
                    break
                headers.setdefault(name.strip().lower(), value.strip())
            return headers
        return {}


class _Foreign:
    """A distribution that only `importlib.metadata`, or somebody's finder, can read."""

    __slots__ = ("_name", "_version", "location", "order", "text")

    def __init__(self, order: int, distribution: Distribution, source: str) -> None:
        metadata = distribution.metadata
        self._name = str(metadata["Name"] or "")
        self._version = _printable(str(metadata["Version"] or ""))
        self.order = order
        # Zip files know their path; what another finder offers may lie anywhere.
        self.location = str(getattr(distribution, "_path", "") or source)
        self.text = _foreign_text(distribution)

    @property
    def key(self) -> str:
        return normalise(self._name)

    def complete(self) -> bool:
        return bool(self._name)

    def identity(self) -> tuple[str, str]:
        return self._name, self._version

    @classmethod
    def inside(cls, file: str, order: int, problems: list[Problem]) -> Iterator[_Foreign]:
        """The distributions inside a zip file or wheel on the path."""
        from importlib.metadata import DistributionFinder, MetadataPathFinder

        context = DistributionFinder.Context(path=[file])
        try:
            distributions = list(MetadataPathFinder.find_distributions(context))
        except Exception as error:  # noqa: BLE001 (a damaged archive can raise anything)
            problems.append(_broken(file, error))
            return
        yield from cls._readable(distributions, order, file, problems)

    @classmethod
    def all_of(
        cls, finder: object, path: list[str], order: int, problems: list[Problem]
    ) -> Iterator[_Foreign]:
        """The distributions that a finder on ``sys.meta_path`` offers."""
        from importlib.metadata import DistributionFinder

        kind = finder if isinstance(finder, type) else type(finder)
        source = f"finder {kind.__module__}.{kind.__qualname__}"
        context = DistributionFinder.Context(path=path)
        distributions: list[Distribution] = []
        try:
            # It may be a generator that yields some before it raises: extend keeps those.
            distributions.extend(finder.find_distributions(context))  # type: ignore[attr-defined]
        except Exception as error:  # noqa: BLE001 (somebody else's code)
            problems.append(_broken(source, error))
        yield from cls._readable(distributions, order, source, problems)

    @classmethod
    def _readable(
        cls,
        distributions: Iterable[Distribution],
        order: int,
        source: str,
        problems: list[Problem],
    ) -> Iterator[_Foreign]:
        for distribution in distributions:
            try:
                yield cls(order, distribution, source)
            except Exception as error:  # noqa: BLE001 (the others count)
                where = str(getattr(distribution, "_path", "") or source)
                problems.append(_broken(where, error))


def _printable(version: str) -> str:
    return re.sub(r"[^\w.!+-]", "?", version)[:100]


def _foreign_text(distribution: Distribution) -> bytes:
    text = distribution.read_text("entry_points.txt")
    if text is not None:
        return text.encode(errors="surrogatepass")
    # A provider may override the property and have no such file.
    groups: dict[str, list[str]] = {}
    for entry in distribution.entry_points:
        groups.setdefault(entry.group, []).append(f"{entry.name} = {entry.value}")
    sections = ("\n".join([f"[{group}]", *lines]) for group, lines in groups.items())
    return "\n".join(sections).encode(errors="surrogatepass")


def _broken(where: str, error: Exception) -> Problem:
    return Problem(
        f"its metadata cannot be read ({type(error).__name__}); plugins in it are not seen",
        where,
        "reinstall the distribution, or remove it from the path",
    )


# ---------------------------------------------------------------- which of them count


def _by_name(
    places: list[_Place], marker: bytes, problems: list[Problem]
) -> dict[str, list[_Place]]:
    """Group by the name that the metadata gives, and leave out what pip left behind."""
    groups: dict[str, list[_Place]] = {}
    for place in places:
        if not _PROJECT_NAME.match(place.key):
            if marker in place.text:
                problems.append(_leftover(place, "has no valid name"))
            continue
        groups.setdefault(normalise(place.identity()[0]), []).append(place)
    return groups


def _choose(places: list[_Place], problems: list[Problem]) -> _Place:
    whole = [place for place in places if place.complete()]
    first = min(place.order for place in whole or places)
    here = [place for place in whole or places if place.order == first]
    here.sort(key=lambda place: _version_key(place.identity()[1]), reverse=True)
    chosen = here[0]
    name, version = chosen.identity()
    if len(here) > 1:
        versions = " and ".join(place.identity()[1] or "unknown" for place in here)
        problems.append(
            Problem(
                f"{name} is installed in several versions at once: {versions}; {version} counts",
                os.path.dirname(chosen.location),
                f"uninstall {name} until pip finds it no more, then install it again",
            )
        )
    if not whole:
        problems.append(_leftover(chosen, "has no METADATA, but its entry points still count"))
    passed_over = [place for place in places if whole and place not in whole]
    problems += [_leftover(place, "has no METADATA and is passed over") for place in passed_over]
    return chosen


def _leftover(place: _Place, why: str) -> Problem:
    return Problem(
        f"the leftover of an interrupted installation: it {why}",
        place.location,
        "delete this folder, then reinstall the distribution if it is still wanted",
    )


def _version_key(version: str) -> tuple[object, ...]:
    """Order versions as installers do: epoch, release, then dev < a < b < rc < final < post."""
    match = re.match(
        r"v?(?:(\d+)!)?(\d+(?:\.\d+)*)"
        r"(?:[-_.]?(a|b|c|rc|alpha|beta|pre|preview)[-_.]?(\d*))?"
        r"(?:-(\d+)|[-_.]?(?:post|rev|r)[-_.]?(\d*))?"
        r"([-_.]?dev[-_.]?(\d*))?",
        version.strip().lower(),
    )
    if match is None:
        return (-1,)
    epoch, release, stage, stage_number, dash, post, dev, dev_number = match.groups()
    numbers = [_number(part) for part in release.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    is_post = dash is not None or post is not None
    if stage:
        rank = {"a": 0, "b": 1}.get(stage[0], 2)
    else:
        rank = -1 if dev and not is_post else 3
    return (
        _number(epoch),
        numbers,
        rank,
        _number(stage_number),
        _number(dash or post) if is_post else -1,
        0 if dev else 1,
        _number(dev_number),
    )


def _number(digits: str | None) -> int:
    # Python refuses to read an int of more than 4,300 digits; nobody's version has them.
    return int(digits[:1000]) if digits else 0


# ----------------------------------------------------------------- what they declare


def _entries(place: _Place, group: str, problems: list[Problem]) -> Iterator[EntryPoint]:
    name, version = place.identity()
    section = None
    text = place.text.removeprefix(b"\xef\xbb\xbf").decode(errors="surrogateescape")
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("[") and line.endswith("]"):
            section = line.strip("[]")
            continue
        if section != group:
            continue
        left, equals, right = line.partition("=")
        # No lone surrogates, which undecodable bytes have become, and no control characters.
        readable = line.replace("\t", " ").isprintable()
        if not (equals and left.strip() and right.strip() and readable):
            problems.append(_malformed(place, number, name))
            continue
        yield EntryPoint(left.strip(), right.strip(), group, name, version, place.location)


def _malformed(place: _Place, number: int, name: str) -> Problem:
    return Problem(
        f"line {number} is no entry point of the form `name = package.module:object`",
        f"{os.path.join(place.location, 'entry_points.txt')} of {name}",
        f"reinstall {name}; if it persists, tell its authors",
    )
