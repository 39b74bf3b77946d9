"""A bound law ensemble: against a plain loop, its gradients against differences, and sent elsewhere."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from activelearn.screening import Screen, by_mean
from activelearn.spaces import MixtureSpace
from surrogates.batches import MixtureBatch, MixtureProduct
from surrogates.law_ensemble import species_inputs
from surrogates.law_predictor import LawPredictor
from surrogates.laws import arrhenius, vft
from surrogates.mixture_data import tabulate
from tests.synthetic_laws import TARGET, small_law_ensemble, vft_data
from tests.synthetic_mixtures import CALIBRATION, SALTS, SOLVENTS

DATA = vft_data()
STEP = 1e-5
PARTS = ("mean", "epistemic", "aleatoric")


def bound(law: str = "vft") -> LawPredictor:
    return small_law_ensemble(law).bind(DATA.table)


def by_hand(predictor: LawPredictor, batch: MixtureBatch, member: int, n: int, law: str) -> Tensor:
    """Return a member's mean for a mixture, component by component, with a formula of `laws`."""
    grams = [float(w) for w in batch.weights[n] / batch.weights[n].sum()]
    components = DATA.table.components
    moles: dict[str, float] = {}
    for place, mass in zip(batch.solvents[n].tolist(), grams, strict=True):
        one = components[place]
        moles[one.smiles] = moles.get(one.smiles, 0.0) + 1000 * mass / one.molar_mass  # in a kg
    for salt, molality in zip(batch.salts[n].tolist(), batch.molality[n].tolist(), strict=True):
        for ion in components[salt].smiles.split("."):
            moles[ion] = moles.get(ion, 0.0) + molality
    total = sum(moles.values())
    names = [component.smiles for component in predictor.speciation.table.components]
    x = {names.index(name): amount / total for name, amount in moles.items()}
    alone = sum(share * predictor.species[member, i] for i, share in x.items())
    together = sum(
        x[i] * x[j] * predictor.pairs[member, predictor.place[i, j]] for i, j in product(x, repeat=2)
    )
    state = {name: tensor[member] for name, tensor in predictor.laws.state().items()}
    hidden = torch.relu(state["mix_net.0.weight"] @ torch.cat([alone, together]) + state["mix_net.0.bias"])
    said = state["mix_net.2.weight"] @ hidden + state["mix_net.2.bias"]
    t, middle = batch.temperature_K[n], state["temperature"][0]
    at_middle = predictor.shift + predictor.scale * said[0]
    if law == "vft":
        c2, c3 = 100 * said[1].exp().log1p(), state["temperature"][2] / (1 + (-said[2]).exp())
        return vft(at_middle + c2 / (middle - c3), c2, c3, t)
    energy, nothing = 1e4 * said[1].exp().log1p(), torch.zeros((), dtype=torch.float64)
    ten = torch.tensor(10.0, dtype=torch.float64).log()
    return at_middle + (arrhenius(nothing, energy, t) - arrhenius(nothing, energy, middle)) / ten


