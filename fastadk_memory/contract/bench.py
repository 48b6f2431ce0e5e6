"""`Bench`: carries out the examples of one law, and turns what breaks into a finding."""

from __future__ import annotations

import asyncio
import re
import textwrap
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fastadk_memory.contract.hooks import Hooks
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.limits import Limits, Profile
from fastadk_memory.contract.outcome import Finding
from fastadk_memory.contract.trace import Trace
from fastadk_memory.contract.violations import ContractError, NotApplicable, Violation
from fastadk_memory.contract.watchdog import watchdog
from fastadk_memory.contract.world import World

if TYPE_CHECKING:
    from hypothesis import settings
    from hypothesis.strategies import SearchStrategy

__all__ = ["Bench"]

T = TypeVar("T")
_IMPORTS = {
    "datetime": "import datetime",
    "Decimal": "from decimal import Decimal",
    "Fraction": "from fractions import Fraction",
    "timedelta": "from datetime import timedelta",
    "ABSENT": "from fastadk_memory import ABSENT",
    "ManualClock": "from fastadk_memory import ManualClock",
    "backends": "from fastadk_memory import backends",
}
_BLOB = re.compile(r"reproduce_failure\('([^']+)', b'([^']*)'\)")


class Bench:
    """Owns the event loop in which one law is tried, example by example.

    Laws are synchronous from outside: Hypothesis knows nothing of event loops, and one
    loop for each example would cost more than most examples.

    Args:
        hooks: The way to the backend.
        law: The id of the law, for messages and the example database.
        clause: The clause that a broken example breaks, unless it says another.
        profile: How much to try.
        blob: Try only this example, as a failure printed it.

    Attributes:
        domain: What may be drawn for this backend; set by `look`.
        examples: How many examples have been tried.
        wanted: The blob of the only example to try.
        blob: What reproduces the failure that was found, if Hypothesis found it.
    """

    def __init__(
        self, hooks: Hooks, law: str, clause: str, profile: Profile, blob: str | None = None
    ) -> None:
        self.hooks = hooks
        self.profile = profile
        self.limits: Limits = hooks.limits
        self.domain = Domain()
        self.examples = 0
        self.wanted = blob
        self.blob: str | None = None
        self._law = law
        self._clause = clause
        self._runner: asyncio.Runner | None = None
        self._last: Finding | None = None

    # ------------------------------------------------------------------------ the loop

    def __enter__(self) -> Bench:
        """Begin; the loop is made when it is needed."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the loop, and tidy up after the hooks."""
        self._close_loop()
        self.hooks.tidy()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the bench's loop, watched for blocking."""
        if self._runner is None:
            self._runner = asyncio.Runner()
        runner = self._runner
        try:
            with watchdog(self.limits.blocking_seconds):
                return runner.run(coroutine)
        except BaseException:
            # What stopped it may have left the loop in the middle of something.
            self._close_loop()
            raise

    def _close_loop(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            try:
                with watchdog(self.limits.blocking_seconds):
                    runner.close()
            except Violation:
                return  # it blocks even now; the law has failed for it already

    # -------------------------------------------------------------------- the examples

    def look(self) -> Domain:
        """Make one backend to see what it declares."""

        async def examine(world: World) -> None:
            memory = world.memory
            self.domain = Domain(
                max_key_bytes=memory.max_key_bytes,
                capabilities=memory.capabilities,
                exact=world.exact,
                limits=self.limits,
            )

        self.example(examine)
        self.examples = 0
        return self.domain

    def example(self, body: Callable[..., Awaitable[None]], **arguments: Any) -> None:
        """Try one example: `body(world, **arguments)` on a fresh store.

        Raises:
            Finding: It broke something.
            NotApplicable: The law does not apply to this backend.
        """
        self.examples += 1
        world = World(self.hooks)

        async def play() -> None:
            try:
                await world.begin()
                await body(world, **arguments)
            finally:
                await self.finish(world)

        self.guarded(lambda: self.run(play()), world.trace)

    async def finish(self, world: World) -> None:
        """Close what an example has opened, and cancel what it has left running."""
        await world.end()
        await _cancel_leftovers()

    def guarded(self, action: Callable[[], T], trace: Trace | None = None) -> T:
        """Do something, and turn what it raises into a finding.

        Raises:
            Finding: It raised something.
            NotApplicable: The law does not apply to this backend.
        """
        trace = trace or Trace()
        try:
            return action()
        except (Finding, NotApplicable, ContractError, KeyboardInterrupt):
            raise
        except BaseException as error:
            if _is_hypothesis_control(error):
                raise
            finding = self._last = self._finding(_essential(error), trace)
        # Raised here and not above: Hypothesis tells failures apart by their context, too,
        # and would shrink each kind of cause for itself.
        raise finding

    def _finding(self, error: BaseException, trace: Trace) -> Finding:
        call = trace.failed_call(error)
        if isinstance(error, Violation):
            script = error.history or self._script(trace)
            return Finding(str(error), error.clause or self._clause, script)
        if call is not None:
            message = f"{call} raised {type(error).__name__}: {error}"
            return Finding(message, self._clause, self._script(trace))
        told = "".join(traceback.format_exception(error))
        message = f"{type(error).__name__}: {error}, outside of any call of the backend"
        return Finding(message, self._clause, told, defect=True)

    def _script(self, trace: Trace) -> str:
        body = [*self.hooks.construction(), *trace.lines()]
        text = "\n".join(body)
        imports = ["import asyncio"]
        imports += [line for name, line in _IMPORTS.items() if re.search(rf"\b{name}\b", text)]
        return "\n".join(
            [
                *imports,
                "",
                "async def main():",
                textwrap.indent(text, "    "),
                "",
                "asyncio.run(main())",
            ]
        )

    # ---------------------------------------------------------------------- the search

    def search(
        self,
        body: Callable[..., Awaitable[None]],
        given: Mapping[str, SearchStrategy[Any]],
        *,
        share: float = 1.0,
        waits: bool = False,
    ) -> None:
        """Try random examples: `body(world, **drawn)`, each on a fresh store.

        Args:
            body: What to try.
            given: What to draw.
            share: How many examples, relative to the profile.
            waits: Whether an example takes real time, unless time is moved by hand.

        Raises:
            Finding: The smallest example found that breaks the law.
        """
        slow = waits and not self.domain.exact
        number = self.profile.slow_examples if slow else self.profile.examples
        self.hunt(lambda **drawn: self.example(body, **drawn), given, max(1, int(number * share)))

    def hunt(
        self,
        test: Callable[..., None],
        given: Mapping[str, SearchStrategy[Any]],
        examples: int,
    ) -> None:
        """Let Hypothesis call `test(**drawn)`, and shrink what fails.

        Raises:
            Finding: The smallest example found that fails.
        """
        from hypothesis import given as given_
        from hypothesis import reproduce_failure

        def trial(**drawn: Any) -> None:
            test(**drawn)

        prepared: Any = self.settings(examples)(given_(**given)(trial))
        if self.wanted is not None:
            version, _, data = self.wanted.partition(":")
            prepared = reproduce_failure(version, data.encode())(prepared)
        self.noting_blob(prepared)

    def noting_blob(self, action: Callable[[], object]) -> None:
        """Run something of Hypothesis's, and keep the blob that reproduces its failure."""
        from hypothesis.errors import DidNotReproduce, Flaky, InvalidArgument

        try:
            action()
        except (DidNotReproduce, InvalidArgument) as error:
            if self.wanted is None:
                raise
            raise ContractError(f"the blob leads to no failure here: {error}") from error
        except (Finding, Flaky) as error:
            notes = "\n".join(getattr(error, "__notes__", ()))
            found = _BLOB.search(notes)
            if found is not None:
                self.blob = f"{found[1]}:{found[2]}"
            if isinstance(error, Finding):
                raise
            finding = self._flaky(error)
        else:
            return
        raise finding

    def _flaky(self, error: BaseException) -> Finding:
        # Hypothesis does not always say what it was that happened only once.
        told = _first(error, Finding) or self._last
        if told is None:
            return self._finding(error, Trace())
        told.message += " (this example does not fail every time)"
        return told

    def settings(self, examples: int, **more: Any) -> settings:
        """Return Hypothesis's settings for this law and profile."""
        from hypothesis import HealthCheck, Phase, Verbosity, settings
        from hypothesis.database import DirectoryBasedExampleDatabase

        database = None
        if not self.profile.derandomized:
            # One folder for each backend and law: closures of one factory share a key.
            kept = Path(".hypothesis", "contract", type(self.hooks).__name__, self._law)
            database = DirectoryBasedExampleDatabase(kept)
        return settings(
            max_examples=examples,
            deadline=None,
            derandomize=self.profile.derandomized,
            database=database,
            print_blob=True,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),  # pyright: ignore[reportArgumentType]
            phases=[phase for phase in Phase if phase is not Phase.explain],
            verbosity=Verbosity.quiet,
            **more,
        )


async def _cancel_leftovers() -> None:
    """Cancel what a law or a broken backend has left running, so that the next one starts clean."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=5)


def _essential(error: BaseException) -> BaseException:
    """Return the violation inside a group of errors, or else its first member."""
    found = _first(error, Violation)
    if found is not None:
        return found
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _first(error: BaseException, kind: type[T]) -> T | None:
    if isinstance(error, kind):
        return error
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            found = _first(part, kind)
            if found is not None:
                return found
    return None


def _is_hypothesis_control(error: BaseException) -> bool:
    """Tell whether an exception is Hypothesis's own way of ending an example."""
    return type(error).__module__.startswith("hypothesis.")
