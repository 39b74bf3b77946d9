"""Files that are there whole or not at all, and the shards of a screen among them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` that takes its name once the block has ended well."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def clear_unfinished(directory: Path) -> None:
    """Remove what a killed process left half written in the directory."""
    for temporary in directory.glob(".*.tmp"):
        temporary.unlink(missing_ok=True)


def shard_path(directory: Path, chunk: range, digits: int) -> Path:
    """Return where the candidates of a chunk stand; sorted by name, shards are in their order."""
    return directory / f"part-{chunk.start:0{digits}d}-{chunk.stop:0{digits}d}.parquet"


def write_shard(path: Path, rows: np.ndarray) -> None:
    """Write a structured array as Parquet, a column a field."""
    names = rows.dtype.names or ()
    table = pa.table({name: _column(rows[name]) for name in names})
    with written_whole(path) as temporary:
        pq.write_table(table, temporary, use_dictionary=False)


def _column(values: np.ndarray) -> pa.Array:
    """Return `pa.array(values)`, which would load pandas: a third of a second in each worker."""
    data = np.packbits(values, bitorder="little") if values.dtype == bool else np.ascontiguousarray(values)
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(data)])
