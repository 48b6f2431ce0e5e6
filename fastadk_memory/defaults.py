"""`backends`: the registry that `open_memory` and the command line use."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

from fastadk_memory.policy import Policy
from fastadk_memory.registry import BackendRegistry

__all__ = ["backends", "policy_in_force"]

_in_force: ContextVar[Policy | None] = ContextVar("fastadk_memory_policy", default=None)


def _policy() -> Policy:
    policy = _in_force.get()
    if policy is None:
        from fastadk_memory.config import load_policy

        policy = load_policy()
    return policy


@contextmanager
def policy_in_force(policy: Policy) -> Generator[None, None, None]:
    """Let `backends` decide by this policy within a `with` block, in this task or thread.

    Args:
        policy: A policy that has been resolved already, such as that of a file which only
            the call or a flag names.
    """
    token = _in_force.set(policy)
    try:
        yield
    finally:
        _in_force.reset(token)


backends = BackendRegistry(policy=_policy)
"""The default registry. It goes by the policy of the environment and the files."""
