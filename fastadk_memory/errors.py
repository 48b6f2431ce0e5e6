"""Every exception that fastadk-memory raises, in one tree.

```text
FastADKMemoryError
├── InvalidKeyError, InvalidPatternError, InvalidTTLError   also ValueError
├── UnsupportedValueError                                   also TypeError
├── ConfigurationError                                      also ValueError
├── BackendNotFoundError                                    also LookupError
├── BackendConflictError
├── BackendBlockedError
├── BackendLoadError
├── IncompatibleBackendError
├── UnsupportedOperationError                               also NotImplementedError
├── ConflictError                                           compare_and_set lost
├── CorruptEntryError
├── BackendClosedError
└── BackendUnavailableError                                 also ConnectionError
    └── BackendTimeoutError                                 also TimeoutError
```

A message says what was wrong, where it came from and what to do about it. Values of
the user's data never stand in a message; keys may. The error of a driver is kept as
``__cause__`` (clause E1 of the contract).
"""

from __future__ import annotations

__all__ = [
    "BackendBlockedError",
    "BackendClosedError",
    "BackendConflictError",
    "BackendLoadError",
    "BackendNotFoundError",
    "BackendTimeoutError",
    "BackendUnavailableError",
    "ConfigurationError",
    "ConflictError",
    "CorruptEntryError",
    "FastADKMemoryError",
    "IncompatibleBackendError",
    "InvalidKeyError",
    "InvalidPatternError",
    "InvalidTTLError",
    "UnsupportedOperationError",
    "UnsupportedValueError",
]


class FastADKMemoryError(Exception):
    """The root: ``except FastADKMemoryError`` catches everything a backend may raise."""


class InvalidKeyError(FastADKMemoryError, ValueError):
    """A key, or the name of a namespace, that is none (clauses K1 and N1).

    Raised before anything is read or changed.
    """


class InvalidPatternError(FastADKMemoryError, ValueError):
    """A pattern that is not a ``str`` of at most 4,096 bytes of UTF-8 (clause P2)."""


class InvalidTTLError(FastADKMemoryError, ValueError):
    """A TTL that is not 1 ms to 100 years, given in seconds or as a ``timedelta`` (clause T1)."""


class UnsupportedValueError(FastADKMemoryError, TypeError):
    """A value outside the domain of clause V1; nothing has been changed (clause V5).

    Attributes:
        path: Where the offending part stands inside the value, such as
            ``$.messages[3].when``; ``$`` is the value itself.
    """

    def __init__(self, message: str, *, path: str = "$") -> None:
        super().__init__(message)
        self.path = path


class ConfigurationError(FastADKMemoryError, ValueError):
    """An option, argument, URL, environment variable or file that says something impossible."""


class BackendNotFoundError(FastADKMemoryError, LookupError):
    """No installed or registered backend has this name."""


class BackendConflictError(FastADKMemoryError):
    """Two distributions claim one name; the message tells the pin that settles it."""


class BackendBlockedError(FastADKMemoryError):
    """The policy (allow and block lists of distributions) forbids this backend."""


class BackendLoadError(FastADKMemoryError):
    """The plugin was found, but importing or constructing it failed; see ``__cause__``."""


class IncompatibleBackendError(FastADKMemoryError):
    """The plugin was built for another version of the backend API than this core has."""


class UnsupportedOperationError(FastADKMemoryError, NotImplementedError):
    """The operation belongs to a capability that this backend does not declare."""


class ConflictError(FastADKMemoryError):
    """``compare_and_set`` lost: the entry is not at the expected version. Nothing changed.

    Attributes:
        key: The key whose entry has another version, or none.
    """

    def __init__(self, message: str, *, key: str) -> None:
        super().__init__(message)
        self.key = key

    def __reduce__(self) -> tuple[object, ...]:
        # The default would call the class with the message alone, without the key.
        return _rebuild, (type(self), str(self), self.key)


class CorruptEntryError(FastADKMemoryError):
    """What is stored under a key cannot be read back (clause E3). Other keys stay readable.

    Attributes:
        key: The damaged entry's key. ``delete(key)`` or a new ``set`` mends it.
    """

    def __init__(self, message: str, *, key: str) -> None:
        super().__init__(message)
        self.key = key

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), str(self), self.key)


class BackendClosedError(FastADKMemoryError):
    """A call after ``aclose``, which is final (clause L1)."""


class BackendUnavailableError(FastADKMemoryError, ConnectionError):
    """The service behind the backend is away or refuses (clause E2).

    For a write whose connection broke after it was sent, the message says that its
    outcome is unknown.
    """


class BackendTimeoutError(BackendUnavailableError, TimeoutError):
    """The service did not answer within the time limit; a write's outcome is unknown."""


def _rebuild(
    error: type[ConflictError] | type[CorruptEntryError], message: str, key: str
) -> FastADKMemoryError:
    return error(message, key=key)
