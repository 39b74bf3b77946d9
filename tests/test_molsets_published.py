"""The published MolSets network: its numbers, its symmetries, and the loop that it replaces."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from surrogates.batches import MixtureBatch
from surrogates.encoders.convolutions import ConvolutionName
from surrogates.encoders.molsets_published import FACTS_FILE, WEIGHTS_FILE, PublishedMolSets, load_published
from surrogates.errors import InputError
from surrogates.mixture_data import tabulate
from surrogates.molecules import Component, MoleculeTable, molar_mass
from surrogates.molsets_data import load_molsets
from tests.benchmarks.published_loop import PublishedNetwork, featurise, predict_loop

SOLVENTS = (
    ("O=C1OCCO1", "COC(=O)OC", "c1ccccc1"),
    ("N#CCCC#N",),
    ("COC(=O)OC", "O=C1OCCO1"),
    ("O=C1OCCO1", "COC(=O)OC"),
    ("O", "N#CCCC#N", "CCO", "COC(=O)OC"),
)
WEIGHTS = ((0.2, 0.3, 0.4), (0.8,), (0.5, 0.5), (0.1, 0.7), (0.1, 0.2, 0.3, 0.4))
SALTS = ("[Li+].F[P-](F)(F)(F)(F)F", "[Li+].[Cl-]", "[Li+].[Cl-]", "[Li+].F[B-](F)(F)F", "[Li+].[Cl-]")
MOLALITY = (1.0, 0.5, 2.0, 1.0, 12.0)


def _mixtures() -> tuple[MoleculeTable, MixtureBatch]:
    components = [[Component.of(smiles) for smiles in row] for row in SOLVENTS]
    salts, molality = [[Component.of(s)] for s in SALTS], [[m] for m in MOLALITY]
    return tabulate(components, WEIGHTS, salts, molality, [298.15] * len(SALTS))


def _network(name: ConvolutionName = "GraphConv") -> PublishedMolSets:
    torch.manual_seed(0)
    return PublishedMolSets(name).double()


def _loop_of(model: PublishedMolSets) -> PublishedNetwork:
    """The one-mixture-at-a-time network that shares the model's layers."""
    loop = PublishedNetwork()
    for phi, own in ((loop.phi, model.solvents), (loop.phi_salt, model.salts)):
        phi.convs, phi.fc = own.convolutions, own.readout
        if own.norm is None:
            phi.norm = nn.Identity()
        else:
            phi.norm.weight, phi.norm.bias = own.norm.weight, own.norm.bias
    loop.att_q_net, loop.att_k_net, loop.att_v_net = model.query, model.key, model.value
    loop.rho = model.head
    return loop


def _loop_predictions(loop: PublishedNetwork) -> Tensor:
    mixtures = [
        featurise(solvents, [molar_mass(Component.of(s).smiles) for s in solvents], weights, salt, molality)
        for solvents, weights, salt, molality in zip(SOLVENTS, WEIGHTS, SALTS, MOLALITY, strict=True)
    ]
    return predict_loop(loop, mixtures)


