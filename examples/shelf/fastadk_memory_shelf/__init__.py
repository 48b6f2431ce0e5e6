"""Agent memory in a folder, one file for each entry: a backend of fastadk-memory."""

from __future__ import annotations

from fastadk_memory_shelf.backend import ShelfBackend

__all__ = ["ShelfBackend"]
