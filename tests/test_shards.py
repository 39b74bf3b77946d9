"""Files are there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from activelearn.screening import ROW
from activelearn.shards import clear_unfinished, shard_path, write_shard, written_whole


def test_a_file_appears_when_its_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    with written_whole(path) as temporary:
        temporary.write_text("new", encoding="utf-8")
        assert not path.exists()
    assert [p.name for p in tmp_path.iterdir()] == ["list.csv"]
    assert path.read_text(encoding="utf-8") == "new"


def test_a_block_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(KeyboardInterrupt), written_whole(path) as temporary:
        temporary.write_text("half", encoding="utf-8")
        raise KeyboardInterrupt
    assert [p.name for p in tmp_path.iterdir()] == ["list.csv"]
    assert path.read_text(encoding="utf-8") == "old"


def test_what_a_killed_process_left_is_cleared(tmp_path: Path) -> None:
    whole = shard_path(tmp_path, range(0, 10), digits=3)
    write_shard(whole, np.zeros(10, ROW))
    (tmp_path / f".{whole.name}.123.tmp").write_bytes(b"half")
    clear_unfinished(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["part-000-010.parquet"]


def test_a_shard_gives_its_rows_back(tmp_path: Path) -> None:
    rows = np.zeros(11, ROW)
    rows["candidate"], rows["score"] = np.arange(11), np.linspace(0, 1, 11)
    rows["in_domain"] = rows["candidate"] % 3 == 0
    write_shard(tmp_path / "shard.parquet", rows)
    table = pq.read_table(tmp_path / "shard.parquet")
    assert table.column_names == list(ROW.names or ())
    for name in table.column_names:
        assert table[name].to_numpy().tolist() == rows[name].tolist()
        assert table[name].to_numpy().dtype == ROW[name]
