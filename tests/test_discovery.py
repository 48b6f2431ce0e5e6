"""Discovery finds what is declared, survives whatever lies beside it, and imports nothing."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from distributions import BACKENDS, build_wheel, entry_points_text, install, metadata_text
from hypothesis import given
from hypothesis import strategies as st

import fastadk_memory
from fastadk_memory.discovery import Discovery, EntryPoint, discover, normalise
from fastadk_memory.errors import ConfigurationError

ROOT = str(Path(fastadk_memory.__file__).parents[1])


def found(*folders: Path, group: str = BACKENDS) -> Discovery:
    return discover(group, [str(folder) for folder in folders])


def pairs(discovery: Discovery) -> list[tuple[str, str]]:
    return [(entry.name, entry.version) for entry in discovery.entry_points]


# ------------------------------------------------------------------ what is found


def test_an_entry_point_is_found_with_all_that_its_metadata_says(tmp_path):
    info = install(tmp_path, "FastADK.Memory-X", "2.1", backends={"x": "pkg.mod:X"})
    assert found(tmp_path) == Discovery(
        (EntryPoint("x", "pkg.mod:X", BACKENDS, "FastADK.Memory-X", "2.1", str(info)),), ()
    )


def test_only_the_group_that_was_asked_for_is_found(tmp_path):
    install(tmp_path, "a", groups={"other": {"o": "m:o"}, BACKENDS: {"x": "m:x"}})
    install(tmp_path, "b", groups={f"{BACKENDS}.more": {"y": "m:y"}})
    assert [e.name for e in found(tmp_path).entry_points] == ["x"]
    assert [e.name for e in found(tmp_path, group="other").entry_points] == ["o"]


def test_nothing_is_found_where_there_is_nothing(tmp_path):
    file = tmp_path / "no.zip"
    file.write_text("no archive")
    assert found(tmp_path, tmp_path / "missing", file, file / "inside") == Discovery((), ())


def test_an_old_development_installation_is_found_by_its_egg_info(tmp_path):
    project = tmp_path / "project"
    install(project, "dev-plugin", "0.3", backends={"dev": "dev:D"}, egg=True)
    site = tmp_path / "site"
    site.mkdir()
    # As `setup.py develop` leaves it: the folder is put on the path, the link is for pip.
    (site / "dev-plugin.egg-link").write_text(f"{project}\n.")
    (site / "easy-install.pth").write_text(f"{project}\n")
    result = found(site, project)
    assert pairs(result) == [("dev", "0.3")]
    assert result.entry_points[0].distribution == "dev-plugin"


def test_an_egg_folder_on_the_path_is_found(tmp_path):
    egg = tmp_path / "old_plugin-1.2-py3.11.egg"
    install(egg, "old-plugin", "1.2", backends={"old": "m:O"}, folder_name="EGG-INFO")
    (egg / "EGG-INFO" / "METADATA").rename(egg / "EGG-INFO" / "PKG-INFO")
    (entry,) = found(egg).entry_points
    assert (entry.name, entry.distribution, entry.version) == ("old", "old-plugin", "1.2")


def test_an_egg_info_file_without_entry_points_disturbs_nothing(tmp_path):
    install(tmp_path, "a", backends={"x": "m:x"})
    (tmp_path / "legacy-1.0.egg-info").write_text(metadata_text("legacy", "1.0"))
    assert (pairs(found(tmp_path)), found(tmp_path).problems) == ([("x", "1.0")], ())


def test_a_wheel_on_the_path_is_found(tmp_path):
    wheel = build_wheel(tmp_path, "in-wheel", "4.0", backends={"w": "w:W"}, modules={})
    (entry,) = found(wheel).entry_points
    assert (entry.name, entry.distribution, entry.version) == ("w", "in-wheel", "4.0")
    assert "in_wheel-4.0.dist-info" in entry.location


class OneDistribution(importlib.metadata.Distribution):
    """As an application in one file brings its own metadata."""

    def __init__(self, name: str, text: str | None) -> None:
        self._name, self._text = name, text

    def read_text(self, filename: str) -> str | None:
        if filename == "METADATA":
            return metadata_text(self._name, "7")
        return self._text if filename == "entry_points.txt" else None

    def locate_file(self, path: object) -> Path:
        raise AssertionError("discovery reads metadata; it has no business with the files")


class OwnEntryPoints(OneDistribution):
    @property
    def entry_points(self) -> importlib.metadata.EntryPoints:
        entry = importlib.metadata.EntryPoint("own", "o:O", BACKENDS)
        return importlib.metadata.EntryPoints([entry])


class BrokenDistribution(OneDistribution):
    def read_text(self, filename: str) -> str | None:
        raise RuntimeError("the archive is gone")


class Finder(importlib.metadata.DistributionFinder):
    def __init__(self, *distributions: OneDistribution, then: Exception | None = None) -> None:
        self.distributions, self.then = distributions, then

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        return None

    def find_distributions(self, context: object = None) -> Iterator[OneDistribution]:
        yield from self.distributions
        if self.then is not None:
            raise self.then


def test_a_foreign_finder_is_asked_and_each_of_its_distributions_stands_alone(
    tmp_path, monkeypatch
):
    install(tmp_path, "plain", backends={"plain": "p:P"})
    text = entry_points_text({BACKENDS: {"frozen": "f:F"}})
    finder = Finder(
        OneDistribution("frozen-app", text),
        BrokenDistribution("broken", None),
        OwnEntryPoints("own-app", None),
        then=OSError("and then it broke"),
    )
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, finder])
    result = found(tmp_path)
    assert [entry.name for entry in result.entry_points] == ["frozen", "own", "plain"]
    assert len(result.problems) == 2
    assert all("Finder" in problem.where for problem in result.problems)


def test_a_foreign_finder_before_the_path_shadows_it(tmp_path, monkeypatch):
    install(tmp_path, "both", "1.0", backends={"x": "m:x"})
    text = entry_points_text({BACKENDS: {"x": "frozen:x"}})
    finder = Finder(OneDistribution("Both", text))
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    assert pairs(found(tmp_path)) == [("x", "7")]
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path[1:], finder])
    assert pairs(found(tmp_path)) == [("x", "1.0")]


# ------------------------------------------------- what lies beside it, and survives


def test_a_malformed_unrelated_package_disturbs_nothing(tmp_path):
    install(tmp_path, "good", backends={"x": "m:x"})
    for number, data in enumerate([b"[g]\nno equals sign\n", b"[g]\n\xff\xfe = \x00\n", b"]][["]):
        info = install(tmp_path, f"bad{number}")
        (info / "entry_points.txt").write_bytes(data)
    (tmp_path / "-x.dist-info").mkdir()
    (tmp_path / "~oo-1.0.dist-info").mkdir()
    (tmp_path / "empty-1.0.dist-info").mkdir()
    assert (pairs(found(tmp_path)), found(tmp_path).problems) == ([("x", "1.0")], ())


def test_malformed_lines_of_the_group_itself_are_reported_and_the_others_count(tmp_path):
    info = install(tmp_path, "half")
    lines = [b"[%s]" % BACKENDS.encode(), b"no equals", b"a = m:a", b"\xff = m:b", b"= m", b"c ="]
    (info / "entry_points.txt").write_bytes(b"\n".join(lines))
    result = found(tmp_path)
    assert [entry.name for entry in result.entry_points] == ["a"]
    assert [problem.what.split()[1] for problem in result.problems] == ["2", "4", "5", "6"]
    assert all(str(info) in problem.where and problem.cure for problem in result.problems)


@pytest.mark.parametrize("leftover", ["~ood-1.0.dist-info", "-ood-1.0.dist-info", "-x.dist-info"])
def test_what_pip_left_behind_does_not_advertise_but_is_reported(tmp_path, leftover):
    install(tmp_path, "good", backends={"x": "m:x"})
    old = install(tmp_path, "good", "0.9", backends={"gone": "m:g"}, folder_name=leftover)
    result = found(tmp_path)
    assert pairs(result) == [("x", "1.0")]
    (problem,) = result.problems
    assert problem.where == str(old)


def test_an_empty_leftover_does_not_hide_a_whole_distribution(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    (first / "plugin-2.0.dist-info").mkdir(parents=True)
    (first / "plugin-3.0.dist-info").mkdir()
    install(second, "plugin", "1.0", backends={"x": "m:x"})
    result = found(first, second)
    assert pairs(result) == [("x", "1.0")]
    assert sorted(problem.where for problem in result.problems) == [
        str(first / f"plugin-{version}.dist-info") for version in ("2.0", "3.0")
    ]


def test_entry_points_without_metadata_still_count_and_are_reported(tmp_path):
    info = install(tmp_path, "half-gone", backends={"x": "m:x"}, metadata=False)
    result = found(tmp_path)
    assert pairs(result) == [("x", "1.0")]
    assert [problem.where for problem in result.problems] == [str(info)]


def test_an_older_distribution_later_on_the_path_is_shadowed_without_ado(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    install(first, "My.Plugin", "1.0", backends={"x": "new:x"})
    install(second, "my_plugin", "2.0", backends={"x": "old:x", "y": "old:y"})
    assert (pairs(found(first, second)), found(first, second).problems) == ([("x", "1.0")], ())


def test_a_first_distribution_without_entry_points_shadows_one_that_has_some(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    install(first, "plugin", "2.0")
    install(second, "plugin", "1.0", backends={"x": "m:x"})
    assert found(first, second) == Discovery((), ())


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("1.9", "1.10"),
        ("1.0.dev3", "1.0a1"),
        ("1.0a2", "1.0b1"),
        ("1.0rc1", "1.0"),
        ("1.0", "1.0.post1"),
        ("2024.1", "1!1.0"),
        ("1.0", "1.0.1"),
        ("1.0b2.dev1", "1.0b2"),
        ("1.0a1.post1", "1.0a2"),
        ("nonsense", "0.1"),
    ],
)
def test_of_two_versions_in_one_folder_the_higher_counts_and_it_is_reported(
    tmp_path, lower, higher
):
    install(tmp_path, "plugin", lower, backends={"x": "m:lower", "gone": "m:g"})
    install(tmp_path, "plugin", higher, backends={"x": "m:higher"})
    result = found(tmp_path)
    assert pairs(result) == [("x", higher)]
    (problem,) = result.problems
    assert lower in problem.what
    assert higher in problem.what
    assert problem.where == str(tmp_path)


def test_versions_are_ordered_as_packaging_orders_them():
    from packaging.version import Version

    from fastadk_memory.discovery import _version_key

    versions = [
        f"{epoch}{release}{stage}{post}{dev}"
        for epoch in ("", "1!")
        for release in ("0.9", "1", "1.0.0", "1.0.1", "1.10", "1.9")
        for stage in ("", "a1", "a2", "b1", "rc1", ".rc2")
        for post in ("", ".post1", ".post2", "-1")
        for dev in ("", ".dev0", ".dev1")
    ]
    ours = sorted(versions, key=_version_key)
    theirs = sorted(versions, key=Version)
    assert [Version(v) for v in ours] == [Version(v) for v in theirs]


def test_what_cannot_be_read_is_reported_and_the_rest_is_found(tmp_path):
    install(tmp_path, "good", backends={"x": "m:x"})
    info = install(tmp_path, "loop")
    (info / "entry_points.txt").symlink_to("entry_points.txt")
    (tmp_path / "self-1.0.dist-info").symlink_to("self-1.0.dist-info")
    (install(tmp_path, "folder") / "entry_points.txt").mkdir()
    result = found(tmp_path, Path("nul\0byte"))
    assert pairs(result) == [("x", "1.0")]
    assert sorted(problem.where for problem in result.problems) == sorted(
        [str(info), str(tmp_path / "self-1.0.dist-info"), "nul\0byte"]
    )


@contextmanager
def as_ordinary_user() -> Iterator[None]:
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_folders_that_this_user_may_not_read_are_reported():
    # Not tmp_path, whose parents are closed to other users.
    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o755)
        install(folder, "good", backends={"x": "m:x"})
        closed = install(folder, "closed", backends={"y": "m:y"})
        closed.chmod(0)
        private = folder / "private"
        private.mkdir(mode=0)
        with as_ordinary_user():
            result = found(folder, private)
        assert pairs(result) == [("x", "1.0")]
        assert [problem.where for problem in result.problems] == [str(closed), str(private)]
    finally:
        for each in folder.iterdir():
            if each.is_dir():
                each.chmod(0o755)
        shutil.rmtree(folder)


def test_a_name_that_could_harm_a_command_line_never_leaves_the_metadata(tmp_path):
    info = install(tmp_path, "evil", backends={"x": "m:x", "y": "m:\x1b[2Jy"})
    (info / "METADATA").write_text("Name: x; rm -rf ~\nVersion: 1 && \x1b[2J\n")
    (entry,) = found(tmp_path).entry_points
    assert (entry.name, entry.distribution) == ("x", "evil")
    assert set(entry.version) <= set("1?2J")


def test_a_byte_order_mark_hides_nothing(tmp_path):
    info = install(tmp_path, "marked", backends={"x": "m:x"})
    file = info / "entry_points.txt"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert pairs(found(tmp_path)) == [("x", "1.0")]


def test_a_folder_that_is_twice_on_the_path_counts_once(tmp_path):
    info = install(tmp_path, "plugin", backends={"x": "m:x"})
    (info / "entry_points.txt").write_text(f"[{BACKENDS}]\nx = m:x\nmalformed\n")
    assert pairs(found(tmp_path, tmp_path)) == [("x", "1.0")]
    (tmp_path / "self-1.0.dist-info").symlink_to("self-1.0.dist-info")
    assert len(found(tmp_path, tmp_path).problems) == 2


def test_a_large_entry_points_file_is_read_whole(tmp_path):
    many = {f"n{number}": "m:x" for number in range(20_000)}
    install(tmp_path, "large", backends=many)
    assert len(found(tmp_path).entry_points) == len(many)


# ----------------------------------------------- the same as the metadata module finds


def by_the_metadata_module(module, group: str, path: list[str] | None) -> set[tuple[str, ...]]:
    """The entry points of the first distribution of each name, asked one by one."""
    seen, declared = set(), set()
    arguments = {} if path is None else {"path": path}
    for distribution in module.distributions(**arguments):
        name = normalise(distribution.metadata["Name"])
        if name not in seen:
            seen.add(name)
            declared |= {
                (name, distribution.version, entry.name, entry.value)
                for entry in distribution.entry_points
                if entry.group == group
            }
    return declared


def by_us(group: str, path: list[str] | None) -> set[tuple[str, ...]]:
    return {
        (normalise(entry.distribution), entry.version, entry.name, entry.value)
        for entry in discover(group, path).entry_points
    }


def metadata_modules():
    import importlib_metadata

    return importlib.metadata, importlib_metadata


def test_the_scan_finds_what_the_metadata_modules_find_in_the_real_environment():
    for module in metadata_modules():
        every = (entry for each in module.distributions() for entry in each.entry_points)
        groups = {entry.group for entry in every}
        assert "pytest11" in groups
        for group in groups:
            assert by_us(group, None) == by_the_metadata_module(module, group, None)


names = st.sampled_from(["alpha", "alpha-one", "Alpha.One", "beta", "fastadk-memory-x"])
values = st.sampled_from(["m:x", "m.n:X.y", "m", "m:x [extra]", "  m : x  "])
labels = st.sampled_from(["x", "y", "x.y", "a b", "#no", "é", "[x"])
groups = st.dictionaries(
    st.sampled_from([BACKENDS, "other", f"{BACKENDS}2", "console_scripts"]),
    st.dictionaries(labels, values, max_size=3),
    max_size=3,
)
distributions = st.tuples(names, st.sampled_from(["1.0", "2.0", "2.0rc1"]), groups, st.booleans())
folders = st.lists(
    st.lists(distributions, max_size=4, unique_by=lambda each: normalise(each[0])),
    min_size=1,
    max_size=3,
)


@given(folders)
def test_the_scan_finds_what_the_metadata_modules_find_on_synthetic_paths(site):
    with tempfile.TemporaryDirectory() as temporary:
        path = []
        for number, installed in enumerate(site):
            folder = Path(temporary, str(number))
            folder.mkdir()
            path.append(str(folder))
            for name, version, declared, egg in installed:
                install(folder, name, version, groups=declared, egg=egg)
        for module in metadata_modules():
            module.MetadataPathFinder().invalidate_caches()
            expected = by_the_metadata_module(module, BACKENDS, path)
            assert by_us(BACKENDS, path) == expected
            assert discover(BACKENDS, path).problems == ()


# ------------------------------------------------------------------------ bad input


@given(
    st.lists(
        st.tuples(
            st.text(alphabet="ab-_.~ \u00e9\ud800", max_size=6).filter(lambda t: t.strip(". ")),
            st.sampled_from([".dist-info", ".egg-info", ".DIST-INFO"]),
            st.one_of(
                st.none(),
                st.binary(max_size=60),
                st.binary(max_size=40).map(lambda b: b"[%s]\n%s" % (BACKENDS.encode(), b)),
            ),
            st.one_of(st.none(), st.binary(max_size=60)),
        ),
        max_size=5,
    )
)
def test_no_environment_however_mangled_stops_the_search(mangled):
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        install(folder, "good", backends={"x": "m:x"})
        for name, suffix, entry_points, metadata in mangled:
            try:
                (folder / f"{name}{suffix}").mkdir(exist_ok=True)
            except (OSError, UnicodeError):
                continue
            for file, data in (("entry_points.txt", entry_points), ("METADATA", metadata)):
                if data is not None:
                    (folder / f"{name}{suffix}" / file).write_bytes(data)
        result = discover(BACKENDS, [temporary])
        assert ("x", "m:x", "good") in {
            (entry.name, entry.value, entry.distribution) for entry in result.entry_points
        }
        for entry in result.entry_points:
            assert (entry.name + entry.value + entry.version).replace("\t", " ").isprintable()


anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.binary(),
    st.text(),
    st.lists(st.text()),
)


@given(anything, anything)
def test_discover_answers_or_says_what_is_wrong_with_its_arguments(group, path):
    good_group = isinstance(group, str) and group
    good_path = path is None or isinstance(path, list)
    if good_group and good_path:
        assert isinstance(discover(group, path), Discovery)
    else:
        with pytest.raises(ConfigurationError):
            discover(group, path)


@given(st.text())
def test_two_spellings_of_a_distribution_are_one(name):
    assert (
        normalise(name.upper()).casefold() == normalise(name.upper().replace("-", "_")).casefold()
    )
    assert normalise(normalise(name)) == normalise(name)


# ------------------------------------------------------------------------- its cost


def test_searching_folders_imports_nothing_of_the_metadata_modules(tmp_path):
    install(tmp_path, "plugin", backends={"x": "never_imported:x"})
    script = (
        "import sys; from fastadk_memory.discovery import discover\n"
        f"assert len(discover({BACKENDS!r}, [{str(tmp_path)!r}]).entry_points) == 1\n"
        "loaded = {'importlib.metadata', 'importlib_metadata', 'email', 'zipfile', 'csv',"
        " 'pathlib', 'never_imported', 'pluggy'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    environment = {**os.environ, "PYTHONPATH": ROOT}
    subprocess.run([sys.executable, "-S", "-c", script], check=True, env=environment, timeout=60)
