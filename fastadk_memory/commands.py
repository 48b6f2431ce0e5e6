"""The commands of `fastadk-memory`: what they take, and what they print.

What a command does beyond that is in a module of its own: `demo`, `doctor`, `probe`. A
command returns its exit status; errors are raised, and `fastadk_memory.cli` prints them.
The commands for authors of backends are in `fastadk_memory.publishing`.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from fastadk_memory.cli import INTERRUPTED, NO, OK, PIPE_CLOSED, TERMINATED, Ended, complain
from fastadk_memory.errors import ConfigurationError, UnsupportedValueError
from fastadk_memory.keys import check_key, check_pattern
from fastadk_memory.ttl import ttl_to_ms

if TYPE_CHECKING:
    from fastadk_memory.base import MemoryBackend
    from fastadk_memory.config import Configuration, Flags
    from fastadk_memory.directory import Published
    from fastadk_memory.probe import Probe
    from fastadk_memory.registry import BackendInfo
    from fastadk_memory.replay import Listener, Replay, Step
    from fastadk_memory.screen import Screen

__all__ = ["Json", "app", "examples", "backend_names", "print_json", "progress", "screen"]

T = TypeVar("T")
Handler = TypeVar("Handler", bound=Callable[..., int])

app = typer.Typer(
    help="An agent's memory, on any backend: look into it, change it, check it.",
    epilog="Each command explains itself: fastadk-memory COMMAND --help",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


# ------------------------------------------------------------ what every command takes


@dataclass(frozen=True, slots=True)
class Where:
    """Which memory a command is about: the flags that every command takes."""

    backend: str | None = None
    url: str | None = field(default=None, repr=False)
    option: tuple[str, ...] = field(default=(), repr=False)
    namespace: str | None = None
    profile: str | None = None
    config: str | None = None

    def flags(self) -> Flags:
        """Return them as a layer of the configuration."""
        from fastadk_memory.config import Flags

        return Flags(
            backend=self.backend,
            url=self.url,
            options=_options(self.option),
            namespace=self.namespace,
            profile=self.profile,
            config=self.config,
        )

    def resolve(self) -> Configuration:
        """Return the configuration with these flags over it."""
        from fastadk_memory.config import resolve

        return resolve(flags=self.flags())


def _options(given: tuple[str, ...]) -> dict[str, object] | None:
    options: dict[str, object] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ConfigurationError("--option takes name=value, as in -o max_entries=1000")
        if name in options:
            raise ConfigurationError(f"--option {name} is given twice; keep one of them")
        options[name] = value
    return options or None


def backend_names(incomplete: str) -> list[str]:
    """Return the names that a shell may complete to; imports no plugin."""
    from fastadk_memory.defaults import backends

    return [name for name in backends.names() if name.startswith(incomplete)]


_CONNECTION = {
    "backend": Annotated[
        str | None,
        typer.Option(
            "--backend",
            "-b",
            metavar="NAME",
            help="The backend's name.",
            autocompletion=backend_names,
        ),
    ],
    "url": Annotated[
        str | None, typer.Option("--url", metavar="URL", help="A URL that selects a backend.")
    ],
    "option": Annotated[
        list[str] | None,
        typer.Option(
            "--option", "-o", metavar="NAME=VALUE", help="An option of the backend; repeatable."
        ),
    ],
    "namespace": Annotated[
        str | None, typer.Option("--namespace", "-n", metavar="NAME", help="A part of the store.")
    ],
    "profile": Annotated[
        str | None,
        typer.Option("--profile", metavar="NAME", help="A profile of the configuration."),
    ],
    "config": Annotated[
        str | None, typer.Option("--config", metavar="FILE", help="A configuration file.")
    ],
}


def examples(*lines: str) -> str:
    """Return the end of a command's help: what calls of it look like."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def _command(name: str, *calls: str) -> Callable[[Handler], Handler]:
    """Make a function a command: its first argument becomes the flags that all take."""
    epilog = examples(*calls)

    def decorate(function: Handler) -> Handler:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        shared = [
            inspect.Parameter(flag, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
            for flag, kind in _CONNECTION.items()
        ]

        def command(**values: Any) -> int:
            given = {flag: values.pop(flag) for flag in _CONNECTION}
            given["option"] = tuple(given["option"] or ())
            try:
                return function(Where(**given), **values)
            except BrokenPipeError as error:
                raise Ended(PIPE_CLOSED) from error
            except KeyboardInterrupt as error:
                raise Ended(INTERRUPTED) from error

        parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own] + shared
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in parameters}
        command.__name__ = function.__name__
        command.__doc__ = function.__doc__
        app.command(name, epilog=epilog)(command)
        return function

    return decorate


