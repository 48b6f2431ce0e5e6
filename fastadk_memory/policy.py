"""Which distributions may provide a backend, and which one where several claim a name.

In a configuration file (and, after `FASTADK_MEMORY_PLUGINS__`, in the environment):

```toml
[memory.plugins]
allow = ["fastadk-memory-redis"]          # only these; all by default
block = ["some-other-distribution"]       # never these; wins over allow
pins = { redis = "fastadk-memory-redis" } # who provides a name that several claim
```
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fastadk_memory.discovery import normalise
from fastadk_memory.errors import ConfigurationError

__all__ = ["Policy", "pin_advice"]


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator permits. Applied before anything is imported.

    Names of distributions are compared, and kept, in normalised form: `My_Backend` and
    `my-backend` are one. Backends that the application registers itself belong to no
    distribution and are always permitted.

    Attributes:
        allow: If given, only these distributions may provide a backend.
        block: These may not, even if `allow` names them.
        pins: Name of a backend to the distribution that provides it, whoever else claims
            the name.

    Raises:
        ConfigurationError: One of the three is not of its type; a single `str` is no
            collection of names.
    """

    allow: frozenset[str] | None = None
    block: frozenset[str] = frozenset()
    pins: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if self.allow is not None:
            object.__setattr__(self, "allow", _names(self.allow, "allow"))
        object.__setattr__(self, "block", _names(self.block, "block"))
        object.__setattr__(self, "pins", _pins(self.pins))

    def permits(self, distribution: str) -> bool:
        """Tell whether a distribution may provide a backend.

        Args:
            distribution: Its name, in any spelling.
        """
        name = normalise(distribution)
        return name not in self.block and (self.allow is None or name in self.allow)

    def refusal(self, distribution: str) -> str:
        """Return why a distribution is not permitted, and what would permit it.

        Args:
            distribution: The name of a distribution that the policy does not permit.
        """
        if normalise(distribution) in self.block:
            return (
                "the policy blocks it; to permit it, take it out of block in [memory.plugins] "
                "and of FASTADK_MEMORY_PLUGINS__BLOCK"
            )
        return (
            "the policy's allow list does not name it; to permit it, add it to allow in "
            "[memory.plugins] or to FASTADK_MEMORY_PLUGINS__ALLOW"
        )


def pin_advice(name: str, distribution: str) -> str:
    """Return how to pin a backend's name to a distribution, in a file and in the environment.

    Args:
        name: The name of the backend.
        distribution: The distribution that is to provide it.
    """
    bare = all(char.isascii() and (char.isalnum() or char in "_-") for char in name)
    key = name if bare else f'"{name}"'
    return (
        f'pins = {{ {key} = "{distribution}" }} in the table [memory.plugins] of fastadk.toml, '
        f"or FASTADK_MEMORY_PLUGINS__PINS={name}={distribution}"
    )


def _names(names: object, key: str) -> frozenset[str]:
    if isinstance(names, (str, bytes, Mapping)) or not isinstance(names, Iterable):
        raise ConfigurationError(
            f"{key} of the plugins' policy must be a collection of names of distributions, "
            f"not {type(names).__name__}"
        )
    return frozenset(_name(name, key) for name in names)


def _pins(pins: object) -> dict[str, str]:
    if not isinstance(pins, Mapping):
        raise ConfigurationError(
            "pins of the plugins' policy must map names of backends to distributions, "
            f"not {type(pins).__name__}"
        )
    for name in pins:
        if not isinstance(name, str):
            raise ConfigurationError(
                f"pins of the plugins' policy holds a {type(name).__name__} where the name of a "
                "backend belongs"
            )
    return {name: _name(distribution, "pins") for name, distribution in pins.items()}


def _name(name: object, key: str) -> str:
    if not isinstance(name, str) or not name.strip():
        shown = "an empty name" if isinstance(name, str) else f"a {type(name).__name__}"
        raise ConfigurationError(
            f"{key} of the plugins' policy holds {shown}; name a distribution, such as "
            "fastadk-memory-redis"
        )
    return normalise(name.strip())
