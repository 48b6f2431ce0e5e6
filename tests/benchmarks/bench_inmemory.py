"""The in-memory backend against the limit, its peers, and itself at other sizes.

Ratios of CPU time, all contestants of a table in one interleaved run. The limit is a plain
dict behind async methods that encodes on `set` and decodes on `get` with msgspec, and does
nothing else: it refuses nothing, keeps no expiry, no version, no lock.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import msgspec
from _interleaved import medians, report
from aiocache import SimpleMemoryCache
from cashews.backends.memory import Memory
from fastadk_memory_inmemory import InMemoryBackend
from key_value.aio.stores.memory import MemoryStore

MESSAGE = {
    "role": "assistant",
    "content": "Here are the flights that fit, with their prices. " * 16,
    "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "search", "arguments": "{}"}}
    ],
    "name": None,
}
VALUES: dict[str, Any] = {
    "40-byte string": "x" * 40,
    "1 KiB chat message": MESSAGE,
    "64 KiB conversation": {"id": "17", "messages": [MESSAGE] * 66},
}
KEYS = [f"user:{n}" for n in range(100)]


class Limit:
    """A dict with isolation by encoding."""

    def __init__(self) -> None:
        self.entries: dict[str, bytes] = {}
        self.encode = msgspec.msgpack.Encoder().encode
        self.decode = msgspec.msgpack.Decoder().decode

    async def set(self, key: str, value: Any) -> None:
        self.entries[key] = self.encode(value)

    async def get(self, key: str) -> Any:
        return self.decode(self.entries[key])


class KeyValue:
    """py-key-value's store; it takes mappings only, so a string is put into one."""

    def __init__(self) -> None:
        self.store = MemoryStore(max_entries_per_collection=10_000)

    async def set(self, key: str, value: Any) -> None:
        await self.store.put(key=key, value={"v": value})

    async def get(self, key: str) -> Any:
        return (await self.store.get(key=key))["v"]


CONTESTANTS: dict[str, Callable[[], Any]] = {
    "limit: dict, encode on set, decode on get": Limit,
    "fastadk-memory inmemory": InMemoryBackend,
    "py-key-value MemoryStore (isolates)": KeyValue,
    "aiocache SimpleMemoryCache (does not isolate)": SimpleMemoryCache,
    "cashews Memory (does not isolate)": Memory,
}


def timed(runner: asyncio.Runner, store: Any, operation: str, value: Any, count: int):
    async def get() -> float:
        started = time.process_time()
        for n in range(count):
            await store.get(KEYS[n % 100])
        return time.process_time() - started

    async def put() -> float:
        started = time.process_time()
        for n in range(count):
            await store.set(KEYS[n % 100], value)
        return time.process_time() - started

    return lambda: runner.run(get() if operation == "get" else put())


def against_peers(runner: asyncio.Runner) -> None:
    for name, value in VALUES.items():
        count = {"40": 5000, "1 ": 1000, "64": 40}[name[:2]]
        stores = {label: make() for label, make in CONTESTANTS.items()}
        for store in stores.values():
            for key in KEYS:
                runner.run(store.set(key, value))
        for operation in ("get", "set"):
            figures = medians(
                {
                    label: timed(runner, store, operation, value, count)
                    for label, store in stores.items()
                }
            )
            size = len(json.dumps(value))
            report(
                f"{operation} of a {name} ({size:,} characters of JSON)", figures,
                "limit: dict, encode on set, decode on get",
            )  # fmt: skip


def against_size(runner: asyncio.Runner) -> None:
    stores = {"1,000 entries": 1_000, "1,000,000 entries": 1_000_000}
    contestants = {}
    for name, size in stores.items():
        memory = InMemoryBackend()
        runner.run(memory.set_many({f"user:{n}": n for n in range(size)}))
        contestants[name] = timed(runner, memory, "get", None, 20_000)
    report("get, by the number of entries", medians(contestants), "1,000 entries")


def patterns(runner: asyncio.Runner) -> None:
    keys = [f"user:{n % 1000}:{n}" for n in range(100_000)]
    memory = InMemoryBackend()
    runner.run(memory.set_many(dict.fromkeys(keys, 1)))
    entries = dict.fromkeys(keys, 1)
    for pattern in ("user:17:*", "*:17:*", "user:[1-3]?:*9"):

        def ours(pattern: str = pattern) -> float:
            started = time.process_time()
            runner.run(memory.keys(pattern))
            return time.process_time() - started

        def plain(pattern: str = pattern) -> float:
            started = time.process_time()
            [key for key in entries if fnmatchcase(key, pattern)]
            return time.process_time() - started

        contestants = {"keys(pattern)": ours, "a comprehension with fnmatchcase": plain}
        title = f"{pattern!r} on 100,000 keys"
        report(title, medians(contestants, 5), "a comprehension with fnmatchcase")


def longest_stall(runner: asyncio.Runner) -> None:
    """Print for how long the loop's other tasks wait while big calls run."""

    async def scenario() -> dict[str, float]:
        memory = InMemoryBackend()
        stalls = {}
        entries = {f"user:{n % 1000}:{n}": [n] for n in range(100_000)}
        await memory.set_many(entries)
        for name, call in {
            "keys('*:17:*')": lambda: memory.keys("*:17:*"),
            "clear_pattern('*:17:*')": lambda: memory.clear_pattern("*:17:*"),
            "clear()": memory.clear,
        }.items():
            task = asyncio.ensure_future(call())
            longest, last = 0.0, time.perf_counter()
            while not task.done():
                await asyncio.sleep(0)
                now = time.perf_counter()
                longest, last = max(longest, now - last), now
            stalls[name] = longest
        return stalls

    print("\nLongest wait of other tasks, on 100,000 entries")
    for name, stall in runner.run(scenario()).items():
        print(f"  {name:<46} {stall * 1e6:>6.0f} µs")


def main() -> None:
    with asyncio.Runner() as runner:
        against_peers(runner)
        against_size(runner)
        patterns(runner)
        longest_stall(runner)


if __name__ == "__main__":
    main()
