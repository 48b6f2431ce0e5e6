"""Mutants that break B1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from fastadk_memory import Ttl
from fastadk_memory.codec import check_items
from fastadk_memory.keys import check_key, check_keys

from .catalogue import mutant
from .reference import PREFIX, Reference


def pieces(items: Iterable[Any], size: int) -> Iterable[list[Any]]:
    """Cut what may be many into lists of at most `size`."""
    source = iter(items)
    while piece := list(islice(source, size)):
        yield piece


@mutant("B1")
class ChecksPieceByPiece(Reference):
    """`set_many` checks and stores 500 items at a time, so a bad one far back comes too late."""

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        checked = items if isinstance(items, Mapping) else check_items(items)
        for piece in pieces(checked.items(), 500):
            await super().set_many(dict(piece), ttl)
        if not checked:
            await super().set_many({}, ttl)


@mutant("B1")
class StoresUpToTheBadValue(Reference):
    """`set_many` checks all keys first, but each value only when its turn comes."""

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        await super().set_many({}, ttl)
        if not isinstance(items, Mapping):
            check_items(items)
        for key in items:
            check_key(key, self.max_key_bytes)
        for key, value in items.items():
            await self.set(key, value, ttl)


@mutant("B1")
class DeletesUpToTheBadKey(Reference):
    """`delete_many` finds a bad key when it comes to it."""

    async def delete_many(self, keys: Iterable[str]) -> int:
        if isinstance(keys, (str, bytes)):
            check_keys(keys)
        return sum(
            [
                await super(DeletesUpToTheBadKey, self).delete_many([key])
                for key in {}.fromkeys(keys)
            ]
        )


@mutant("B1")
class BadTtlOfAnEmptyBatch(Reference):
    """`set_many` looks at the TTL only when there is something to store."""

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        if isinstance(items, Mapping) and not items:
            return
        await super().set_many(items, ttl)


@mutant("B1")
class InTheOrderOfTheStore(Reference):
    """`get_many` returns the keys in the order in which the store holds them."""

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        found = await super().get_many(keys)
        return {key: found[key] for key in self.store.ours() if key in found}


@mutant("B1")
class LeavesNonesOut(Reference):
    """`get_many` takes a stored None for absent."""

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        found = await super().get_many(keys)
        return {key: value for key, value in found.items() if value is not None}


@mutant("B1")
class NonesForAbsentKeys(Reference):
    """`get_many` answers None for a key that is absent, as MGET does."""

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        wanted = check_keys(keys, self.max_key_bytes)
        found = await super().get_many(wanted)
        return {key: found.get(key) for key in wanted}


@mutant("B1")
class OneAnswerForEqualValues(Reference):
    """`get_many` decodes equal values once, and hands one object out for all of them."""

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        found = await super().get_many(keys)
        known: list[Any] = []
        for key, value in found.items():
            same = next(
                (each for each in known if type(each) is type(value) and each == value), None
            )
            if isinstance(value, list) and same is not None:
                found[key] = same
            known.append(value)
        return found


@mutant("B1")
class CountsDoublesTwice(Reference):
    """`delete_many` counts a key that is named twice two times."""

    async def delete_many(self, keys: Iterable[str]) -> int:
        keys = keys if isinstance(keys, (str, bytes)) else list(keys)
        wanted = check_keys(keys, self.max_key_bytes)
        present = [key for key in keys if key in wanted and await self.exists(key)]
        await super().delete_many(wanted)
        return len(present)


@mutant("B1")
class CountsTheExpired(Reference):
    """`delete_many` counts entries that have expired and are still in the store."""

    async def delete_many(self, keys: Iterable[str]) -> int:
        wanted = check_keys(keys, self.max_key_bytes)
        count = sum(PREFIX + key in self.store.records for key in wanted)
        await super().delete_many(wanted)
        return count


@mutant("B1")
class CountsWhatWasAsked(Reference):
    """`delete_many` returns how many different keys it was given."""

    async def delete_many(self, keys: Iterable[str]) -> int:
        wanted = check_keys(keys, self.max_key_bytes)
        await super().delete_many(wanted)
        return len(wanted)


@mutant("B1")
class NothingMeansEverything(Reference):
    """`delete_many` of no keys has no condition, and so removes all."""

    async def delete_many(self, keys: Iterable[str]) -> int:
        wanted = check_keys(keys, self.max_key_bytes)
        if not wanted:
            await self.clear()
            return 0
        return await super().delete_many(wanted)


@mutant("B1")
class GoesThroughTheKeysTwice(Reference):
    """`delete_many` goes through the iterable to count, and once more to remove."""

    async def delete_many(self, keys: Iterable[str]) -> int:
        count = len(await super().get_many(keys))
        await super().delete_many(keys)
        return count


@mutant("B1")
class TakesAStrApart(Reference):
    """`get_many` and `delete_many` take a single `str` for a list of its characters."""

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        return await super().get_many(list(keys) if type(keys) is str else keys)

    async def delete_many(self, keys: Iterable[str]) -> int:
        return await super().delete_many(list(keys) if type(keys) is str else keys)


@mutant("B1")
class TakesPairs(Reference):
    """`set_many` takes a list of pairs, too."""

    async def set_many(self, items: Any, ttl: Ttl | None = None) -> None:
        pairs = isinstance(items, list) and all(isinstance(each, tuple) for each in items)
        await super().set_many(dict(items) if pairs else items, ttl)


@mutant("B1")
class OnlyDicts(Reference):
    """`set_many` refuses a mapping that is no `dict`."""

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        await super().set_many(items if isinstance(items, dict) else None, ttl)


@mutant("B1")
class TtlOfTheFirstOnly(Reference):
    """`set_many` gives its TTL to the first item; the others live for good."""

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        await super().set_many(items, ttl)
        for key in list(items)[1:]:
            await self.touch(key, None)


@mutant("B1")
class KeepsTheOldExpiry(Reference):
    """`set_many` without a TTL leaves the expiry that a key has, as an UPDATE of the value does."""

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        checked = check_items(items, self.max_key_bytes)
        old = {key: await self._read(key) for key in checked}
        await super().set_many(items, ttl)
        for key, record in old.items():
            if ttl is None and record is not None and record.expires_at is not None:
                await self._touch(key, int((record.expires_at - self._clock()) * 1000))


@mutant("B1")
class KeepsTheMetadata(Reference):
    """`set_many` of a value that is there already does nothing: metadata and version stay."""

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        checked = check_items(items, self.max_key_bytes)
        if ttl is None:
            checked = {
                key: value
                for key, value in checked.items()
                if type(value) is not str or await self.get(key) != value
            }
        await super().set_many(checked, ttl)


@mutant("B1")
class AThousandAtTheMost(Reference):
    """`get_many` returns 1,000 of the items, which is as many as one query takes."""

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        return await super().get_many(check_keys(keys, self.max_key_bytes)[:1000])


@mutant("B1")
class LosesTheLastPiece(Reference):
    """`set_many` sends full pieces of 256 items, and one more only if it has over one item."""

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        checked = check_items(items, self.max_key_bytes)
        if len(checked) % 256 == 1 and len(checked) > 1:
            checked.popitem()
        await super().set_many(checked if isinstance(items, Mapping) else items, ttl)


@mutant("B1")
class StoresNanAsNull(Reference):
    """`set_many` stores a NaN in a list as None, as its JSON does."""

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        checked = check_items(items, self.max_key_bytes)
        plain = {
            key: [None if each != each else each for each in value]
            if type(value) is list
            else value
            for key, value in checked.items()
        }
        await super().set_many(plain, ttl)
