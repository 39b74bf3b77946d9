"""Model directories: what is written is read again, and what is damaged is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from surrogates.checkpoints import (
    ModelCard,
    ScoreRow,
    card_of,
    load_card,
    load_model,
    save_model,
)
from surrogates.domain import Domain
from surrogates.encoders.mixture_law import LawName
from surrogates.errors import InputError
from surrogates.gp import MixtureGP
from surrogates.law_ensemble import LawEnsemble
from surrogates.model_directories import CARD, WEIGHTS, model_hash
from surrogates.student import Student
from tests.saved_models import STANDS_FOR, saved_student
from tests.synthetic_gps import judged, small_deep_kernel, small_gp
from tests.synthetic_laws import SETTINGS as LAW_SETTINGS
from tests.synthetic_laws import settings_of, small_law_ensemble, vft_data
from tests.synthetic_mixtures import SETTINGS, small_ensemble, synthetic_data
from tests.synthetic_students import ENSEMBLES, SPACE, small_student
from tests.synthetic_students import settings_of as student_settings_of

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


def _law_card(law: LawName = "vft") -> ModelCard:
    return card_of(small_law_ensemble(law), settings_of(law), {"source": "mixtures.csv"}, 3, {}, (ROW,))


@pytest.fixture
def saved_law(tmp_path: Path) -> Path:
    save_model(small_law_ensemble(), _law_card(), tmp_path / "law")
    return tmp_path / "law"


@pytest.mark.parametrize("law", ["vft", "arrhenius", "log", "none"])
def test_a_law_model_comes_back_as_it_was(tmp_path: Path, law: LawName) -> None:
    save_model(small_law_ensemble(law), _law_card(law), tmp_path / "law")
    data = vft_data()
    model = load_model(tmp_path / "law")
    assert isinstance(model, LawEnsemble)
    assert not model.members.network.training
    before, after = (one.bind(data.table).predict(data.batch) for one in (small_law_ensemble(law), model))
    for name in ("mean", "epistemic", "aleatoric", "in_domain"):
        assert torch.equal(getattr(after, name), getattr(before, name))
    card = load_card(tmp_path / "law")
    assert card == _law_card(law)
    assert card.settings == settings_of(law)


def test_a_domain_of_mixtures_without_salt_comes_back(tmp_path: Path) -> None:
    data = vft_data()
    some = replace(data.batch, molality=data.batch.molality * (torch.arange(60) % 3 > 0)[:, None])
    fitted = small_law_ensemble()
    domain = Domain.fit(data.table, fitted.features, some, torch.arange(60) % 5 == 0)
    fitted = replace(fitted, domain=domain)
    card = card_of(fitted, LAW_SETTINGS, {"source": "mixtures.csv"}, 3, {}, (ROW,))
    save_model(fitted, card, tmp_path / "law")
    loaded = load_model(tmp_path / "law")
    assert torch.equal(loaded.domain.mixture_salt, domain.mixture_salt)
    assert loaded.bind(data.table).predict(some).in_domain.all()
    assert load_card(tmp_path / "law").molality_mol_kg[0] == 0


def test_either_encoders_settings_come_back_as_its_own(saved: Path, saved_law: Path) -> None:
    assert load_card(saved).settings == SETTINGS
    assert load_card(saved_law).settings == LAW_SETTINGS


LAW_DAMAGE = {
    "members.law.temperature": lambda t: t[:, :2].clone(),
    "members.law.mix_net.0.weight": lambda t: t[..., :-1].clone(),
    "members.graphs.readout.bias": lambda t: t * torch.inf,
    "members.pair_net.2.bias": None,
    "features.components": lambda t: torch.tensor(1.0),
    "domain.mixtures": lambda t: torch.tensor(1.0),
}


@pytest.mark.parametrize("name", LAW_DAMAGE)
def test_a_damaged_tensor_of_a_law_model_is_named(saved_law: Path, name: str) -> None:
    tensors = load_file(saved_law / WEIGHTS)
    damage = LAW_DAMAGE[name]
    tensors = tensors | {name: damage(tensors[name])} if damage else _without(tensors, name)
    save_file(tensors, saved_law / WEIGHTS)
    with pytest.raises(InputError) as refused:
        load_model(saved_law)
    said = str(refused.value)
    assert said.startswith(f"{saved_law / WEIGHTS}: cannot be read as part of a model: ")
    assert said.endswith(MEND)
    if name not in tensors or tensors[name].ndim:  # of a number, torch says only that it is one
        assert name.removeprefix("members.") in said


def _without(tensors: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    return {other: tensor for other, tensor in tensors.items() if other != name}


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ([], "settings.molsets: Input should be an object"),
        ("diffmix", "settings.molsets: Input should be an object"),
        (None, "settings.molsets: Input should be an object"),
        (
            {"encoder": [1]},
            "settings.molsets.encoder: Input should be an object",
        ),
        (
            {"encoder": {"law": "newton"}},
            "settings.diffmix.encoder.law: Input should be 'vft', 'arrhenius', 'log' or 'none'",
        ),
        (
            {"encoder": {"law": "vft", "pooled": "wide"}, "taught": 3},
            "settings.diffmix.encoder.pooled: Input should be a valid integer, unable to parse string as an "
            "integer; settings.diffmix.taught: Unexpected keyword argument",
        ),
    ],
)
def test_settings_of_the_wrong_kind_are_named(saved_law: Path, settings: object, wrong: str) -> None:
    card = json.loads((saved_law / CARD).read_text())
    (saved_law / CARD).write_text(json.dumps(card | {"settings": settings}))
    with pytest.raises(InputError) as refused:
        load_model(saved_law)
    assert str(refused.value) == f"{saved_law / CARD}: cannot be read as part of a model: {wrong}. {MEND}"


def test_settings_of_the_other_encoder_do_not_fit_the_weights(saved: Path, saved_law: Path) -> None:
    card = json.loads((saved_law / CARD).read_text())
    other = json.loads((saved / CARD).read_text())
    (saved_law / CARD).write_text(json.dumps(card | {"settings": other["settings"]}))
    with pytest.raises(InputError, match="cannot be read as part of a model: there is no tensor"):
        load_model(saved_law)


@pytest.mark.parametrize("dropout", [-0.1, 1.5])
def test_a_dropout_that_is_none_is_refused(saved_law: Path, dropout: float) -> None:
    card = json.loads((saved_law / CARD).read_text())
    card["settings"]["encoder"]["graph"]["dropout"] = dropout
    (saved_law / CARD).write_text(json.dumps(card))
    with pytest.raises(InputError, match="dropout probability has to be between 0 and 1"):
        load_model(saved_law)


@pytest.mark.parametrize("encoder", ENSEMBLES)
def test_a_student_comes_back_as_it_was(tmp_path: Path, encoder: str) -> None:
    saved_student(tmp_path / "student", encoder)
    student = load_model(tmp_path / "student")
    assert isinstance(student, Student)
    before, after = (one.bind(SPACE.table).predict(SPACE[:]) for one in (small_student(encoder), student))
    for name in ("mean", "epistemic", "aleatoric", "in_domain"):
        assert torch.equal(getattr(after, name), getattr(before, name))
    card = load_card(tmp_path / "student")
    assert card.settings == student_settings_of(encoder)
    assert card.stands_for == STANDS_FOR


@pytest.mark.parametrize("encoder", ENSEMBLES)
def test_a_student_is_not_read_as_an_ensemble(tmp_path: Path, encoder: str) -> None:
    saved_student(tmp_path / "student", encoder)
    path = tmp_path / "student" / CARD
    path.write_text(json.dumps(json.loads(path.read_text()) | {"stands_for": None}))
    with pytest.raises(
        InputError, match=r"cannot be read as part of a model: .* is \(1, [35], .*not \(1, [24], "
    ):
        load_model(tmp_path / "student")


@pytest.mark.parametrize("encoder", ["molsets", "diffmix"])
@pytest.mark.parametrize("surrogate", ["gp", "deep-kernel"])
def test_a_process_comes_back_with_its_encoders(tmp_path: Path, encoder: str, surrogate: str) -> None:
    model = small_gp(encoder) if surrogate == "gp" else small_deep_kernel(encoder)
    card = card_of(model, SETTINGS if encoder == "molsets" else LAW_SETTINGS, {}, 3, {}, (ROW,))
    save_model(model, card, tmp_path / "gp")
    assert load_card(tmp_path / "gp") == card
    assert card.surrogate == surrogate
    back = load_model(tmp_path / "gp")
    assert isinstance(back, MixtureGP)
    data = judged(encoder).data
    before, after = (one.bind(data.table).predict(data.batch) for one in (model, back))
    for name in ("mean", "epistemic", "aleatoric"):
        torch.testing.assert_close(getattr(after, name), getattr(before, name), rtol=1e-5, atol=1e-8)
    assert torch.equal(after.in_domain, before.in_domain)
    assert back.calibration == model.calibration


def test_a_card_that_says_another_surrogate_is_refused(saved: Path) -> None:
    card = json.loads((saved / CARD).read_text())
    (saved / CARD).write_text(json.dumps(card | {"surrogate": "gp"}))
    with pytest.raises(InputError) as refused:
        load_model(saved)
    assert str(refused.value) == (
        f"{saved / WEIGHTS}: cannot be read as part of a model: there is no tensor 'gp.inputs.shift'. {MEND}"
    )
