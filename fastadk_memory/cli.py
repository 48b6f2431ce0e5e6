"""The command `fastadk-memory`: what every call of it has in common.

The commands themselves are in `fastadk_memory.commands` and, for authors of backends, in
`fastadk_memory.publishing`. They need typer and rich, the
extra `cli`; this module needs nothing, so that it can say so where they are missing.

Exit statuses:

* 0: done, and the answer is yes;
* 1: done, and the answer is no: the key is absent, something is not well, you declined;
* 2: the call or the configuration is wrong; nothing was done;
* 3: the backend failed;
* 4: an error nobody expected, which is a bug here or in a plugin;
* 130, 141, 143: ended by Ctrl-C, by a closed pipe, by a request to terminate.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from fastadk_memory.errors import (
    BackendBlockedError,
    BackendConflictError,
    BackendNotFoundError,
    ConfigurationError,
    FastADKMemoryError,
    InvalidKeyError,
    InvalidPatternError,
    InvalidTTLError,
    UnsupportedOperationError,
    UnsupportedValueError,
)

__all__ = ["DEBUG_VARIABLE", "PROGRAM", "Ended", "complain", "main"]

PROGRAM = "fastadk-memory"

DEBUG_VARIABLE = "FASTADK_MEMORY_DEBUG"
"""Set to anything but nothing or 0, it makes errors come with their traceback."""

OK, NO, USAGE, FAILURE, UNEXPECTED = range(5)
INTERRUPTED, PIPE_CLOSED, TERMINATED = 130, 141, 143
_ENDINGS = {INTERRUPTED: "interrupted", TERMINATED: "terminated"}

_CALLERS_MISTAKES = (
    BackendBlockedError,
    BackendConflictError,
    BackendNotFoundError,
    ConfigurationError,
    InvalidKeyError,
    InvalidPatternError,
    InvalidTTLError,
    UnsupportedOperationError,
    UnsupportedValueError,
)


class Ended(BaseException):
    """Something from outside ended a command, which has tidied up.

    It stands for errors that typer would handle itself, each of its versions differently.

    Args:
        status: The exit status.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: The arguments after the program's name; those of the process by default.

    Returns:
        The exit status; errors have been printed on standard error, in a line or two.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not _has_extra():
        from fastadk_memory.selection import pip_command

        command = pip_command("install 'fastadk-memory[cli]'")
        complain(f"the command line needs typer and rich; install them with:\n{command}")
        return USAGE
    # What an output cannot show, as on an old console, is shown escaped.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        status = PIPE_CLOSED
    except KeyboardInterrupt:
        status = INTERRUPTED
    except Ended as end:
        status = end.status
    if status == PIPE_CLOSED:
        # What Python still holds for the reader must not raise at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    elif status in _ENDINGS:
        complain(_ENDINGS[status])
    return status


def _has_extra() -> bool:
    from importlib.util import find_spec

    return all(find_spec(name) is not None for name in ("typer", "rich"))


def _run(arguments: list[str]) -> int:
    import typer

    from fastadk_memory.publishing import app

    try:
        command = typer.main.get_command(app)
        status = command.main(arguments, prog_name=PROGRAM, standalone_mode=False)
    except FastADKMemoryError as error:
        _show_traceback(error)
        complain(_message(error))
        return USAGE if isinstance(error, _CALLERS_MISTAKES) else FAILURE
    except typer.Abort:
        # The input ended, or Ctrl-C was pressed, where a question was asked.
        sys.stderr.write("\n")
        complain("nothing was done")
        return NO
    except Exception as error:  # noqa: BLE001 (the last line of defence against tracebacks)
        return _usage(error) if hasattr(error, "format_message") else _unexpected(error)
    return status if isinstance(status, int) else OK


def _usage(error: Exception) -> int:
    """Report what typer says about the arguments."""
    _show_traceback(error)
    context = getattr(error, "ctx", None)
    path = getattr(context, "command_path", None) or PROGRAM
    message: str = error.format_message()  # type: ignore[attr-defined]
    complain(f"{' '.join(message.split())}\nTry: {path} --help")
    return USAGE


def _unexpected(error: Exception) -> int:
    """Report a bug, without the error's text: it may hold a user's value or a secret."""
    if not _show_traceback(error):
        complain(
            f"unexpected {type(error).__name__} {_origin(error)}; "
            f"for the traceback set {DEBUG_VARIABLE}=1 and run it again"
        )
    return UNEXPECTED


def _origin(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "from nowhere"
    return f"in {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


def _message(error: FastADKMemoryError) -> str:
    notes = [str(note) for note in getattr(error, "__notes__", [])]
    return " ".join("; ".join([str(error) or type(error).__name__, *notes]).split())


def _show_traceback(error: Exception) -> bool:
    if os.environ.get(DEBUG_VARIABLE, "") in ("", "0"):
        return False
    import traceback

    traceback.print_exception(error)
    return True


def complain(message: str) -> None:
    """Print a message of a line or two on standard error."""
    # A key in a message may hold what would move a terminal's cursor.
    safe = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in message)
    encoding = sys.stderr.encoding or "ascii"
    safe = safe.encode(encoding, "backslashreplace").decode(encoding)
    sys.stderr.write(f"{PROGRAM}: {safe}\n")
