"""`activelearn screen`: what goes in and out of the command, and its exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from campaigns import cli, screen
from tests.fake_model import FakeModel
from tests.test_screen import JOB


@pytest.fixture(autouse=True)
def fake_model(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = screen.ChosenModel(FakeModel(), {"sha256": "fake"}, load_s=0.0)
    monkeypatch.setattr(screen, "choose_model", lambda directory: chosen)


def activelearn(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["activelearn", "screen", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_the_bundled_job_runs_without_a_word(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert activelearn(monkeypatch, "--engine", "local") == 0
    out = Path("results/screen-electrolytes")
    ranked = pd.read_csv(out / "ranked.csv")
    assert sorted(ranked["candidate"]) == list(range(11_340))
    said = capsys.readouterr()
    assert "The 10 best of 11,340 candidates" in said.out
    assert re.fullmatch(r"11,340 of 11,340 candidates, [\d,.]+/s, 0 s left", said.err.splitlines()[-1])


def test_the_options_reach_the_screen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(JOB, encoding="utf-8")
    words = [str(tmp_path / "job.yaml"), "--out", str(tmp_path / "out"), "--engine", "local"]
    assert activelearn(monkeypatch, *words, "--top-k", "7", "--no-shards") == 0
    assert len(pd.read_csv(tmp_path / "out" / "ranked.csv")) == 7
    run = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert (run["config"]["top_k"], run["shards"]) == (7, False)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["electrolites"],
            'job "electrolites": no bundled job has this name; there are '
            "calisol-extrapolation, calisol-rivals, calisol-surrogates, compare-basins, "
            "compare-carbonates, compare-cathodes, compare-molsets, compare-oer, compare-pool, "
            "compare-table-s2, diffmix-calisol, "
            "diffmix-conductivity, diffmix-excess-enthalpy, diffmix-excess-volume, "
            "diffmix-extrapolation, diffmix-surrogates, drx-high-entropy, drx-lmof, drx-proposals, "
            "drxnet-distilled, electrolytes, landscape-carbonates, "
            'molsets-conductivity, molsets-surrogates. Did you mean "electrolytes"? To name a file of your '
            "own, give its path: electrolites.yaml or ./electrolites.",
        ),
        (["nowhere/job.yaml"], "nowhere/job.yaml: there is no such file. Check the path."),
        (
            ["--engine", "local", "--workers", "2"],
            "--engine local: --workers and --ray-address mean nothing without Ray. "
            "Leave them out, or take --engine ray.",
        ),
        (
            ["--ray-address", "127.0.0.1:1"],
            'Ray address "127.0.0.1:1": no cluster could be joined there: [Errno 111] Connection refused. '
            "Give HOST:PORT as `ray start --head` shows it, or no address to start a local Ray.",
        ),
    ],
)
def test_what_cannot_be_done_exits_with_2(
    words: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert activelearn(monkeypatch, *words) == 2
    said = capsys.readouterr()
    assert said.err == f"error: {message}\n"
    assert said.out == ""
    assert not list(tmp_path.rglob("run.json"))  # so that the mended command may run
