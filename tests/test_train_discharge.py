"""`activelearn train` for cathodes: from profiles, and from the published networks."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from campaigns import cli
from campaigns.config import bundled_job, load_yaml
from campaigns.train_config import DistillationConfig, ProfileConfig
from surrogates.discharge_models import DischargeProcess, discharge_model
from surrogates.discharge_training import ProfileSettings
from surrogates.distillation import DistillationSettings
from surrogates.encoders.drxnet_published import MEMBERS, weights_file
from tests.benchmarks import published_discharge as loop
from tests.synthetic_profiles import FORMULAS, table, write

PROFILES = """
profiles: {file: profiles.csv}
members: 2
steps: 2
splits: 2
test_fraction: 0.4
"""
SCREEN = """
model: ./model
objectives:
  - {quantity: capacity, rate_mA_g: 20, window_V: [1.5, 4.8], cycle: 1}
space:
  metals: [Mn3+, Mn4+, Ti4+]
  metals_per_composition: [2]
  lithium: [1.2]
  fluorine: [0.0, 0.1]
  step: 0.1
"""
TEACHERS = "teachers: theirs\nconditions: 100\nunseen: 100\nepochs: 2\n"


def activelearn(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr("sys.argv", ["activelearn", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.fixture
def job(tmp_path: Path) -> Path:
    write(tmp_path, table())
    (tmp_path / "mine.yaml").write_text(PROFILES)
    return tmp_path / "mine.yaml"


def test_profiles_become_a_model_with_its_card(
    job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = job.parent / "model"
    assert activelearn(monkeypatch, "train", job, "--out", out) == 0
    said = capsys.readouterr()
    assert "360 rows read: 12 profiles of 4 compositions" in said.err
    for text in (
        "mine: on what was not trained on",
        "compositions",
        "charge_mae_mAh_g",
        f"The model is in {out}",
    ):
        assert text in said.out
    model = discharge_model(out)
    assert len(model.members) == model.card.members == 2
    assert model.card.name == "mine"
    assert model.card.settings.monotonic
    assert model.card.data["source"] == "profiles.csv" and model.card.data["profiles"] == 12
    errors = model.card.errors
    assert errors["tested"] == "compositions" and errors["splits"] == 2
    assert errors["profiles"] == 6  # two of four compositions, three cycles each
    twin = job.parent / "twin"
    assert activelearn(monkeypatch, "train", job, "--out", twin) == 0
    assert (out / "model.safetensors").read_bytes() == (twin / "model.safetensors").read_bytes()


def test_one_composition_is_judged_on_single_profiles_and_the_switch_can_be_off(
    job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(job.parent, table(FORMULAS[:1], cycles=8))
    job.write_text(PROFILES + "monotonic: false\n")
    assert activelearn(monkeypatch, "train", job, "--out", job.parent / "model") == 0
    card = discharge_model(job.parent / "model").card
    assert card.errors["tested"] == "profiles of the one composition"
    assert not card.settings.monotonic


def test_a_process_is_trained_beside_the_ensemble_and_a_forest(
    job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(job.parent, table(cycles=5))
    job.write_text(PROFILES + "surrogate: gp\nbeside: [forest, gp]\n")
    out = job.parent / "model"
    assert activelearn(monkeypatch, "train", job, "--out", out) == 0
    assert "mine: capacity, mAh/g, mean over splits ± standard deviation" in capsys.readouterr().out
    model = discharge_model(out)
    assert isinstance(model, DischargeProcess)
    assert model.card.calibration == model.gp.calibration
    assert [(row.tested, row.model) for row in model.card.scores] == [
        (tested, name)
        for tested in ("compositions", "metal combinations")
        for name in ("ensemble", "gp", "forest")
    ]
    assert model.card.errors["tested"] == "compositions" and model.card.errors["splits"] == 2
    assert len(model.gp.process) == 20
    twin = job.parent / "twin"
    assert activelearn(monkeypatch, "train", job, "--out", twin) == 0
    assert (out / "model.safetensors").read_bytes() == (twin / "model.safetensors").read_bytes()
    screen = job.parent / "screen.yaml"
    screen.write_text(SCREEN)
    assert activelearn(monkeypatch, "screen", screen, "--engine", "local", "--out", job.parent / "list") == 0
    ranked = pd.read_csv(job.parent / "list" / "ranked.csv")
    assert (ranked["capacity_mAh_g_std_aleatoric"] > 0).all()
    capsys.readouterr()
    screen.write_text(SCREEN.replace("quantity: capacity", "quantity: energy_Wh_kg"))
    assert activelearn(monkeypatch, "screen", screen, "--engine", "local", "--out", job.parent / "no") == 2
    assert capsys.readouterr().err == (
        'error: objective "energy_Wh_kg": energy_Wh_kg was asked; mine, a Gaussian process, says capacity '
        "alone. Ask for capacity, or give a model trained with surrogate: ensemble.\n"
    )
    assert not (job.parent / "no").exists()


def test_an_unknown_rival_is_refused(
    job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job.write_text(PROFILES + "beside: [deep-kernel]\n")
    assert _refused(job, monkeypatch, capsys) == (
        "error: mine.yaml, key \"beside[item 1]\": 'deep-kernel' came; input should be 'ensemble', 'gp' or "
        "'forest'. Correct the value.\n"
    )


def _refused(job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    before = sorted(job.parent.rglob("*"))
    assert activelearn(monkeypatch, "train", job, "--out", job.parent / "model") == 2
    assert sorted(job.parent.rglob("*")) == before, "nothing is written"
    return capsys.readouterr().err


def test_bad_profiles_are_refused_before_training(
    job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(job.parent, table().iloc[:5])
    assert _refused(job, monkeypatch, capsys) == (
        'error: profiles.csv, row 2, column "Vii": the profile of Li1.2Mn0.4Ti0.4O2, cycle 1 has 5 points; '
        "at least 10 are needed. Give all of its points, or leave it out.\n"
    )
    write(job.parent, table(FORMULAS[:1]))
    assert _refused(job, monkeypatch, capsys).endswith(
        "profiles.csv: 3 profiles to train on; at least 4 are needed. Add profiles.\n"
    )


@pytest.mark.parametrize(
    ("text", "came"),
    [
        ("members: 2\n", "none"),
        ("data: {dataset: molsets}\nteachers: drxnet-published\n", "data and teachers"),
    ],
)
def test_a_job_says_by_one_key_what_it_trains_on(
    text: str, came: str, job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job.write_text(text)
    assert _refused(job, monkeypatch, capsys) == (
        f"error: mine.yaml: of the keys data, profiles, excess, teachers there must be one; {came} came. "
        "Give the one that says what to train on.\n"
    )


def test_an_unknown_key_names_the_nearest(
    job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job.write_text(PROFILES.replace("steps", "step"))
    assert 'key "step": no such key. Did you mean "steps"?' in _refused(job, monkeypatch, capsys)


def test_published_networks_become_students_with_their_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "theirs").mkdir()
    torch.manual_seed(0)
    for member in range(MEMBERS):
        save_file(loop.PublishedNetwork().state_dict(), weights_file(tmp_path / "theirs", member))
    (tmp_path / "job.yaml").write_text(TEACHERS)
    assert activelearn(monkeypatch, "train", tmp_path / "job.yaml", "--out", tmp_path / "model") == 0
    said = capsys.readouterr().out
    assert "capacity_mae_mAh_g" in said and "spread_spearman" in said
    card = discharge_model(tmp_path / "model").card
    assert card.members == MEMBERS and card.settings.monotonic
    assert card.data["licence"] == "MIT" and card.data["conditions"] == 100
    assert card.errors["conditions"] + card.errors["left_out"] == 100


def test_missing_teachers_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "job.yaml").write_text(TEACHERS)
    said = _refused(tmp_path / "job.yaml", monkeypatch, capsys)
    first = weights_file(tmp_path / "theirs", 0)
    assert said.startswith(f"error: {first}: there is no such file. Put it there.\n")
    assert len(said.splitlines()) == MEMBERS


def test_the_bundled_job_states_the_defaults() -> None:
    config = load_yaml(bundled_job("drxnet-distilled"), DistillationConfig)
    assert config == DistillationConfig(teachers="drxnet-published")
    assert config.settings() == DistillationSettings()
    profiles = ProfileConfig.model_validate({"profiles": {"file": "a.csv"}})
    assert profiles.settings() == ProfileSettings()