def two_salts(seed: int = 0) -> MixtureBatch:
    """Return the mixtures with both salts, some with one and some without."""
    index = DATA.table.index()
    molality = 2 * torch.rand(60, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    molality[::7, 0], molality[::3, 1] = 0, 0
    return replace(DATA.batch, salts=torch.tensor([[index[salt] for salt in SALTS]] * 60), molality=molality)


@pytest.mark.parametrize("batch", [DATA.batch, two_salts()], ids=["one salt", "two salts and none"])
@pytest.mark.parametrize("law", ["vft", "arrhenius"])
def test_members_are_a_loop_over_mixtures_and_components(law: str, batch: MixtureBatch) -> None:
    predictor = bound(law).double()
    mean, _ = predictor.member_outputs(batch)
    for member, n in product(range(2), range(0, 60, 7)):
        expected = by_hand(predictor, batch, member, n, law)
        # Mean and spread of the training data stand in float32 in the networks, in float64 in the predictor.
        torch.testing.assert_close(mean[member, n], expected, rtol=1e-6, atol=1e-6)


def test_the_members_say_what_the_networks_say() -> None:
    ensemble, predictor = small_law_ensemble(), bound()
    batch = predictor.speciation.split(DATA.batch.to(torch.float32))
    pairs = predictor.pairs[:, predictor.place[batch.pairs[0], batch.pairs[1]]]
    assert pairs.shape == (2, batch.pairs.shape[1], 4)
    species = predictor.speciation.table
    embedding = ensemble.members.each("embed", *species_inputs(species))
    mean, variance = ensemble.members.each(
        "head", mine=(ensemble.members.each("mix", batch, mine=(embedding,)),)
    )
    got = predictor.member_outputs(DATA.batch)
    torch.testing.assert_close(got[0], ensemble.shift + ensemble.scale * mean, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(got[1], ensemble.scale**2 * variance, rtol=1e-5, atol=1e-5)


def test_the_prediction_is_made_of_the_members() -> None:
    predictor = replace(small_law_ensemble(), calibration=CALIBRATION).bind(DATA.table)
    said = predictor.predict(DATA.batch)
    mean, variance = predictor.member_outputs(DATA.batch)
    torch.testing.assert_close(said.mean, (mean[0] + mean[1]) / 2)
    torch.testing.assert_close(said.epistemic, 2.0 * ((mean[0] - mean[1]) ** 2 / 2) ** 0.8)
    torch.testing.assert_close(said.aleatoric, 3.0 * ((variance[0] + variance[1]) / 2) ** 0.8)
    assert said.mean.dtype == said.epistemic.dtype == said.aleatoric.dtype == torch.float32
    assert said.in_domain.all()
    assert predictor.target == TARGET
    torch.testing.assert_close(said.interval_factor, torch.full((60,), 1.7))


@pytest.mark.parametrize(("start", "stop"), [(0, 600), (37, 301), (4, 5)])
def test_a_product_is_predicted_as_its_rows_are(start: int, stop: int) -> None:
    product_of = MixtureProduct(
        DATA.batch.solvents[::2],
        DATA.batch.weights[::2],
        salt=DATA.batch.salts[:20, 0],
        molality=torch.linspace(0.1, 3, 20, dtype=torch.float64),
        temperature_K=torch.linspace(240, 340, 20, dtype=torch.float64),
        start=start,
        stop=stop,
    )
    got, expected = bound().predict(product_of), bound().predict(product_of.expand())
    for part in PARTS:
        values = getattr(got, part)
        assert values.shape == (stop - start,)
        torch.testing.assert_close(values, getattr(expected, part), rtol=1e-5, atol=1e-6)
    holds = bound().domain.holds(product_of.expand())
    assert torch.equal(got.in_domain, holds)
    assert torch.equal(expected.in_domain, holds)
    assert not holds.all() or stop - start == 1  # molalities reach beyond those of the data


@pytest.mark.parametrize("law", ["vft", "arrhenius", "log", "none"])
@pytest.mark.parametrize("amount", ["weights", "molality", "temperature_K"])
def test_gradients_are_differences(law: str, amount: str) -> None:
    predictor = bound(law).double()
    batch = DATA.batch[:12]
    third = torch.full((12, 1), DATA.table.index()[SOLVENTS[2]])  # at fraction 0: what adding some would do
    weights = torch.cat([batch.weights, torch.zeros(12, 1, dtype=torch.float64)], dim=1)
    batch = replace(batch, solvents=torch.cat([batch.solvents, third], dim=1), weights=weights)
    given = getattr(batch, amount).clone().requires_grad_()
    outputs = torch.stack(predictor.member_outputs(replace(batch, **{amount: given})))
    columns = range(given.shape[1]) if given.ndim == 2 else [None]
    for output, member in product(range(2), range(2)):
        (gradient,) = torch.autograd.grad(outputs[output, member].sum(), given, retain_graph=True)
        for column in columns:
            move = torch.zeros_like(given)
            move[..., column] = STEP
            above, below = (
                torch.stack(
                    predictor.member_outputs(replace(batch, **{amount: given.detach() + sign * move}))
                )
                for sign in (1, -1)
            )
            expected = ((above - below) / (2 * STEP))[output, member].detach()
            found = gradient if column is None else gradient[:, column]
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-8)
    assert amount == "temperature_K" or bool((gradient != 0).any())


def test_in_float64_the_numbers_are_the_same_and_in_float64() -> None:
    single, double = bound(), bound().double()
    for one, two in zip(single.member_outputs(DATA.batch), double.member_outputs(DATA.batch), strict=True):
        assert [one.dtype, two.dtype] == [torch.float32, torch.float64]
        torch.testing.assert_close(one.double(), two, rtol=1e-4, atol=1e-5)


@given(st.integers(0, 2**31), st.floats(0, 1))
def test_order_and_slots_of_salts_do_not_matter(seed: int, share: float) -> None:
    predictor, batch = bound().double(), two_salts(seed)
    first = batch.molality[:, :1]
    others = (
        replace(batch, salts=batch.salts.flip(1), molality=batch.molality.flip(1)),
        replace(
            batch,
            salts=torch.cat([batch.salts, batch.solvents[:, :1]], dim=1),
            molality=torch.cat([batch.molality, torch.zeros_like(first)], dim=1),
        ),
        replace(
            batch,
            salts=torch.cat([batch.salts, batch.salts[:, :1]], dim=1),
            molality=torch.cat([share * first, batch.molality[:, 1:], (1 - share) * first], dim=1),
        ),
    )
    said = predictor.member_outputs(batch)
    for other in others:
        torch.testing.assert_close(predictor.member_outputs(other), said, rtol=1e-9, atol=1e-10)


def test_a_molecule_of_the_table_that_no_mixture_holds_changes_nothing() -> None:
    at = ([[SALTS[0]]], [[1.0]], [280.0])
    narrow, one = tabulate([[SOLVENTS[1]]], [[1.0]], *at)
    wide, two = tabulate(
        [[SOLVENTS[0], SOLVENTS[3]], [SOLVENTS[1]]], [[0.5, 0.5], [1.0]], *(2 * part for part in at)
    )
    first, second = (
        small_law_ensemble().bind(table).predict(batch) for table, batch in ((narrow, one), (wide, two[1:]))
    )
    for part in PARTS:
        torch.testing.assert_close(getattr(first, part), getattr(second, part), rtol=1e-5, atol=1e-7)


def test_a_bound_model_pickles() -> None:
    travelled = pickle.loads(pickle.dumps(bound()))
    for part in (*PARTS, "in_domain"):
        said, expected = (getattr(model.predict(DATA.batch), part) for model in (travelled, bound()))
        assert torch.equal(said, expected)


def test_a_worker_loads_nothing_that_only_training_needs(tmp_path: Path) -> None:
    space = MixtureSpace({c.smiles: c for c in SOLVENTS}, {c.smiles: c for c in SALTS})
    screen = Screen(space, small_law_ensemble().bind(space.table), by_mean, top_k=3, shards=tmp_path)
    (tmp_path / "screen").write_bytes(pickle.dumps(screen))
    script = (
        "import pickle, sys\n"
        f"screen = pickle.load(open({str(tmp_path / 'screen')!r}, 'rb'))\n"
        "print(screen.score_chunk(next(screen.chunks())).top['candidate'].tolist())\n"
        "heavy = {'torch_geometric', 'torch._dynamo', 'sklearn', 'scipy', 'pandas'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    top = screen.score_chunk(next(screen.chunks())).top["candidate"].tolist()
    assert run.stdout.splitlines() == [str(top), "[]"]
