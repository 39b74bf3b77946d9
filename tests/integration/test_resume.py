"""A screen that is killed in any way goes on and ends with the list of one that never was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from tests.test_screen import JOB, screened

ROOT = Path(__file__).parent.parent.parent
GIVE_UP_S = 300  # a busy machine may take a minute to start Ray


@pytest.fixture
def job(tmp_path: Path) -> Path:
    path = tmp_path / "job.yaml"
    path.write_text(JOB, encoding="utf-8")
    return path


Begin = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def begin(job: Path, tmp_path: Path) -> Iterator[Begin]:
    """Start a screen in a process group of its own; what is left of it dies with the test.

    It scores as many chunks as `allow` lets through the gate, and waits.
    """
    (tmp_path / "gate").mkdir()
    started: list[subprocess.Popen[bytes]] = []

    def start(out: Path, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.fake_screen", str(tmp_path / "gate"), "screen", str(job)]
        with (tmp_path / "stderr").open("wb") as stderr:
            process = subprocess.Popen(
                [*command, "--out", str(out), *options], cwd=ROOT, stderr=stderr, start_new_session=True
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def allow(tmp_path: Path, chunks: int) -> None:
    for _ in range(chunks):
        (tmp_path / "gate" / uuid4().hex).touch()


def to_the_end(out: Path, keep_shards: bool = True) -> bytes:
    record = screened(out, model="fake", resume=True, keep_shards=keep_shards)
    assert not (out / "progress.npz").exists()
    return record.ranked.read_bytes()


def wait_until(condition: Callable[[], bool], what: str) -> None:
    give_up = time.monotonic() + GIVE_UP_S
    while not condition():
        assert time.monotonic() < give_up, f"waited {GIVE_UP_S} s until {what}"
        time.sleep(0.05)


def finished(out: Path) -> int:
    try:
        with np.load(out / "progress.npz", allow_pickle=False) as saved:
            return len(saved["finished"])
    except FileNotFoundError:
        return 0


def descendants(pid: int) -> dict[int, str]:
    """The processes below one, by id, with their command lines."""
    parents, commands = {}, {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            status = (process / "stat").read_text()
            commands[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # it has ended
            continue
        parents[int(process.name)] = int(status.rpartition(")")[2].split()[1])
    below = {pid}
    while new := {child for child, parent in parents.items() if parent in below} - below:
        below |= new
    return {child: commands[child] for child in below - {pid}}


def scoring(driver: int) -> list[int]:
    return [pid for pid, line in descendants(driver).items() if line.startswith("ray::_score")]


def test_after_a_kill_of_the_driver(begin: Begin, tmp_path: Path) -> None:
    out = tmp_path / "out"
    driver = begin(out, "--engine", "local")
    allow(tmp_path, 2)
    wait_until(lambda: finished(out) == 2, "two chunks were finished")
    driver.kill()
    driver.wait()
    assert not (out / "ranked.csv").exists()

    (out / "predictions" / ".part-0000-1024.parquet.1.tmp").write_bytes(b"half written")
    kept = {path: path.stat().st_mtime_ns for path in sorted((out / "predictions").glob("part*"))[:2]}
    assert to_the_end(out) == to_the_end(tmp_path / "whole")
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    whole = {path.name: path.read_bytes() for path in (tmp_path / "whole" / "predictions").iterdir()}
    assert {path.name: path.read_bytes() for path in (out / "predictions").iterdir()} == whole


def test_on_ray_after_a_kill_of_a_worker_and_an_interrupt(begin: Begin, tmp_path: Path) -> None:
    out = tmp_path / "out"
    driver = begin(out, "--workers", "2", "--no-shards")
    allow(tmp_path, 1)
    wait_until(lambda: finished(out) == 1, "a chunk was finished")
    wait_until(lambda: bool(scoring(driver.pid)), "a worker was at another")
    of_ray = descendants(driver.pid)
    os.kill(scoring(driver.pid)[0], signal.SIGKILL)
    allow(tmp_path, 2)
    wait_until(lambda: finished(out) == 3, "the screen went on without the worker")

    os.killpg(driver.pid, signal.SIGINT)
    status, told = driver.wait(), (tmp_path / "stderr").read_text()
    assert status == 130, told
    assert f"Interrupted. {out} keeps what is done; add --resume to the command to go on.\n" in told
    assert "Traceback" not in told
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in of_ray), "Ray had ended")
    assert finished(out) == 3
    assert to_the_end(out, keep_shards=False) == to_the_end(tmp_path / "whole")
