"""How a law ensemble learns: which rows count, whose they are, and what moves the mean."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from surrogates.errors import InputError
from surrogates.law_training import (
    check_law_trainable,
    distinct_rows,
    train_on_property,
)
from surrogates.members import Members
from surrogates.training import TrainingSettings
from tests.synthetic_laws import vft_data

DATA = vft_data()
TRAINING = TrainingSettings(epochs=1, batch_size=4, learning_rate=0.05, weight_decay=0.0)


class Numbers(nn.Module):
    """Says a mean and a log variance of each of 12 rows; they share nothing."""

    def __init__(self, log_variance: float = 0.0) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(12))
        self.log_variance = nn.Parameter(torch.full((12,), log_variance))
        self.dropout = nn.Dropout(0.5)

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        return self.mean[rows], self.log_variance[rows].exp()


TARGET = torch.linspace(-4, -1, 12, dtype=torch.float64)
NOTHING_HELD_OUT = torch.ones(2, 12, dtype=torch.bool)


def trained(
    trains: Tensor = NOTHING_HELD_OUT,
    target: Tensor = TARGET,
    settings: TrainingSettings = TRAINING,
    log_variance: float = 0.0,
    modes: list[bool] | None = None,
) -> Members:
    """Return two members after their training; `modes` takes whether each call was of training."""

    def outputs(learner: Members, rows: Tensor) -> tuple[Tensor, Tensor]:
        if modes is not None:
            modes.append(learner.network.training)
        mean, variance = learner.each("forward", rows)
        return mean, variance

    members = Members.of([Numbers(log_variance), Numbers(log_variance)])
    return train_on_property(members, outputs, target, trains, ~trains, settings, seed=0)


def test_the_mean_learns_the_target_and_the_variance_its_error() -> None:
    found = trained(settings=replace(TRAINING, epochs=300, learning_rate=0.03))
    standard = ((TARGET - TARGET.mean()) / TARGET.std()).float()
    torch.testing.assert_close(found.parameters["mean"], standard.expand(2, -1), rtol=0.05, atol=0.05)
    assert (found.parameters["log_variance"] < -1).all()


def test_the_variance_does_not_move_the_mean() -> None:
    one, other = trained(log_variance=0.0), trained(log_variance=2.0)
    assert torch.equal(one.parameters["mean"], other.parameters["mean"])
    assert (one.parameters["mean"] != 0).any()


def test_what_a_member_holds_out_does_not_move_it() -> None:
    trains = NOTHING_HELD_OUT.clone()
    trains[0, 3] = trains[0, 8] = False
    swapped = TARGET.clone()
    swapped[3], swapped[8] = TARGET[8], TARGET[3]
    one, other = trained(trains), trained(trains, swapped)
    assert one.parameters["mean"][0, [3, 8]].tolist() == [0, 0]
    torch.testing.assert_close(one.parameters["mean"][0], other.parameters["mean"][0])
    assert not torch.allclose(one.parameters["mean"][1], other.parameters["mean"][1])


class One(nn.Module):
    """Says the same mean of every row."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(1))

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        return self.mean.expand(len(rows)), torch.ones(len(rows))


def test_each_member_is_kept_where_it_was_best_on_what_it_holds_out() -> None:
    target = torch.full((12,), -1.0, dtype=torch.float64)
    target[9:11] = -2.0
    trains = NOTHING_HELD_OUT.clone()
    trains[0, 9:11] = trains[1, 11] = False  # the first moves away from what it holds out, the second to it

    def outputs(learner: Members, rows: Tensor) -> tuple[Tensor, Tensor]:
        mean, variance = learner.each("forward", rows)
        return mean, variance

    settings = replace(TRAINING, epochs=10, learning_rate=0.01)
    found = train_on_property(Members.of([One(), One()]), outputs, target, trains, ~trains, settings, seed=0)
    away, towards = found.parameters["mean"][:, 0].tolist()
    assert 0 < away < 0.9 * towards


def test_an_error_of_the_logarithm_weighs_as_the_root_of_the_property() -> None:
    standard = ((TARGET - TARGET.mean()) / TARGET.std()).float()
    mean = standard.clone().add_(0.5).requires_grad_()
    members = Members.of([Numbers(), Numbers()])

    def outputs(learner: Members, rows: Tensor) -> tuple[Tensor, Tensor]:
        said = mean[rows].expand(2, -1)
        return said, learner.each("forward", rows)[1]

    once = replace(TRAINING, batch_size=12)
    everything = NOTHING_HELD_OUT
    train_on_property(members, outputs, TARGET, everything, ~everything, once, seed=0)
    assert mean.grad is not None
    value = 10**TARGET / (10**TARGET).std()
    expected = 2 * value.clamp_min(0.01).sqrt().float() / 12  # beyond 0.02 the Huber loss has slope 1
    torch.testing.assert_close(mean.grad, expected, rtol=1e-4, atol=1e-6)
    assert (value < 0.01).any() and (value > 1).any()


def test_dropout_is_on_in_training_and_off_in_validation_and_after() -> None:
    modes: list[bool] = []
    found = trained(modes=modes, settings=replace(TRAINING, epochs=4))
    steps = [True] * 3  # of 4 rows each; the last two of four epochs tell the error
    assert modes == [*steps, *steps, *steps, False, *steps, False]
    assert not found.network.dropout.training


def test_beta_and_the_teacher_have_no_part() -> None:
    other = trained(settings=replace(TRAINING, beta=1.0, teacher_weight=9.0))
    assert torch.equal(trained().parameters["mean"], other.parameters["mean"])


def test_a_row_says_something_if_mixture_temperature_or_target_are_new() -> None:
    target, temperature = DATA.target.clone(), DATA.batch.temperature_K.clone()
    mixture = DATA.rows["mixture"].to_numpy().copy()
    for again, differs in ((4, None), (5, "target"), (6, "temperature"), (7, "mixture")):
        mixture[again], target[again], temperature[again] = mixture[0], target[0], temperature[0]
        if differs == "target":
            target[again] += 0.1
        if differs == "temperature":
            temperature[again] += 1
        if differs == "mixture":
            mixture[again] = 99
    data = replace(
        DATA,
        target=target,
        batch=replace(DATA.batch, temperature_K=temperature),
        rows=DATA.rows.assign(mixture=mixture),
    )
    found = distinct_rows(data, torch.tensor([0, 4, 5, 6, 7, 0]))
    assert found.tolist() == [True, False, True, True, True, False]
    assert distinct_rows(data, torch.tensor([4, 0])).tolist() == [True, False]


def test_a_target_that_is_no_logarithm_is_refused() -> None:
    check_law_trainable(DATA, torch.arange(60), 2)
    with pytest.raises(InputError) as caught:
        check_law_trainable(replace(DATA, target_name="conductivity_mS_cm"), torch.arange(60), 2)
    assert str(caught.value) == (
        'key "target": conductivity_mS_cm is no logarithm; the laws of diffmix are of log10 of a property '
        "above 0. Give a target that begins with log10_, or write encoder: molsets."
    )


def test_what_no_ensemble_can_be_fitted_to_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        check_law_trainable(DATA, torch.arange(24), 2)
    assert str(caught.value) == (
        "mixtures.csv: fewer than 10 different mixtures to train on. Add measurements of other mixtures."
    )
