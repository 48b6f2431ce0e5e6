"""What importing costs, as CPU time of whole processes above bare Python."""

from __future__ import annotations

import os
import subprocess
import sys

from _interleaved import medians

CONTESTANTS = {
    "bare Python": "pass",
    "import fastadk_memory": "import fastadk_memory",
    "from fastadk_memory import MemoryBackend": "from fastadk_memory import MemoryBackend",
    "from fastadk_memory import open_memory": "from fastadk_memory import open_memory",
    "open_memory('inmemory')": "from fastadk_memory import open_memory; open_memory('inmemory')",
    "for comparison: import asyncio": "import asyncio",
    "for comparison: import pydantic": "import pydantic",
}


def cpu(code: str) -> float:
    process = subprocess.Popen([sys.executable, "-c", code])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, code
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    figures = medians(
        {name: lambda code=code: cpu(code) for name, code in CONTESTANTS.items()}, rounds=21
    )
    bare = figures["bare Python"]
    print("\nCPU of a process, milliseconds above bare Python (and as a multiple of it)")
    for name, figure in figures.items():
        print(f"  {name:<46} {(figure - bare) * 1000:>6.1f} {figure / bare:>8.2f}")


if __name__ == "__main__":
    main()
