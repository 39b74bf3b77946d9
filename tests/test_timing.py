"""Jobs that are timed in turns."""

from __future__ import annotations

import pytest

from campaigns import timing


def test_each_job_runs_once_a_round_and_once_to_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(timing, "perf_counter", lambda: now)
    ran: list[str] = []
    takes = {"a": [9.0, 1.0, 5.0, 2.0], "b": [9.0, 4.0, 3.0, 8.0]}

    def job(name: str) -> None:
        nonlocal now
        now += takes[name][ran.count(name)]
        ran.append(name)

    assert timing.in_turns({name: lambda name=name: job(name) for name in takes}, 3) == {"a": 2.0, "b": 4.0}
    assert ran == ["a", "b"] * 4