def _assert_published(predictions: Tensor, published: Sequence[float]) -> None:
    assert len(predictions) == len(published)
    torch.testing.assert_close(predictions.double(), torch.tensor(published).double(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gives_the_published_prediction_of_all_mixtures(
    dtype: torch.dtype, data_dir: Path, reference_dir: Path
) -> None:
    data = load_molsets(data_dir / "molsets" / "data_compiled.csv")
    published = pd.read_csv(reference_dir / "molsets_reference.csv")["prediction_log10_S_cm"]
    predictions = load_published(reference_dir).to(dtype).predict(data.table, data.batch)
    assert predictions.dtype == dtype
    _assert_published(predictions, published.to_list())


def test_gives_the_published_prediction_of_all_candidates(reference_dir: Path) -> None:
    frame = pd.read_csv(reference_dir / "molsets_candidates.csv")
    assert len(frame) == 11340
    pairs = zip(frame["solvent_1"], frame["M_1"], frame["solvent_2"], frame["M_2"], strict=True)
    solvents = [[Component.of(a, mass_a), Component.of(b, mass_b)] for a, mass_a, b, mass_b in pairs]
    salts = [Component.of(smiles) for smiles in frame["salt"]]
    solvent_share = [1 / (1 + salt.molar_mass / 1000) for salt in salts]  # at 1 mol/kg
    network = load_published(reference_dir)
    for column, shares in (
        ("prediction_w0.5", [1.0] * len(frame)),
        ("prediction_w_saltscaled", solvent_share),
    ):
        weights = [[share / 2, share / 2] for share in shares]
        n = len(frame)
        table, batch = tabulate(solvents, weights, [[s] for s in salts], [[1.0]] * n, [298.15] * n)
        _assert_published(network.predict(table, batch), frame[column].to_list())


@pytest.mark.parametrize("name", get_args(ConvolutionName))
def test_equals_the_loop_over_mixtures(name: ConvolutionName) -> None:
    network = _network(name).float()
    table, batch = _mixtures()
    with torch.no_grad():
        torch.testing.assert_close(
            network(table, batch), _loop_predictions(_loop_of(network)), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("name", get_args(ConvolutionName))
def test_every_parameter_learns(name: ConvolutionName) -> None:
    network = _network(name)
    network(*_mixtures()).square().sum().backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        # A softmax cancels what shifts all of its scores alike: always the query's bias, often att_dst.
        if key != "query.bias" and not key.endswith("att_dst"):
            assert parameter.grad.abs().max() > 1e-12, key


def test_stacked_networks_equal_a_loop_over_them() -> None:
    table, batch = _mixtures()
    members = [PublishedMolSets() for _ in range(3)]
    state = stack_module_state(members)
    skeleton = PublishedMolSets().to("meta")
    stacked = vmap(lambda *state: functional_call(skeleton, state, (table, batch)))(*state)
    torch.testing.assert_close(stacked, torch.stack([member(table, batch) for member in members]))


def test_has_the_published_size() -> None:
    assert sum(parameter.numel() for parameter in PublishedMolSets().parameters()) == 7617


@given(order=st.permutations(range(4)))
def test_order_of_solvents_does_not_matter(order: list[int]) -> None:
    table, batch = _mixtures()
    shuffled = MixtureBatch(
        batch.solvents[:, order], batch.weights[:, order], batch.salts, batch.molality, batch.temperature_K
    )
    network = _network()
    torch.testing.assert_close(network.predict(table, shuffled), network.predict(table, batch))


@given(molecule=st.integers(0, 5), slots=st.integers(1, 3))
def test_unused_slots_change_nothing(molecule: int, slots: int) -> None:
    table, batch = _mixtures()
    n = len(batch)
    padded = MixtureBatch(
        torch.cat([batch.solvents, torch.full((n, slots), molecule)], dim=1),
        torch.cat([batch.weights, torch.zeros(n, slots)], dim=1),
        batch.salts,
        batch.molality,
        batch.temperature_K,
    )
    network = _network()
    torch.testing.assert_close(network.predict(table, padded), network.predict(table, batch))


def test_mixtures_do_not_feel_the_others_of_their_batch() -> None:
    table, batch = _mixtures()
    network = _network()
    alone = torch.cat([network.predict(table, batch[row : row + 1]) for row in range(len(batch))])
    torch.testing.assert_close(network.predict(table, batch), alone)


def test_order_of_atoms_and_of_the_table_does_not_matter() -> None:
    network = _network()
    one = ("OCC", "O=C1OCCO1", "[Li+].[Cl-]")
    other = ("[Cl-].[Li+]", "C1COC(=O)O1", "C(C)O")
    predictions = [
        network.predict(
            MoleculeTable.build([Component(smiles, 50.0) for smiles in table]),
            MixtureBatch(
                solvents=torch.tensor([solvents]),
                weights=torch.tensor([[0.3, 0.5]]),
                salts=torch.tensor([[salt]]),
                molality=torch.ones(1, 1),
                temperature_K=torch.tensor([298.15]),
            ),
        )
        for table, solvents, salt in ((one, [0, 1], 2), (other, [2, 1], 0))
    ]
    torch.testing.assert_close(predictions[0], predictions[1])


def test_partners_change_what_a_solvent_becomes() -> None:
    table, _ = _mixtures()
    network = _network()
    with torch.no_grad():
        sets = network.solvents(table, torch.tensor([[0, 1], [0, 2], [0, len(table)]]))
    assert not torch.allclose(sets[0, 0], sets[1, 0])
    assert not torch.allclose(sets[0, 0], sets[2, 0])
    torch.testing.assert_close(sets[2, 1], torch.zeros_like(sets[2, 1]))


def _save(directory: Path, loop: PublishedNetwork) -> None:
    save_file(loop.state_dict(), directory / WEIGHTS_FILE)
    target = {"mean": -5.0, "std_population": 2.0}
    (directory / FACTS_FILE).write_text(json.dumps({"target": target}), encoding="utf-8")


def test_loads_the_published_names(tmp_path: Path) -> None:
    torch.manual_seed(1)
    loop = PublishedNetwork()
    _save(tmp_path, loop)
    table, batch = _mixtures()
    predictions = load_published(tmp_path).predict(table, batch)
    torch.testing.assert_close(predictions, _loop_predictions(loop) * 2 - 5, rtol=1e-4, atol=1e-5)


def test_missing_files_are_all_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        load_published(tmp_path)
    assert str(error.value) == (
        f"{tmp_path / WEIGHTS_FILE}: there is no such file. Put it there.\n"
        f"{tmp_path / FACTS_FILE}: there is no such file. Put it there."
    )


@pytest.mark.parametrize("damage", ["cut", "another network"])
def test_damaged_weights_are_refused(damage: str, tmp_path: Path) -> None:
    _save(tmp_path, PublishedNetwork())
    path = tmp_path / WEIGHTS_FILE
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    else:
        save_file({"phi.fc.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(InputError) as error:
        load_published(tmp_path)
    assert str(error.value) == (
        f"{path}: these are not the published network's weights as safetensors. Copy the file anew."
    )


@pytest.mark.parametrize("text", ["{", "[]", '{"target": {"mean": 1}}', '{"target": {"mean": "x"}}'])
def test_damaged_facts_are_refused(text: str, tmp_path: Path) -> None:
    _save(tmp_path, PublishedNetwork())
    path = tmp_path / FACTS_FILE
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        load_published(tmp_path)
    assert str(error.value) == (
        f"{path}: it does not hold the numbers target.mean and target.std_population. Copy the file anew."
    )


def test_mixtures_of_no_salt_or_of_several_are_refused() -> None:
    table, batch = _mixtures()
    n = len(batch)
    two = replace(batch, salts=batch.salts.expand(-1, 2), molality=batch.molality.expand(-1, 2))
    words = (
        "; a model of encoder: molsets takes one salt a mixture. "
        "Take a model trained with encoder: diffmix, which takes any number of salts, and none."
    )
    for ask in (_network().predict, _network().forward):
        with pytest.raises(InputError) as caught:
            ask(table, two)
        assert str(caught.value) == f"mixtures: of {n} mixtures 0 hold no salt and {n} more than one{words}"
    with pytest.raises(InputError) as caught:
        _network().predict(table, replace(batch, molality=0 * batch.molality))
    assert str(caught.value) == f"mixtures: of {n} mixtures {n} hold no salt and 0 more than one{words}"
