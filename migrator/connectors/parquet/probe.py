"""The child process of ``guard``: reads the columns of one file under a memory limit and leaves with 0 when that works."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def limit(memory: int, seconds: int) -> None:
    """Allow this process ``memory`` bytes more than it has, ``seconds`` of CPU, and no files."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + memory,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> int:
    order = json.load(sys.stdin)
    pa.set_cpu_count(1)
    limit(order["memory"], order["seconds"])
    try:
        with pq.ParquetFile(order["path"], pre_buffer=False, buffer_size=1 << 20) as file:
            for _ in file.iter_batches(batch_size=order["most"], columns=order["columns"], use_threads=False):
                pass
    except (MemoryError, OSError, pa.ArrowException):
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
