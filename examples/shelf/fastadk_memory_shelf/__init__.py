"""Agent memory in a folder, one file for each entry: an example of somebody else's backend."""

from fastadk_memory_shelf.backend import ShelfBackend

__all__ = ["ShelfBackend"]
