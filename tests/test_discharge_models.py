"""Discharge models by name and directory: round trips, what ships, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from surrogates import datasets
from surrogates.composition_batches import read_formulas
from surrogates.datasets import dataset
from surrogates.discharge import embed_compositions
from surrogates.discharge_domain import METALS, DischargeDomain
from surrogates.discharge_models import (
    DischargeCard,
    DischargeEnsemble,
    DischargeProcess,
    discharge_ensemble,
    discharge_model,
    load_discharge_model,
    save_discharge_model,
)
from surrogates.discharge_objectives import Objective
from surrogates.distillation import compare
from surrogates.encoders.drxnet import DRXNetSettings
from surrogates.encoders.drxnet_published import MEMBERS, load_published
from surrogates.errors import InputError
from surrogates.members import Members
from surrogates.model_directories import CARD, WEIGHTS
from tests.benchmarks import published_discharge as loop
from tests.synthetic_compositions import network
from tests.synthetic_discharge_gps import small_data, small_process

SETTINGS = DRXNetSettings(hidden=8, voltage=8, steps=4)
SHIPPED = Path(str(files("surrogates") / "pretrained" / "drxnet-distilled"))
MEND = "Give a directory that `activelearn train` wrote, or train the model again."


@pytest.fixture
def model() -> DischargeEnsemble:
    members = Members.of([network(SETTINGS, seed).float() for seed in range(2)])[:]
    domain = DischargeDomain(
        ("Li", "Mn"), (1, 1.3), (0, 0.5), {"cycle": (1, 30)}, (20, 1.5, 4.8, 1), 50, "a test"
    )
    card = DischargeCard(
        name="small",
        settings=SETTINGS,
        members=2,
        domain=domain,
        data={"source": "none"},
        seed=0,
        versions={},
        errors={"capacity_mae_mAh_g": [1.5, 2.5]},
    )
    return DischargeEnsemble(members, card)


@pytest.fixture
def directory(model: DischargeEnsemble, tmp_path: Path) -> Path:
    save_discharge_model(model, tmp_path / "model")
    return tmp_path / "model"


def test_what_is_saved_is_what_is_loaded(model: DischargeEnsemble, directory: Path) -> None:
    found = discharge_model(directory)
    assert found.card == model.card
    assert set(found.members.parameters) == set(model.members.parameters)
    for name, tensor in model.members.state().items():
        assert torch.equal(found.members.state()[name], tensor)
    assert not any(tensor.requires_grad for tensor in found.members.parameters.values())
    cathodes = read_formulas(["Li1.2Mn0.8O2", "Li1.2Ti0.8O2"])
    embedding = embed_compositions(found.members, *cathodes)
    assert found.in_domain(*cathodes, embedding).tolist()[1] is False
    assert discharge_model(str(directory)).card == model.card


def test_a_taken_directory_is_refused(model: DischargeEnsemble, directory: Path) -> None:
    with pytest.raises(InputError) as error:
        save_discharge_model(model, directory)
    assert "something stands here already" in str(error.value)


def _refused(directory: Path) -> str:
    with pytest.raises(InputError) as error:
        load_discharge_model(directory)
    return str(error.value)


def test_damaged_weights_are_refused(directory: Path) -> None:
    path = directory / WEIGHTS
    state, start = load_file(path), f"{path}: cannot be read as part of a model: "
    without = {name: tensor for name, tensor in state.items() if name != "members.fade"}
    save_file(without, path)
    assert _refused(directory) == f"{start}there is no tensor 'fade'. {MEND}"
    save_file(state | {"members.fade": torch.zeros(2, 31)}, path)
    assert _refused(directory) == f"{start}fade is (2, 31), not (2, 32). {MEND}"
    save_file(state | {"members.fade": torch.full((2, 32), torch.nan)}, path)
    assert _refused(directory) == f"{start}fade holds a number that is not finite. {MEND}"
    path.write_bytes(path.read_bytes()[:100])
    assert _refused(directory).startswith(start)
    path.unlink()
    assert _refused(directory) == f"{start}No such file or directory. {MEND}"


def test_another_models_directory_is_refused(directory: Path) -> None:
    path = directory / CARD
    shutil.copy(str(files("surrogates") / "pretrained" / "molsets-conductivity" / "card.json"), path)
    said = _refused(directory)
    assert said == (
        f"{directory}: this is a model of electrolytes; one of discharge profiles was expected. "
        "Give another directory."
    )
    path.unlink()
    assert _refused(directory) == (
        f"{path}: cannot be read as part of a model: No such file or directory. {MEND}"
    )


def test_a_card_of_no_members_is_refused(directory: Path) -> None:
    path = directory / CARD
    path.write_text(json.dumps(json.loads(path.read_text()) | {"members": 0}))
    assert "members: Input should be greater than or equal to 2" in _refused(directory)


def test_a_process_is_saved_and_loaded_and_says_no_profiles(tmp_path: Path) -> None:
    data = small_data()
    model, path = small_process(data), tmp_path / "process"
    save_discharge_model(model, path)
    found = discharge_model(path)
    assert isinstance(found, DischargeProcess)
    assert found.card == model.card
    assert found.sha256() == model.sha256() != found.gp.members.sha256()
    cathodes = (data.table, data.batch[data.composition], data.conditions)
    said, again = model.gp.predict(*cathodes), found.gp.predict(*cathodes)
    torch.testing.assert_close(again.mean, said.mean)
    torch.testing.assert_close(again.epistemic, said.epistemic, rtol=1e-4, atol=1e-4)
    assert found.gp.process.centres.dtype == torch.float64
    with pytest.raises(InputError) as error:
        discharge_ensemble(path)
    assert str(error.value) == (
        f'model "{path}": this is a Gaussian process, which says capacity alone; an ensemble, which says '
        "profiles, is needed. Give a model trained with surrogate: ensemble."
    )


def test_a_damaged_process_is_refused(tmp_path: Path) -> None:
    directory = tmp_path / "process"
    save_discharge_model(small_process(small_data()), directory)
    path, start = directory / WEIGHTS, f"{directory / WEIGHTS}: cannot be read as part of a model: "
    state = load_file(path)
    save_file({name: tensor for name, tensor in state.items() if name != "gp.unit"}, path)
    assert _refused(directory) == f"{start}there is no tensor 'gp.unit'. {MEND}"
    save_file(state | {"gp.process.weights": torch.zeros(3).double()}, path)
    assert _refused(directory) == f"{start}gp.process.weights is (3,), not (12,). {MEND}"
    save_file(state | {"gp.process.weights": torch.full((12,), torch.inf).double()}, path)
    assert _refused(directory) == f"{start}gp.process.weights holds a number that is not finite. {MEND}"
    save_file(state, path)
    card = directory / CARD
    card.write_text(json.dumps(json.loads(card.read_text()) | {"calibration": None}))
    assert _refused(directory) == f"{start}its card holds no calibration. {MEND}"


def test_a_process_is_asked_for_nothing_but_capacities() -> None:
    data = small_data()
    asked = (
        Objective("capacity_mAh_g", "capacity", 20, 1.5, 4.8, 1),
        Objective("energy_Wh_kg", "energy_Wh_kg", 20, 1.5, 4.8, 1),
        Objective("kept", "retention_30", 20, 1.5, 4.8, 30),
    )
    process = small_process(data)
    assert process.bind(data.table, asked[:1]).target == "capacity_mAh_g"
    with pytest.raises(InputError) as error:
        process.bind(data.table, asked)
    assert str(error.value).splitlines() == [
        f'objective "{name}": {quantity} was asked; small, a Gaussian process, says capacity alone. '
        "Ask for capacity, or give a model trained with surrogate: ensemble."
        for name, quantity in (("energy_Wh_kg", "energy_Wh_kg"), ("kept", "retention_30"))
    ]


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(InputError) as error:
        discharge_model("drxnet")
    assert str(error.value) == (
        'model "drxnet": no model has this name; there are drxnet-distilled and drxnet-published. '
        "To name a directory of your own, write ./drxnet."
    )


def test_the_published_model_is_fetched_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "drxnet-published"
    folder.mkdir()
    networks = [loop.PublishedNetwork() for _ in range(MEMBERS)]
    for member, one in enumerate(networks):
        torch.save(one.state_dict(), folder / f"model_{member}")
    entry = dataset("drxnet-published")
    ours = replace(
        entry,
        files=tuple(
            replace(file, sha256=sha256((folder / file.name).read_bytes()).hexdigest())
            for file in entry.files
        ),
    )
    monkeypatch.setattr(datasets, "DATASETS", (ours,))
    found = discharge_model("drxnet-published", tmp_path)
    assert len(found.members) == MEMBERS
    assert found.card.data["licence"] == "MIT"
    assert not found.card.settings.monotonic
    assert found.card.domain.cations == ("Li", *METALS)
    fade = torch.stack([one.state_dict()["delta_N.weight"][:, 0] for one in networks])
    assert torch.equal(found.members.parameters["fade"], fade)


def test_a_pickle_of_anything_but_tensors_is_not_run(tmp_path: Path) -> None:
    for member in range(MEMBERS):
        torch.save({"run": shutil.rmtree}, tmp_path / f"model_{member}")
    with pytest.raises(InputError) as error:
        load_published(tmp_path)
    assert str(error.value).splitlines()[0] == (
        f"{tmp_path}/model_0: these are not a published network's weights. Copy the file anew."
    )


def test_what_ships_is_small_and_says_what_it_is() -> None:
    card = discharge_model("drxnet-distilled").card
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 3e6
    assert card.members == MEMBERS and card.settings.monotonic
    assert card.data["conditions"] >= 20_000
    assert card.data["licence"] == "MIT"
    assert max(card.errors["capacity_mae_mAh_g"]) <= 3
    assert card.errors["mean_capacity_mae_mAh_g"] <= 3
    assert card.errors["spread_spearman"] >= 0.8


def test_what_ships_is_as_near_to_the_published_networks_as_its_card_says(reference_dir: Path) -> None:
    model = discharge_model("drxnet-distilled")
    errors = compare(model.members, load_published(reference_dir), 300, seed=1234)
    assert max(errors.capacity_mae_mAh_g) <= 3
    assert errors.mean_capacity_mae_mAh_g <= 3
    assert errors.spread_spearman >= 0.8
    found = torch.tensor(errors.charge_mae_mAh_g)
    torch.testing.assert_close(found, torch.tensor(model.card.errors["charge_mae_mAh_g"]), rtol=0.5, atol=0)
