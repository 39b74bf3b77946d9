"""Model directories: what is written is read again, and what is damaged is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from surrogates.checkpoints import (
    CARD,
    WEIGHTS,
    ModelCard,
    ScoreRow,
    card_of,
    check_free,
    load_card,
    load_model,
    model_hash,
    save_model,
)
from surrogates.errors import InputError
from tests.synthetic_mixtures import SETTINGS, small_ensemble, synthetic_data

MEND = "Give a directory that `activelearn train` wrote, or train the model again."
ROW = ScoreRow(
    splits="random", model="forest", repeats=1, mean={"mae": 0.5, "pearson": None}, std={"mae": 0.0}
)


def _card() -> ModelCard:
    return card_of(small_ensemble(), SETTINGS, {"source": "mixtures.csv"}, 3, {"rdkit": "1"}, (ROW,))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_model(small_ensemble(), _card(), tmp_path / "model")
    return tmp_path / "model"


def test_a_model_comes_back_as_it_was(saved: Path) -> None:
    data = synthetic_data()
    before = small_ensemble().bind(data.table).predict(data.batch)
    after = load_model(saved).bind(data.table).predict(data.batch)
    for name in ("mean", "epistemic", "aleatoric", "in_domain"):
        assert torch.equal(getattr(after, name), getattr(before, name))
    assert load_card(saved) == _card()


def test_nothing_else_is_left_beside_the_model(saved: Path) -> None:
    assert [path.name for path in saved.parent.iterdir()] == ["model"]
    assert sorted(path.name for path in saved.iterdir()) == [CARD, WEIGHTS]


def test_the_hash_sees_every_byte(saved: Path) -> None:
    before = model_hash(saved)
    (saved / CARD).write_text((saved / CARD).read_text() + "\n")
    assert model_hash(saved) != before


def test_nothing_is_overwritten(saved: Path) -> None:
    with pytest.raises(InputError) as refused:
        save_model(small_ensemble(), _card(), saved)
    assert str(refused.value) == (
        f"{saved}: something stands here already; an empty or new directory was expected. "
        "Give another directory, or move this one away."
    )


@pytest.mark.parametrize(
    ("name", "reader"),
    [
        (CARD, load_card),
        (CARD, load_model),
        (CARD, model_hash),
        (WEIGHTS, load_model),
        (WEIGHTS, model_hash),
    ],
)
def test_a_missing_file_is_named(saved: Path, name: str, reader: Callable[[Path], object]) -> None:
    (saved / name).unlink()
    with pytest.raises(InputError) as refused:
        reader(saved)
    path = saved / name
    assert str(refused.value) == (
        f"{path}: cannot be read as part of a model: No such file or directory. {MEND}"
    )


@pytest.mark.parametrize("reader", [load_card, load_model, model_hash])
def test_a_missing_directory_is_named(tmp_path: Path, reader: Callable[[Path], object]) -> None:
    with pytest.raises(InputError) as refused:
        reader(tmp_path / "nowhere")
    assert str(refused.value) == (
        f"{tmp_path / 'nowhere' / CARD}: cannot be read as part of a model: No such file or directory. {MEND}"
    )


def test_a_card_with_a_foreign_key_is_refused(saved: Path) -> None:
    card = json.loads((saved / CARD).read_text())
    (saved / CARD).write_text(json.dumps(card | {"weights": 1}))
    with pytest.raises(InputError, match="weights: Extra inputs are not permitted"):
        load_model(saved)


@pytest.mark.parametrize("keep", [0, 100, 5000])
def test_cut_weights_are_refused(saved: Path, keep: int) -> None:
    (saved / WEIGHTS).write_bytes((saved / WEIGHTS).read_bytes()[:keep])
    with pytest.raises(InputError, match=f"{WEIGHTS}: cannot be read as part of a model"):
        load_model(saved)


def test_weights_of_another_shape_are_refused(saved: Path) -> None:
    card = json.loads((saved / CARD).read_text())
    card["settings"]["encoder"]["head"] = [8, 8]
    (saved / CARD).write_text(json.dumps(card))
    with pytest.raises(InputError, match="cannot be read as part of a model"):
        load_model(saved)


def test_other_descriptors_are_refused(saved: Path) -> None:
    card = json.loads((saved / CARD).read_text())
    (saved / CARD).write_text(json.dumps(card | {"descriptors_sha256": "0"}))
    with pytest.raises(InputError) as refused:
        load_model(saved)
    assert str(refused.value) == (
        f"{saved}: this RDKit computes other descriptors than the one the model was trained with. "
        "Install rdkit 1, or train again."
    )


def test_a_place_that_cannot_hold_a_directory_is_found_before_training(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    out = tmp_path / "notes.txt" / "model"
    with pytest.raises(InputError) as refused:
        check_free(out)
    assert str(refused.value) == (
        f"{out}: {tmp_path / 'notes.txt'} is a file, not a directory. Give another directory."
    )


DAMAGE = {
    "features.components": lambda t: t[:, 0].clone(),
    "features.shift": lambda t: t[:-1].clone(),
    "domain.solvent_scale": lambda t: t[:-1].clone(),
    "domain.salts": lambda t: t[:1].clone(),
    "domain.mixture_salt": lambda t: t + 99,
    "domain.mixtures": lambda t: t * torch.nan,
    "members.out.bias": lambda t: torch.cat([t, t]),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_tensor_is_named(saved: Path, name: str) -> None:
    tensors = load_file(saved / WEIGHTS)
    save_file(tensors | {name: DAMAGE[name](tensors[name])}, saved / WEIGHTS)
    with pytest.raises(InputError) as refused:
        load_model(saved)
    said = str(refused.value)
    assert said.startswith(f"{saved / WEIGHTS}: cannot be read as part of a model: ")
    assert name.removeprefix("members.") in said
    assert said.endswith(MEND)


def test_every_wrong_key_of_a_card_is_named(saved: Path) -> None:
    card = json.loads((saved / CARD).read_text())
    (saved / CARD).write_text(json.dumps(card | {"scale": float("nan"), "seed": "many"}))
    with pytest.raises(InputError) as refused:
        load_card(saved)
    assert "scale: " in str(refused.value) and "seed: " in str(refused.value)
