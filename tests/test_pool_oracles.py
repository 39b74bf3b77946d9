"""Who answers for a pool by place says what it says by table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from campaigns.oracles import Emulator, VirtualLaboratory
from campaigns.pool_oracles import CathodePool, EmulatedPool, LaboratoryPool, MeasuredPool
from campaigns.replay import Replay
from campaigns.worth import CONDUCTIVITY
from tests.synthetic_arenas import arena, mixtures_of
from tests.synthetic_laws import small_law_ensemble, vft_data

PLACES = [3, 40, 200, 3, 7]


def test_the_laboratory_by_place_is_the_laboratory_by_table() -> None:
    of = mixtures_of(arena())
    for seed in (0, 4):
        laboratory = VirtualLaboratory(seed=seed, failure_rate=0.3, target=CONDUCTIVITY.name)
        by_table = laboratory.measure(of.frame(PLACES))[CONDUCTIVITY.name]
        by_place = LaboratoryPool(of.table, of.batch, 0.3, CONDUCTIVITY.name).measured(PLACES, seed)
        assert by_place == pytest.approx(by_table.to_numpy(), rel=1e-12, nan_ok=True)


def test_an_emulator_by_place_is_the_emulator_by_table() -> None:
    of, model = mixtures_of(arena()), small_law_ensemble()
    by_table = Emulator(model, seed=2).measure(of.frame(PLACES))[model.target]
    by_place = EmulatedPool(of.table, of.batch, model).measured(PLACES, 2)
    assert by_place == pytest.approx(by_table.to_numpy(), rel=1e-6)
    assert (by_place != EmulatedPool(of.table, of.batch, model).measured(PLACES, 3)).all()


def test_measurements_by_place_are_measurements_by_table() -> None:
    replay = Replay.of_data(vft_data())
    pool = MeasuredPool(replay.measurements(), replay.values)
    asked = list(range(len(replay.pool)))
    assert pool.measured(asked, 0).tolist() == replay.measure(replay.pool)[replay.target].tolist()


def test_molsets_by_place_is_molsets_by_table(data_dir: Path) -> None:
    replay = Replay.of_dataset("molsets", data_dir)
    pool = MeasuredPool(replay.measurements(), replay.values)
    asked = list(range(len(replay.pool)))
    assert pool.measured(asked, 0).tolist() == replay.measure(replay.pool)[replay.target].tolist()


def test_a_place_asked_twice_gives_the_next_measurement() -> None:
    pool = MeasuredPool(((0, 2), (1,)), np.array([1.0, 2.0, np.nan]))
    assert pool.measured([0, 1, 0], 5).tolist() == pytest.approx([1.0, 2.0, np.nan], nan_ok=True)


def test_cathodes_scatter_by_a_share_of_the_truth() -> None:
    truth = np.repeat([100.0, -50.0], 4000)
    pool = CathodePool(truth, 0.02)
    found = pool.measured(range(8000), 0)
    assert found.tolist() == pool.measured(range(8000), 0).tolist()
    assert found[:10].tolist() == pool.measured(range(10), 0).tolist()
    assert (found != pool.measured(range(8000), 1)).all()
    assert np.std(found[:4000] / 100) == pytest.approx(0.02, rel=0.05)
    assert np.std(found[4000:] / 50) == pytest.approx(0.02, rel=0.05)
    assert CathodePool(truth, 0.0).measured([5], 0).tolist() == [100.0]
