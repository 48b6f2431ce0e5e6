"""The tree of errors: one root, the built-in kinds besides, and attributes that survive."""

from __future__ import annotations

import pickle

import pytest

from fastadk_memory import errors

ALSO = {
    "InvalidKeyError": ValueError,
    "InvalidPatternError": ValueError,
    "InvalidTTLError": ValueError,
    "UnsupportedValueError": TypeError,
    "ConfigurationError": ValueError,
    "BackendNotFoundError": LookupError,
    "UnsupportedOperationError": NotImplementedError,
    "BackendUnavailableError": ConnectionError,
    "BackendTimeoutError": TimeoutError,
}


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_is_of_the_tree_and_drawn_in_it(name: str) -> None:
    error = getattr(errors, name)
    assert issubclass(error, errors.FastADKMemoryError)
    assert issubclass(error, ALSO.get(name, Exception))
    assert name in errors.__doc__


def test_a_timeout_is_an_unavailable_backend() -> None:
    assert issubclass(errors.BackendTimeoutError, errors.BackendUnavailableError)


@pytest.mark.parametrize(
    "error",
    [
        errors.ConflictError("lost", key="k"),
        errors.CorruptEntryError("damaged", key="k"),
        errors.UnsupportedValueError("no", path="$.a"),
        errors.BackendTimeoutError("late"),
    ],
)
def test_an_error_survives_the_way_to_another_process(error: Exception) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
