"""`python -m fastadk_memory` is the command `fastadk-memory`."""

import sys

from fastadk_memory.cli import main

if __name__ == "__main__":
    sys.exit(main())
