"""`BackendContract`: the contract as a class for pytest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from fastadk_memory.contract.engine import run_law
from fastadk_memory.contract.hooks import Hooks
from fastadk_memory.contract.law import LAWS, Law
from fastadk_memory.contract.limits import profile_named
from fastadk_memory.contract.outcome import Status
from fastadk_memory.contract.violations import ContractError

__all__ = ["BackendContract"]

_SWITCHES = {"skip", "skipif", "xfail"}


class BackendContract(Hooks):
    """Holds a backend to the whole contract: subclass it, and pytest collects every law.

    ```python
    from fastadk_memory.contract import BackendContract


    class TestMyBackend(BackendContract):
        def make_backend(self):
            return MyBackend(self.make_folder() / "store")
    ```

    Each law becomes a test method, `test_T4_set_without_a_ttl_lives_for_good`. They cannot be
    overridden, marked as skipped or switched off: what a backend knowingly does not keep
    is a [`Waiver`][fastadk_memory.contract.waivers.Waiver].
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Check that no law is switched off, and generate the tests of this class."""
        super().__init_subclass__(**kwargs)
        # Laws register when they are imported; not before, or importing would go in circles.
        from fastadk_memory.contract import laws

        laws.load()
        known = {f"test_{law.id}": law for law in LAWS}
        _refuse_switches(cls, known)
        _check_waivers(cls)
        for name, law in known.items():
            setattr(cls, name, _test(law, name))


def _refuse_switches(cls: type[BackendContract], known: dict[str, Law]) -> None:
    for base in cls.__mro__:
        if base is BackendContract:
            break
        if base is not cls and issubclass(base, BackendContract):
            continue  # looked at when it was made; its tests are generated
        for name in vars(base):
            if name in known or name.startswith(tuple(f"test_{law.clause}_" for law in LAWS)):
                raise ContractError(
                    f"{cls.__name__} defines {name}: the laws of the contract cannot be "
                    "overridden; declare a Waiver with the reason instead"
                )
        if vars(base).get("__test__") is False:
            raise ContractError(f"{cls.__name__} sets __test__ to False: remove the class instead")
        marks = vars(base).get("pytestmark", [])
        names = {
            getattr(mark, "name", "") for mark in (marks if isinstance(marks, list) else [marks])
        }
        if names & _SWITCHES:
            raise ContractError(
                f"{cls.__name__} is marked {', '.join(sorted(names & _SWITCHES))}: the contract "
                "cannot be switched off; declare a Waiver with the reason instead"
            )


def _check_waivers(cls: type[BackendContract]) -> None:
    for waiver in cls.waivers:
        matching = [law for law in LAWS if waiver.law in (law.name, law.id)]
        if not matching:
            raise ContractError(f"{cls.__name__}: a waiver names the unknown law {waiver.law!r}")
        if waiver.clause not in {law.clause for law in matching}:
            raise ContractError(
                f"{cls.__name__}: the law {waiver.law!r} belongs to {matching[0].clause}, "
                f"not to {waiver.clause!r}"
            )
        if not waiver.reason.strip():
            raise ContractError(f"{cls.__name__}: the waiver of {waiver.law!r} gives no reason")


def _test(law: Law, name: str) -> Callable[[BackendContract], None]:
    def test(self: BackendContract) -> None:
        _report(law, self)

    test.__name__ = name
    test.__qualname__ = f"BackendContract.{name}"
    test.__doc__ = law.statement
    return test


def _report(law: Law, contract: BackendContract) -> None:
    """Run a law, and tell pytest what came out."""
    import pytest

    from fastadk_memory.contract.pytest_plugin import option

    named = cast("str | None", option("--memory-profile"))
    profile = contract.profile if named is None else profile_named(named)
    blob = cast("str | None", option("--memory-blob"))
    outcome = run_law(law, contract, profile=profile, blob=blob)
    if outcome.status is Status.NOT_APPLICABLE:
        pytest.skip(f"not applicable: {outcome.reason}")
    if outcome.status is Status.WAIVED:
        pytest.xfail(outcome.reason)
    if not outcome.status.good:
        pytest.fail(outcome.text(), pytrace=False)
