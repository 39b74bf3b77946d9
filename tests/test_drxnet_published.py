"""The published DRXNet: its numbers, the loop that it replaces, and what is no file of its weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from surrogates.composition_batches import CompositionBatch, CompositionTable, Conditions, read_formulas
from surrogates.discharge import discharge, embed_compositions, profiles
from surrogates.encoders.drxnet import PUBLISHED, DRXNet
from surrogates.encoders.drxnet_published import MEMBERS, load_published, own_state, weights_file
from surrogates.errors import InputError
from surrogates.members import Members
from tests.benchmarks import published_discharge as loop

HE_1 = "Li1.2Mn0.1Mg0.1Cr0.3Ti0.2Nb0.1O1.8F0.2"
HE_2 = "Li1.2Mn0.1Mg0.1Cr0.15V0.15Ti0.2Nb0.1O1.8F0.2"
THREE_ANIONS = "Li2V1O2F1"


@pytest.fixture(scope="module")
def members(reference_dir: Path) -> Members:
    return load_published(reference_dir)


@pytest.fixture(scope="module")
def reference(reference_dir: Path) -> pd.DataFrame:
    return pd.read_csv(reference_dir / "drxnet_reference.csv")


def _as_written(formulas: list[str]) -> tuple[CompositionTable, CompositionBatch]:
    """Read formulas as the published script does: amounts are not scaled to two anions, F is 2 - O."""
    table, batch = read_formulas(formulas)
    unscaled = torch.tensor([formula == THREE_ANIONS for formula in formulas])
    weights = torch.where(unscaled[:, None], 1.5 * batch.weights, batch.weights)
    return table, replace(batch, weights=weights, fluorine=batch.fluorine.masked_fill(unscaled, 0))


def _states(members: Members, table: CompositionTable, batch: CompositionBatch, rows: Conditions) -> Tensor:
    embedding, condition = members.each("embed", table, batch), members.each("condition", rows)
    _, now = members.each("states", mine=(embedding, condition))
    return now.detach()


def _conditions(rows: pd.DataFrame) -> Conditions:
    return Conditions.of(*(rows[name].tolist() for name in ("rate_mA_g", "cycle", "V_low", "V_high")))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_reference_row(members: Members, reference: pd.DataFrame, dtype: torch.dtype) -> None:
    cast = Members(members.network, {n: t.to(dtype) for n, t in members.parameters.items()}, members.buffers)
    rows = _conditions(reference)
    table, batch = _as_written(reference["composition"].tolist())
    window = rows.window().to(dtype)
    charge = cast.each("discharge", window, window, mine=(_states(cast, table, batch, rows),)).double()
    by_member = torch.tensor(reference[[f"q{member}" for member in range(MEMBERS)]].to_numpy().T.copy())
    assert charge.shape == (MEMBERS, 292, 2)
    torch.testing.assert_close(charge[..., 0], by_member, rtol=0, atol=5e-3)
    capacity, at_V_high = charge.mean(0).unbind(-1)
    torch.testing.assert_close(capacity, _column(reference, "capacity_mean"), rtol=0, atol=2e-3)
    torch.testing.assert_close(at_V_high, _column(reference, "capacity_at_V_high"), rtol=0, atol=2e-3)
    std = charge[..., 0].std(0, correction=0)
    torch.testing.assert_close(std, _column(reference, "capacity_std"), rtol=0, atol=2e-3)


def test_energy_is_the_integral_and_the_published_rule_is_near_it(
    members: Members, reference: pd.DataFrame
) -> None:
    rows = reference[reference["composition"] != THREE_ANIONS]
    ours, even, published = [], [], []
    for _, group in rows.groupby(["rate_mA_g", "cycle", "V_low", "V_high"], sort=False):
        table, batch = read_formulas(group["composition"].tolist())
        conditions = _conditions(group.iloc[:1])
        embedding = embed_compositions(members, table, batch)
        result = discharge(members, embedding, conditions)
        curves = profiles(members, embedding, conditions)
        charge, voltage = curves.charge_mAh_g.double().mean(0)[:, 0], curves.voltage[0].double()
        by_rule = [loop.voltage_and_energy(one, voltage)[1] for one in charge]
        np.testing.assert_allclose(by_rule, group["energy_Wh_kg"], rtol=0, atol=0.01)
        np.testing.assert_allclose(
            result.capacity_mAh_g.mean(0)[:, 0], group["capacity_mean"], rtol=0, atol=2e-3
        )
        ours.append(result.energy_Wh_kg.mean(0)[:, 0].double())
        even.append(_energy_by_trapezia(charge, voltage))
        published.append(torch.tensor(by_rule))
        mean, _ = result.voltage_statistics()
        np.testing.assert_allclose(mean[:, 0], ours[-1] / charge[:, 0], rtol=0, atol=1e-4)
    torch.testing.assert_close(torch.cat(ours), torch.cat(even), rtol=0, atol=0.1)
    off = (torch.cat(published) / torch.cat(even) - 1).abs().max()
    assert 0.015 < off < 0.025  # the published rule's own error


def test_every_reference_curve(members: Members, reference_dir: Path) -> None:
    with np.load(reference_dir / "drxnet_profiles.npz") as stored:
        curves = dict(stored)
    rows = Conditions.of(*(curves[name].tolist() for name in ("rate", "cycle", "V_low", "V_high")))
    table, batch = read_formulas(curves["composition"].tolist())
    state = _states(members, table, batch, rows)
    charge, slope = members.each("discharge_slope", rows.window(), torch.tensor(curves["V"]), mine=(state,))
    expected, expected_slope = (
        torch.tensor(curves[name]).transpose(0, 1) for name in ("Q_members", "dQdV_members")
    )
    torch.testing.assert_close(charge, expected, rtol=0, atol=2e-3)
    torch.testing.assert_close(slope, expected_slope, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("formula", "capacities"), [(HE_1, (276.40, 275.07, 196.44)), (HE_2, (266.22, 264.48, 171.11))]
)
def test_the_capacities_of_the_high_entropy_cathodes(
    members: Members, formula: str, capacities: tuple[float, ...]
) -> None:
    conditions = Conditions.of([10, 20, 1000], [1] * 3, [1.5] * 3, [4.8] * 3)
    embedding = embed_compositions(members, *read_formulas([formula]))
    result = discharge(members, embedding, conditions)
    torch.testing.assert_close(result.capacity_mAh_g.mean(0)[0], torch.tensor(capacities), rtol=0, atol=6e-3)


def test_untrained_weights_in_the_loop_and_here_are_one_function() -> None:
    torch.manual_seed(0)
    looped = loop.PublishedNetwork().eval()
    with torch.no_grad():
        for name, tensor in looped.state_dict().items():
            if "running" in name or (".bn" in name and tensor.is_floating_point()):
                tensor.uniform_(0.5, 1.5)  # batch norms that do something
    ours = DRXNet(PUBLISHED)
    ours.load_state_dict(own_state(looped.state_dict()))
    charge, slope = loop.profile_loop([looped], HE_1, 20.0, 7.0, 1.5, 4.8)
    members = Members.of([ours])
    curves = profiles(
        members,
        embed_compositions(members, *read_formulas([HE_1])),
        Conditions.of([20], [7], [1.5], [4.8]),
    )
    torch.testing.assert_close(curves.charge_mAh_g[:, 0, 0], charge, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(curves.slope_mAh_g_V[:, 0, 0], slope, rtol=1e-4, atol=1e-5)


def test_the_loop_gives_the_reference_curve(reference_dir: Path) -> None:
    charge, slope = loop.profile_loop(loop.load_published(reference_dir), HE_1, 10.0, 1.0, 1.5, 4.8)
    with np.load(reference_dir / "drxnet_profiles.npz") as stored:
        torch.testing.assert_close(charge, torch.tensor(stored["Q_members"][0]), rtol=0, atol=2e-3)
        torch.testing.assert_close(slope, torch.tensor(stored["dQdV_members"][0]), rtol=1e-3, atol=1e-3)


def test_missing_files_are_named(tmp_path: Path) -> None:
    _save(tmp_path, loop.PublishedNetwork())
    weights_file(tmp_path, 1).unlink()
    weights_file(tmp_path, 4).unlink()
    with pytest.raises(InputError) as error:
        load_published(tmp_path)
    assert str(error.value).splitlines() == [
        f"{weights_file(tmp_path, member)}: there is no such file. Put it there." for member in (1, 4)
    ]


@pytest.mark.parametrize("damage", ["cut", "another network", "another shape", "a layer is missing"])
def test_damaged_weights_are_refused(damage: str, tmp_path: Path) -> None:
    _save(tmp_path, loop.PublishedNetwork())
    path = weights_file(tmp_path, 2)
    state = load_file(path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "another network":
        save_file({"weight": torch.zeros(2, 2)}, path)
    elif damage == "another shape":
        save_file(state | {"fc.fc.weight": torch.zeros(1, 31)}, path)
    else:
        del state["encode_rate.bn.running_var"]
        save_file(state, path)
    with pytest.raises(InputError) as error:
        load_published(tmp_path)
    assert str(error.value) == (f"{path}: these are not a published network's weights. Copy the file anew.")


def _save(directory: Path, network: loop.PublishedNetwork) -> None:
    for member in range(MEMBERS):
        save_file(network.state_dict(), weights_file(directory, member))


def _column(rows: pd.DataFrame, name: str) -> Tensor:
    return torch.tensor(rows[name].to_numpy().copy())


def _energy_by_trapezia(charge: Tensor, voltage: Tensor) -> Tensor:
    """Return the sum of V dQ by trapezia, `n`."""
    return ((charge[:, :-1] - charge[:, 1:]) * (voltage[:-1] + voltage[1:]) / 2).sum(-1)
