"""docs/plugins.md: the wrapper that encrypts keeps the contract, and hides what it stores.

Its Python is run by test_docs.py, as that of every page.
"""

from __future__ import annotations

import ast
import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from mutants.reference import ReferenceHooks
from test_wrappers_contract import Around

from fastadk_memory import CorruptEntryError, MemoryBackend
from fastadk_memory.contract import BackendContract

TEXT = (Path(__file__).parents[1] / "docs" / "plugins.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
KEPT = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef)


def _defined() -> dict[str, Any]:
    """Return what the page defines, without what it does."""
    names: dict[str, Any] = {"__name__": "encryption", "NONCE_BYTES": 12}
    assert "NONCE_BYTES = 12" in SNIPPETS[0]
    for snippet in SNIPPETS:
        tree = compile(snippet, "plugins.md", "exec", ast.PyCF_ONLY_AST | _AWAIT)
        tree.body = [each for each in tree.body if isinstance(each, KEPT)]
        exec(compile(tree, "plugins.md", "exec"), names)
    return names


_AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
EncryptedBackend = _defined()["EncryptedBackend"]


@pytest.mark.thorough
class TestEncrypted(Around, BackendContract):
    def wrap(self, backend: MemoryBackend) -> MemoryBackend:
        return EncryptedBackend(backend, b"k" * 32)


def test_what_was_sealed_elsewhere_or_moved_to_another_key_is_damaged() -> None:
    async def scenario() -> None:
        bare = ReferenceHooks().make_backend()
        memory = EncryptedBackend(bare, b"k" * 32)
        await memory.set_many({"mine": "s3cr3t", "theirs": "other"})
        assert b"s3cr3t" not in await bare.get("mine")
        await bare.set("theirs", await bare.get("mine"))
        await bare.set("plain", "never sealed")
        for key in ("theirs", "plain"):
            with pytest.raises(CorruptEntryError) as caught:
                await memory.get(key)
            assert caught.value.key == key
        with pytest.raises(CorruptEntryError):
            await EncryptedBackend(bare, b"x" * 32).get("mine")
        assert await memory.get("mine") == "s3cr3t"
        await memory.aclose()

    asyncio.run(scenario())


def test_metadata_is_sealed_too() -> None:
    async def scenario() -> None:
        bare = ReferenceHooks().make_backend()
        memory = EncryptedBackend(bare, b"k" * 32)
        entry = await memory.set_entry("k", 1, metadata={"by": "Ada"})
        assert entry.metadata == {"by": "Ada"}
        assert await memory.get_entry("k") == entry
        assert b"Ada" not in (await bare.get_entry("k")).metadata["sealed"]
        await memory.aclose()

    asyncio.run(scenario())
