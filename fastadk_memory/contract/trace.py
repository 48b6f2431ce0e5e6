"""What one example did to the backend, and the script that does it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fastadk_memory.contract.show import Name, show, show_call
from fastadk_memory.entry import MemoryEntry

__all__ = ["Call", "Trace"]

_LONGEST = 60


@dataclass(slots=True)
class Call:
    """One call: what was asked, and how it ended.

    Attributes:
        receiver: The name of the variable in the script, such as `memory`.
        method: The method's name.
        args: Positional arguments.
        kwargs: Keyword arguments.
        result: What came back; meaningless unless `ended` is `True`.
        error: What was raised.
        ended: Whether the call came to an end.
    """

    receiver: str
    method: str
    args: tuple[object, ...]
    kwargs: dict[str, object]
    result: object = None
    error: BaseException | None = None
    ended: bool = False

    def __str__(self) -> str:
        """Return the call as Python source, without `await`."""
        return self.source({})

    def source(self, versions: Mapping[str, str]) -> str:
        """Return the call as Python source, with variables for the versions that have one."""
        kwargs = dict(self.kwargs)
        expected = kwargs.get("expect")
        if isinstance(expected, str) and expected in versions:
            kwargs["expect"] = Name(versions[expected])
        return show_call(self.receiver, self.method, self.args, kwargs)

    def version(self) -> str | None:
        """Return the version that came back, if one did."""
        if isinstance(self.result, MemoryEntry):
            return self.result.version
        told = self.method == "compare_and_set" and isinstance(self.result, str)
        return str(self.result) if told else None

    def line(self, versions: Mapping[str, str]) -> str:
        """Return the call as a line of a script, with what came of it as a comment.

        Args:
            versions: Variables for versions, which differ from run to run.
        """
        source = self.source(versions)
        if self.method == "scan":
            line = f"print([key async for key in {source}])"
        elif self.method == "namespace":
            return f"{self.result} = {source}"
        elif self.version() in versions:
            variable = versions[str(self.version())]
            entry = isinstance(self.result, MemoryEntry)
            return (
                f"{variable} = (await {source}).version"
                if entry
                else f"{variable} = await {source}"
            )
        elif self.error is None and self.result is None and self.method != "get":
            line = f"await {source}"
        else:
            line = f"print(await {source})"
        if self.error is not None:
            return f"{line}  # raised {type(self.error).__name__}"
        if not self.ended:
            return f"{line}  # did not end"
        return line if line.startswith("await") else f"{line}  # {show(self.result)}"


@dataclass(slots=True)
class Trace:
    """The calls of one example, in their order, and notes between them."""

    steps: list[Call | str] = field(default_factory=list[Call | str])

    def add(self, call: Call) -> Call:
        """Note a call that begins; its end is filled in later."""
        self.steps.append(call)
        return call

    def note(self, line: str) -> None:
        """Note a line of the script that is no call, such as the passing of time."""
        self.steps.append(line)

    def failed_call(self, error: BaseException) -> Call | None:
        """Return the call that raised `error`, if one did."""
        for step in reversed(self.steps):
            if isinstance(step, Call) and step.error is error:
                return step
        return None

    def lines(self) -> list[str]:
        """Return the body of a script that does the same again."""
        versions = self._versions()
        lines = [step if isinstance(step, str) else step.line(versions) for step in self.steps]
        if len(lines) > _LONGEST:
            half = _LONGEST // 2
            left_out = f"# ... {len(lines) - 2 * half} more calls ..."
            lines = [*lines[:half], left_out, *lines[-half:]]
        return lines

    def _versions(self) -> dict[str, str]:
        """Return a variable for each version that a call gave and a later one expects."""
        calls = [step for step in self.steps if isinstance(step, Call)]
        given = {call.version() for call in calls}
        expected = dict.fromkeys(call.kwargs.get("expect") for call in calls)
        known = [each for each in expected if isinstance(each, str) and each in given]
        return {version: f"version{number}" for number, version in enumerate(known, start=1)}
