"""`activelearn profile`: what goes in and out of the command, and its exit codes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from campaigns import cli

HE_1 = "Li1.2Mn0.1Mg0.1Cr0.3Ti0.2Nb0.1O1.8F0.2"


def activelearn(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["activelearn", "profile", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_rates_window_and_cycle_reach_the_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["--rate", "20", "--rate", "1000", "--window", "1.5", "4.8", "--cycle", "1", "-o", str(out)]
    assert activelearn(monkeypatch, HE_1, *words) == 0
    curves = pd.read_csv(out / "profile.csv")
    assert curves.groupby(["rate_mA_g", "cycle", "V_low", "V_high"], sort=False).size().to_dict() == {
        (20, 1, 1.5, 4.8): 100,
        (1000, 1, 1.5, 4.8): 100,
    }
    # The published weights give 275.07 and 196.44; the card states the students' mean error, some 2 mAh/g.
    capacity = curves.loc[curves["voltage_V"] == 1.5, "charge_mAh_g_mean"].tolist()
    assert capacity == pytest.approx([275, 196], abs=6)
    said = capsys.readouterr().out
    assert said.endswith(f"The curves: {out}/profile.csv\nThe figure: {out}/profile.png\n")


@pytest.mark.usefixtures("published_weights")
def test_the_published_model_is_chosen_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rates = ["--rate", "10", "--rate", "20", "--rate", "1000"]
    out = tmp_path / "out"
    assert activelearn(monkeypatch, HE_1, *rates, "--model", "drxnet-published", "-o", str(out)) == 0
    curves = pd.read_csv(out / "profile.csv")
    capacity = curves.loc[curves["voltage_V"] == 1.5, "charge_mAh_g_mean"].tolist()
    assert capacity == pytest.approx([276.40, 275.07, 196.44], abs=0.05)


def test_an_unknown_model_exits_with_2(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--model", "drxnet-publshed", "--out", str(tmp_path / "out")]
    assert activelearn(monkeypatch, HE_1, *words) == 2
    assert capsys.readouterr().err == (
        'error: model "drxnet-publshed": no model has this name; there are drxnet-distilled and '
        "drxnet-published. To name a directory of your own, write ./drxnet-publshed.\n"
    )
    assert not (tmp_path / "out").exists()


def test_a_formula_that_does_not_balance_exits_with_2(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert activelearn(monkeypatch, "Li1.2Mn0.4Ti0.4O1.8", "--out", str(tmp_path / "out")) == 2
    assert capsys.readouterr().err == (
        'error: composition "Li1.2Mn0.4Ti0.4O1.8": for two anions its cations sum to 2.2222 (Li 1.3333 + '
        "Mn 0.4444 + Ti 0.4444); expected 2 to within 0.02. Correct its amounts.\n"
    )
    assert not (tmp_path / "out").exists()
