"""A bound student: what it says is what its heads say, calibrated, however it is asked."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from activelearn.screening import Screen, by_mean
from surrogates.batches import MixtureBatch
from surrogates.errors import InputError
from surrogates.student import BoundSpace, StudentPredictor
from tests.synthetic_mixtures import CALIBRATION
from tests.synthetic_students import ENSEMBLES, SPACE, TAUGHT, ensemble_of, small_student

PARTS = ("mean", "epistemic", "aleatoric")
BATCH = SPACE.at(torch.arange(0, len(SPACE), 37))


@pytest.fixture(params=ENSEMBLES)
def predictor(request: pytest.FixtureRequest) -> StudentPredictor:
    student = small_student(request.param)
    return replace(student, network=replace(student.network, calibration=CALIBRATION)).bind(SPACE.table)


def test_the_prediction_is_what_the_heads_say(predictor: StudentPredictor) -> None:
    said = predictor.predict(BATCH)
    network = predictor.network
    mean, noise, doubt = network.outputs(BATCH)[0]
    torch.testing.assert_close(said.mean, network.shift + network.scale * mean)
    torch.testing.assert_close(said.epistemic, 2.0 * (network.scale**2 * doubt.exp()) ** 0.8)
    torch.testing.assert_close(said.aleatoric, 3.0 * (network.scale**2 * noise.exp()) ** 0.8)
    assert torch.equal(said.in_domain, network.domain.holds(BATCH))
    torch.testing.assert_close(said.interval_factor, torch.full((len(BATCH),), 1.7))
    assert predictor.target == network.target


@pytest.mark.parametrize(
    ("change", "is_taught"),
    [
        ({}, True),
        ({"molality": [[0.1]]}, False),
        ({"molality": [[1.2]]}, True),
        ({"molality": [[2.1]]}, False),
        ({"temperature_K": [260.0]}, False),
        ({"temperature_K": [310.0]}, True),
        ({"weights": [[0.96, 0.04]]}, False),
        ({"weights": [[0.42, 0.18]]}, True),
        ({"weights": [[1.0, 0.0]]}, False),
        ({"solvents": [[0, -1]]}, False),
        ({"salts": [[0]]}, False),
    ],
)
def test_what_lies_beyond_the_taught_space_is_not_in_its_domain(
    predictor: StudentPredictor, change: dict[str, list[Any]], is_taught: bool
) -> None:
    table = SPACE.table
    one = SPACE.at(torch.tensor([0]))
    changed = {name: torch.tensor(value, dtype=getattr(one, name).dtype) for name, value in change.items()}
    if "solvents" in changed:
        changed["solvents"] = torch.tensor([[int(one.solvents[0, 0]), int(one.salts[0, 0])]])
    if "salts" in changed:
        changed["salts"] = one.solvents[:, :1]
    batch = replace(one, **changed)
    assert BoundSpace.of(TAUGHT, table).holds(one).tolist() == [True]
    assert BoundSpace.of(TAUGHT, table).holds(batch).tolist() == [is_taught]
    known = replace(predictor.network.domain, domain=replace(predictor.network.domain.domain, threshold=1e9))
    careless = replace(predictor, network=replace(predictor.network, domain=known))
    if not is_taught:
        assert careless.predict(batch).in_domain.tolist() == [False]


def test_a_product_is_taught_as_its_rows_are() -> None:
    narrow = TAUGHT.model_copy(
        update={"molality_mol_kg": (0.9, 1.6), "temperature_K": (290.0,), "solvents": TAUGHT.solvents[1:]}
    )
    space = BoundSpace.of(narrow.model_copy(update={"temperature_K": (298.15,)}), SPACE.table)
    product = SPACE[7:1503]
    found = space.holds(product)
    assert torch.equal(found, space.holds(product.expand()))
    assert 0 < int(found.sum()) < len(found)


class Outputs:
    """A network whose heads say what it is told."""

    target, shift, scale, calibration = "y", 1.0, 2.0, CALIBRATION

    def __init__(self, said: Tensor) -> None:
        self.said = said

    def outputs(self, batch: MixtureBatch) -> Tensor:
        return self.said


def test_variances_stay_in_their_range() -> None:
    said = torch.tensor([0.5, -99.0, -99.0, 0.5, 99.0, 99.0]).reshape(1, 2, 3).mT
    mean, epistemic, aleatoric = StudentPredictor(
        Outputs(said), BoundSpace.of(TAUGHT, SPACE.table)
    ).marginals(BATCH[:2])
    torch.testing.assert_close(mean, torch.tensor([2.0, 2.0]))
    torch.testing.assert_close(epistemic, 2.0 * (4 * torch.tensor([-14.0, 3.0]).exp()) ** 0.8)
    torch.testing.assert_close(aleatoric, 3.0 * (4 * torch.tensor([-7.0, 3.0]).exp()) ** 0.8)


@pytest.mark.parametrize(("start", "stop"), [(0, 2160), (37, 1301), (4, 5)])
def test_a_product_is_predicted_as_its_rows_are(predictor: StudentPredictor, start: int, stop: int) -> None:
    got, expected = predictor.predict(SPACE[start:stop]), predictor.predict(SPACE[start:stop].expand())
    for part in PARTS:
        values = getattr(got, part)
        assert values.shape == (stop - start,)
        assert values.dtype == torch.float32
        torch.testing.assert_close(values, getattr(expected, part), rtol=1e-4, atol=1e-5)
    assert torch.equal(got.in_domain, expected.in_domain)


def test_a_student_of_molsets_takes_one_salt() -> None:
    bare = replace(BATCH, molality=torch.zeros_like(BATCH.molality))
    sets, law = (small_student(encoder).bind(SPACE.table) for encoder in ENSEMBLES)
    with pytest.raises(InputError, match=f"mixtures: of {len(bare)} mixtures {len(bare)} hold no salt"):
        sets.predict(bare)
    assert law.predict(bare).mean.isfinite().all()


def test_gradients_reach_the_amounts(predictor: StudentPredictor) -> None:
    weights, molality = BATCH.weights.clone().requires_grad_(), BATCH.molality.clone().requires_grad_()
    for part in predictor.marginals(replace(BATCH, weights=weights, molality=molality)):
        for gradient in torch.autograd.grad(part.sum(), (weights, molality), retain_graph=True):
            assert gradient.isfinite().all()
            assert (gradient != 0).any()


def test_in_float64_it_says_the_same_to_more_digits(predictor: StudentPredictor) -> None:
    precise, said = predictor.double().predict(BATCH), predictor.predict(BATCH)
    for part in PARTS:
        assert getattr(precise, part).dtype == torch.float64
        torch.testing.assert_close(getattr(precise, part).float(), getattr(said, part), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("encoder", ENSEMBLES)
def test_domain_and_calibration_are_the_ensembles(encoder: str) -> None:
    ensemble, network = ensemble_of(encoder), small_student(encoder).network
    assert network.domain is ensemble.domain
    assert network.features is ensemble.features
    assert network.calibration == ensemble.calibration
    predictors = (ensemble.bind(SPACE.table), small_student(encoder).bind(SPACE.table))
    own, theirs = (one.predict(SPACE[:]).in_domain for one in predictors)
    assert torch.equal(own, theirs)


def test_a_worker_loads_nothing_that_only_teaching_needs(tmp_path: Path) -> None:
    screen = Screen(SPACE, small_student("molsets").bind(SPACE.table), by_mean, top_k=3, shards=tmp_path)
    (tmp_path / "screen").write_bytes(pickle.dumps(screen))
    script = (
        "import pickle, sys\n"
        f"screen = pickle.load(open({str(tmp_path / 'screen')!r}, 'rb'))\n"
        "print(screen.score_chunk(next(screen.chunks())).top['candidate'].tolist())\n"
        "heavy = {'torch_geometric', 'torch._dynamo', 'sklearn', 'scipy', 'pandas', 'pydantic'}\n"
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
