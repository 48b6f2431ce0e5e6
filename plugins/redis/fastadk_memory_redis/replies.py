"""What the server may answer instead of a result, and what follows from it, as a table.

Only the answers that are marked as `NOT_RUN` say for certain that the command has not been
carried out; nothing else is ever repeated because of an answer.
"""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

from fastadk_memory import BackendUnavailableError, CorruptEntryError, FastADKMemoryError

__all__ = ["Reply", "ReplyError", "Verdict", "refusal", "verdict"]

Reply: TypeAlias = object
"""What hiredis makes of an answer: `bytes`, `int`, `list`, `dict`, `None`, a `ReplyError`."""


class ReplyError(Exception):
    """An answer that is an error, such as `WRONGTYPE ...`; returned, and raised as a cause."""

    def __init__(self, text: str) -> None:
        # Redis repeats the arguments of a command that it does not know: a user's values.
        super().__init__(text.partition(", with args")[0])

    @property
    def code(self) -> str:
        """Its first word, by which errors are told apart."""
        return str(self).partition(" ")[0]

    @property
    def words(self) -> list[str]:
        """Its words, as redirections carry arguments."""
        return str(self).split()


class Verdict(Enum):
    """What to do about an error."""

    WAIT = "not carried out; wait a moment and ask again"
    ELSEWHERE = "not carried out here; look for the primary again"
    MOVED = "not carried out; the slot lives elsewhere"
    ASK = "not carried out; this once, ask another node"
    REFUSED = "it will not be done"


_VERDICTS = {
    "BUSY": Verdict.WAIT,
    "LOADING": Verdict.WAIT,
    "NOREPLICAS": Verdict.WAIT,
    "TRYAGAIN": Verdict.WAIT,
    "CLUSTERDOWN": Verdict.ELSEWHERE,
    "MASTERDOWN": Verdict.ELSEWHERE,
    "READONLY": Verdict.ELSEWHERE,
    "MOVED": Verdict.MOVED,
    "ASK": Verdict.ASK,
}

_CURES = {
    "BUSY": "a script keeps the server busy; see SCRIPT KILL",
    "CLUSTERDOWN": "some slots have no primary; see CLUSTER INFO and the nodes' logs",
    "LOADING": "the server is still loading its data; try again later",
    "MASTERDOWN": "the replica has lost its primary; try again after the failover",
    "MISCONF": "the server cannot save to its disk and takes no writes; see its log",
    "NOAUTH": "the server wants a password; give the options username and password",
    "NOPERM": "the user's ACL forbids it; docs/redis.md lists the commands that are needed",
    "NOREPLICAS": "too few replicas are connected (min-replicas-to-write); see INFO replication",
    "OOM": "the server's maxmemory is used up; raise it, set TTLs, or remove entries",
    "READONLY": "this server is a replica; give the address of the primary, or use Sentinel",
    "WRONGPASS": "user name or password is wrong; see the options username and password",
}


def verdict(error: ReplyError) -> Verdict:
    """Return what to do about an error."""
    return _VERDICTS.get(error.code, Verdict.REFUSED)


def refusal(error: ReplyError, where: str, key: str | None = None) -> FastADKMemoryError:
    """Return the error of ours that an error of the server's becomes.

    Args:
        error: What the server answered.
        where: The node that answered, for the message.
        key: The key it was about, if it was about one.
    """
    if error.code == "WRONGTYPE" and key is not None:
        return CorruptEntryError(
            f"the entry {key!r} is damaged: another program has stored something of another "
            "type there; delete the key or set it anew",
            key=key,
        )
    if "max number of clients" in str(error):
        cure = "the server's maxclients is used up; raise it or find who holds the connections"
    else:
        cure = _CURES.get(error.code, str(error))
    return BackendUnavailableError(f"{where} refuses ({error.code}): {cure}")
