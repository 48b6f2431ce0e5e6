"""Agent memory in one file of this machine: the backend `file` of fastadk-memory."""

from fastadk_memory_file.backend import FileBackend

__all__ = ["FileBackend"]