def _version(wanted: bool) -> None:
    if wanted:
        import platform

        from fastadk_memory import __version__

        typer.echo(f"fastadk-memory {__version__} (Python {platform.python_version()})")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _main(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


# ------------------------------------------------------------------------- running


def _run(work: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine to its end; a request to terminate cancels it, so that it tidies up."""
    import signal

    terminated = False

    async def run() -> T:
        task = asyncio.current_task()

        def terminate() -> None:
            nonlocal terminated
            terminated = True
            if task is not None:
                task.cancel()

        if sys.platform != "win32":
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
        return await work()

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        if terminated:
            raise Ended(TERMINATED) from None
        raise


def _with_memory(where: Where, work: Callable[[MemoryBackend], Awaitable[T]]) -> T:
    """Open the memory, do the work, close it."""
    from fastadk_memory.opening import open_configuration

    configuration = where.resolve()

    async def opened() -> T:
        async with open_configuration(configuration) as memory:
            return await work(memory)

    return _run(opened)


def screen() -> Screen:
    """Return what prints for people."""
    from fastadk_memory.screen import Screen

    return Screen()


def progress(what: str, *, quiet: bool) -> AbstractContextManager[object]:
    """Show `what` as under way while it lasts, if somebody is looking on at a terminal."""
    return nullcontext() if quiet else screen().doing(what)


def print_json(value: object) -> None:
    """Print a value as JSON, for programs."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=_ascii_only()))


def _ascii_only() -> bool:
    return (getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "") != "utf8"


# ------------------------------------------------------------------------ the entries

Key = Annotated[str, typer.Argument(help="The key, taken literally.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@_command(
    "get",
    "fastadk-memory get user:17:profile",
    "fastadk-memory get user:17:profile | jq .name",
    "fastadk-memory get user:17:note --raw > note.txt",
)
def get(
    where: Where,
    key: Key,
    raw: Annotated[
        bool,
        typer.Option("--raw", "--text", help="Print a string or bytes as they are, not as JSON."),
    ] = False,
) -> int:
    """Print the value of a key, as JSON.

    An absent key: exit status 1. What JSON does not know is printed as
    {"$bytes": "<Base64>"} and {"$float": "nan"}; the command set reads these forms, too.
    """
    found = _with_memory(where, lambda memory: memory.get_many([key]))
    if key not in found:
        return _absent(key)
    value = found[key]
    if raw and isinstance(value, bytes):
        sys.stdout.flush()
        sys.stdout.buffer.write(value)
    elif raw and isinstance(value, str):
        sys.stdout.flush()
        sys.stdout.buffer.write(f"{value}\n".encode())
    else:
        from fastadk_memory.jsonform import to_json

        indent = 2 if sys.stdout.isatty() else None
        typer.echo(to_json(value, indent=indent, ascii_only=_ascii_only()))
    return OK


@_command(
    "set",
    "fastadk-memory set user:17:name '\"Ada\"'",
    "fastadk-memory set user:17:name --text Ada",
    'fastadk-memory set user:17:cart \'["tea", {"sku": 4}]\' --ttl 3600',
    "fastadk-memory set user:17:photo --bytes --file photo.png",
    "curl -s URL | fastadk-memory set latest --file -",
)
def set_(
    where: Where,
    key: Key,
    value: Annotated[
        str | None,
        typer.Argument(
            help="The value, as JSON. After -- if it begins with a dash.",
            show_default=False,
        ),
    ] = None,
    text: Annotated[
        bool, typer.Option("--text", help="The value is plain text, not JSON.")
    ] = False,
    raw: Annotated[bool, typer.Option("--bytes", help="The value is bytes; with --file.")] = False,
    file: Annotated[
        str | None,
        typer.Option("--file", metavar="FILE", help="Read the value from a file; - is the input."),
    ] = None,
    ttl: Annotated[
        float | None,
        typer.Option("--ttl", metavar="SECONDS", help="How long it lives; for good without."),
    ] = None,
) -> int:
    """Store a value under a key.

    It replaces what was there, its expiry included.
    """
    content = _value(value, file, text=text, raw=raw)

    async def store(memory: MemoryBackend) -> MemoryBackend:
        # A backend of nine methods may check nothing itself; so, too, below.
        check_key(key, memory.max_key_bytes)
        ttl_to_ms(ttl)
        await memory.set(key, content, ttl)
        return memory

    _note_if_volatile(_with_memory(where, store))
    return OK


def _value(value: str | None, file: str | None, *, text: bool, raw: bool) -> Any:
    """Return the value that the arguments of `set` describe."""
    if (value is None) == (file is None):
        raise ConfigurationError("give either VALUE or --file FILE, and not both")
    if text and raw:
        raise ConfigurationError("--text and --bytes exclude each other")
    if raw and file is None:
        raise ConfigurationError("--bytes reads from a file; add --file FILE, or - for the input")
    if file is not None:
        content = _content(file)
        if raw:
            return content
        try:
            value = content.decode("utf-8" if text else "utf-8-sig")
        except UnicodeDecodeError as error:
            raise UnsupportedValueError(
                f"{file}: not UTF-8 at byte {error.start}; to store it as bytes add --bytes"
            ) from error
    if text:
        return value
    from fastadk_memory.jsonform import from_json

    try:
        return from_json(value or "")
    except UnsupportedValueError as error:
        source = "VALUE" if file is None else file
        raise UnsupportedValueError(f"{source}: {error}; to store plain text add --text") from error


def _content(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(f"{file}: cannot be read: {reason}") from error


def _note_if_volatile(memory: MemoryBackend) -> None:
    from fastadk_memory.base import Capability

    if not memory.capabilities & {Capability.PERSISTENT, Capability.MULTI_PROCESS}:
        complain("note: this backend does not promise to keep values once the command has ended")


@_command(
    "delete",
    "fastadk-memory delete user:17:name",
    "fastadk-memory delete user:17:name user:17:cart",
)
def delete(
    where: Where,
    keys: Annotated[
        list[str],
        typer.Argument(help="The keys, taken literally.", show_default=False),
    ],
    as_json: Json = False,
) -> int:
    """Remove keys. An absent key is no error."""
    removed = _with_memory(where, lambda memory: memory.delete_many(keys))
    if as_json:
        print_json({"removed": removed, "asked": len(set(keys))})
    else:
        typer.echo(f"removed {removed} of {len(set(keys))}")
    return OK


@_command(
    "keys",
    "fastadk-memory keys",
    "fastadk-memory keys 'user:17:*'",
    "fastadk-memory keys --json | jq length",
)
def keys(
    where: Where,
    pattern: Annotated[
        str,
        typer.Argument(
            help="* any run of characters, ? one, [abc] one of a set, [!abc] no such.",
        ),
    ] = "*",
    as_json: Json = False,
) -> int:
    """List the keys that match a pattern.

    They are sorted, one a line. In the lines control characters are shown escaped;
    --json prints every key exactly.
    """
    check_pattern(pattern)
    found = sorted(_with_memory(where, lambda memory: memory.keys(pattern)))
    if as_json:
        print_json(found)
    for key in () if as_json else found:
        typer.echo(_printable(key))
    return OK


def _printable(key: str) -> str:
    """Return a key as one line that does nothing to a terminal."""
    if key.isprintable():
        return key
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in key)


@_command("ttl", "fastadk-memory ttl user:17:token", "fastadk-memory ttl user:17:token --json")
def ttl(where: Where, key: Key, as_json: Json = False) -> int:
    """Print how many seconds a key has left.

    It prints "never" for a key without expiry. An absent key: exit status 1.
    """

    async def ask(memory: MemoryBackend) -> tuple[bool, int | None]:
        check_key(key, memory.max_key_bytes)
        left = await memory.ttl(key)
        return left is not None or await memory.exists(key), left

    present, left = _with_memory(where, ask)
    if not present:
        return _absent(key)
    if as_json:
        print_json(left)
    else:
        typer.echo("never" if left is None else str(left))
    return OK


@_command(
    "clear",
    "fastadk-memory clear 'user:17:*'",
    "fastadk-memory clear --namespace bot --yes",
)
def clear(
    where: Where,
    pattern: Annotated[
        str | None,
        typer.Argument(help="Only the keys that match; all without.", show_default=False),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> int:
    """Remove all keys, or those that match a pattern. Asks before it does."""
    chosen = check_pattern("*" if pattern is None else pattern)
    configuration = where.resolve()
    place = f"the backend {configuration.backend!r}"
    if configuration.namespace is not None:
        place = f"the namespace {configuration.namespace!r} of {place}"

    async def remove(memory: MemoryBackend) -> int | None:
        found = await memory.keys(chosen)
        question = f"Remove {_counted(len(found))} from {place}?"
        if found and not yes and not typer.confirm(question, err=True):
            return None
        if pattern is None:
            await memory.clear()
        else:
            await memory.clear_pattern(chosen)
        return len(found)

    removed = _with_memory(where, remove)
    if removed is None:
        complain("nothing was removed")
        return NO
    if as_json:
        print_json({"removed": removed})
    else:
        typer.echo(f"removed {_counted(removed)}")
    return OK


def _counted(keys: int) -> str:
    return f"{keys:,} key{'' if keys == 1 else 's'}"


def _absent(key: str) -> int:
    complain(f"no such key: {key!r}")
    return NO


# ---------------------------------------------------------------- what is there, is it well


@_command(
    "backends",
    "fastadk-memory backends",
    "fastadk-memory backends --probe",
    "fastadk-memory backends --json | jq '.[].name'",
    "fastadk-memory backends --known",
)
def list_backends(
    where: Where,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe", help="Import each one, in a process of its own, to see if it loads."
        ),
    ] = False,
    limit: Annotated[
        float, typer.Option("--limit", min=0.1, metavar="SECONDS", help="Time for each probe.")
    ] = 15.0,
    known: Annotated[
        bool,
        typer.Option("--known", help="List the published ones instead, installed or not."),
    ] = False,
    as_json: Json = False,
) -> int:
    """List the backends: what is installed, what is published.

    None of them is imported, unless --probe says so. With --backend or --url only that one is
    listed. With --probe the exit status is 1 if a backend that may be loaded cannot be. In
    JSON the published ones are listed with --known.
    """
    from fastadk_memory.config import load_policy
    from fastadk_memory.defaults import backends, policy_in_force
    from fastadk_memory.probe import probe_all

    policy = load_policy(config=where.config)
    with policy_in_force(policy):
        infos = _asked_for(where, backends.infos())
    if known:
        return _list_published(infos, as_json=as_json)
    usable = [info.name for info in infos if info.status == "ok"] if probe else []
    with progress("importing the backends, each in a process of its own", quiet=as_json):
        probes = probe_all(usable, policy, limit=limit)
    if as_json:
        print_json([_info_json(info, probes) for info in infos])
    else:
        screen().backends(infos, probes)
        if where.backend is None and where.url is None:
            screen().published(_not_installed(infos))
    return OK if all(each.ok for each in probes.values()) else NO


def _list_published(infos: list[BackendInfo], *, as_json: bool) -> int:
    from dataclasses import asdict

    from fastadk_memory.directory import published

    missing = _not_installed(infos)
    if as_json:
        print_json(
            [
                {
                    **asdict(each),
                    "certified": each.certified and each.certified.isoformat(),
                    "installed": each not in missing,
                }
                for each in published()
            ]
        )
    else:
        screen().directory(published(), missing)
    return OK


def _not_installed(infos: list[BackendInfo]) -> list[Published]:
    from fastadk_memory.directory import published
    from fastadk_memory.discovery import normalise

    have = {normalise(info.distribution) for info in infos if info.distribution is not None}
    return [each for each in published() if each.distribution not in have]


def _asked_for(where: Where, infos: list[BackendInfo]) -> list[BackendInfo]:
    from fastadk_memory.urls import backend_name

    name = where.backend if where.url is None else backend_name(where.url)
    if name is None:
        return infos
    found = [info for info in infos if name in (info.name, *info.aliases)]
    if not found:
        from fastadk_memory.defaults import backends

        backends.info(name)  # raises, and says what there is
    return found


def _info_json(info: BackendInfo, probes: dict[str, Probe]) -> dict[str, object]:
    from dataclasses import asdict

    described = asdict(info)
    if info.name in probes:
        described["probe"] = asdict(probes[info.name])
    return described


@_command("config", "fastadk-memory config", "fastadk-memory config --profile prod --json")
def show_config(where: Where, as_json: Json = False) -> int:
    """Show what is configured, and from where.

    Secrets are masked.
    """
    configuration = where.resolve()
    if as_json:
        print_json(_config_json(configuration))
    else:
        screen().configuration(configuration)
    return OK


def _config_json(configuration: Configuration) -> dict[str, object]:
    return {
        "settings": [
            {"key": each.key, "value": each.value, "source": each.source}
            for each in configuration.settings
        ],
        "files": [
            {"path": str(each.path), "status": each.status, "table": each.table, "note": each.note}
            for each in configuration.files
        ],
        "plugins": list(configuration.hooks.plugins),
        "notes": configuration.notes,
    }


@_command("doctor", "fastadk-memory doctor", "fastadk-memory doctor --profile prod --json")
def doctor(
    where: Where,
    limit: Annotated[
        float,
        typer.Option("--limit", min=0.1, metavar="SECONDS", help="Time for each plugin and call."),
    ] = 15.0,
    as_json: Json = False,
) -> int:
    """Check that all is well, and tell how to mend it.

    It looks at the installed plugins, at the configuration and at the configured backend,
    and gives for each finding the command that mends it. The exit status is 0 if nothing
    is wrong, 1 if something is. A warning is about something that works, and does not
    count.
    """
    from dataclasses import asdict

    from fastadk_memory.doctor import examine

    with progress("looking at plugins, configuration and backend", quiet=as_json):
        diagnosis = _run(lambda: examine(where.flags(), limit=limit))
    if as_json:
        print_json({"ok": diagnosis.ok, **asdict(diagnosis)})
    else:
        screen().diagnosis(diagnosis)
    return OK if diagnosis.ok else NO


# -------------------------------------------------------------------------- the demo


@_command(
    "demo",
    "fastadk-memory demo",
    "fastadk-memory demo --transcript conversations.jsonl.gz",
    "fastadk-memory demo --backend file -o path=agent.db --second inmemory",
)
def demo(
    where: Where,
    transcript: Annotated[
        Path | None,
        typer.Option(
            "--transcript",
            metavar="FILE",
            help="Conversations in OpenAI's chat format, JSON Lines, .gz too; "
            "a short sample without.",
        ),
    ] = None,
    second: Annotated[
        str | None,
        typer.Option(
            "--second", metavar="NAME", help="The second backend; another installed one without."
        ),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave what it stored, in its namespace.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Replay conversations into a memory, as an agent.

    It does so on two backends. It stores each turn, remembers facts for good and for a
    time, recalls by key and by pattern, waits for an expiry, forgets a user, and checks all
    of it. It works in a namespace of its own and removes it at the end. The exit status is
    1 if anything read back was not what was stored.
    """
    from fastadk_memory.demo import demonstrate
    from fastadk_memory.transcript import read_transcript

    sample = Path(__file__).with_name("data") / "sample-conversations.jsonl"
    conversations = read_transcript(transcript or sample)
    listener: Listener = _Silent() if as_json else screen()
    if transcript is None:
        listener.note("no --transcript: the sample that comes with fastadk-memory is replayed")
    outcome = _run(
        lambda: demonstrate(where.flags(), conversations, listener, second=second, keep=keep)
    )
    if as_json:
        print_json(outcome.as_json(str(transcript) if transcript else "sample"))
    return OK if outcome.ok else NO


class _Silent:
    """A listener that shows nothing."""

    def begin(self, title: str) -> None: ...
    def done(self, step: Step) -> None: ...
    def end(self, run: Replay) -> None: ...
    def note(self, text: str) -> None: ...
    def doing(self, what: str) -> AbstractContextManager[object]:
        return nullcontext()
