"""Which errors of the server's mean that nothing was done, and what becomes of each."""

from __future__ import annotations

import pytest
from fastadk_memory_redis.replies import ReplyError, Verdict, refusal, verdict

from fastadk_memory import BackendUnavailableError, CorruptEntryError

REPEATED = {
    "READONLY You can't write against a read only replica.": Verdict.ELSEWHERE,
    "LOADING Valkey is loading the dataset in memory": Verdict.WAIT,
    "MASTERDOWN Link with MASTER is down": Verdict.ELSEWHERE,
    "CLUSTERDOWN Hash slot not served": Verdict.ELSEWHERE,
    "NOREPLICAS Not enough good replicas to write.": Verdict.WAIT,
    "BUSY Valkey is busy running a script.": Verdict.WAIT,
    "TRYAGAIN Multiple keys request during rehashing of slot": Verdict.WAIT,
    "MOVED 3999 127.0.0.1:6381": Verdict.MOVED,
    "ASK 3999 127.0.0.1:6381": Verdict.ASK,
}
NEVER_REPEATED = [
    "NOAUTH Authentication required.",
    "WRONGPASS invalid username-password pair or user is disabled.",
    "NOPERM User agent has no permissions to run the 'set' command",
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "ERR unknown command 'FOO', with args beginning with: 'a' ",
    "ERR max number of clients reached",
    "UNBLOCKED client unblocked via CLIENT UNBLOCK",
    "BUSYKEY Target key name already exists.",
    "SOMETHING new",
    "",
]


@pytest.mark.parametrize("text", REPEATED)
def test_what_was_not_carried_out_may_be_asked_again(text: str) -> None:
    assert verdict(ReplyError(text)) is REPEATED[text]


@pytest.mark.parametrize("text", NEVER_REPEATED)
def test_nothing_else_is_ever_asked_again(text: str) -> None:
    assert verdict(ReplyError(text)) is Verdict.REFUSED


@pytest.mark.parametrize("text", [*REPEATED, *NEVER_REPEATED])
def test_each_becomes_an_error_of_ours_that_names_the_node(text: str) -> None:
    error = refusal(ReplyError(text), "example.com:6379")
    assert isinstance(error, BackendUnavailableError)
    assert "example.com:6379" in str(error)


def test_a_wrong_type_is_a_damaged_entry() -> None:
    error = refusal(ReplyError(NEVER_REPEATED[3]), "example.com:6379", "the key")
    assert isinstance(error, CorruptEntryError)
    assert error.key == "the key"


def test_what_a_user_stored_is_not_repeated_in_a_message() -> None:
    text = "ERR unknown command 'FOO', with args beginning with: 'fm1:x' 'what a user said'"
    assert "what a user said" not in str(refusal(ReplyError(text), "h"))
    assert "what a user said" not in repr(ReplyError(text))
