"""Agent memory in the process itself: the backend `inmemory` of fastadk-memory."""

from fastadk_memory_inmemory.backend import InMemoryBackend

__all__ = ["InMemoryBackend"]
