"""The training loop on a small function: what is learnt, from which rows, and which epoch is kept."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from surrogates.members import Members
from surrogates.training import TrainingSettings, optimise, train

DRAW = torch.Generator().manual_seed(0)
X = torch.rand(80, 2, generator=DRAW) * 2 - 1
Y = X[:, 0] - 0.5 * X[:, 1]
TAUGHT_X = torch.rand(40, 2, generator=DRAW) * 2 - 1
UNHEARD = torch.zeros(2, 1)
SETTINGS = TrainingSettings(epochs=40, batch_size=16, learning_rate=0.02, teacher_weight=0.0)
TRAINS = torch.ones(2, 80, dtype=torch.bool)
TRAINS[0, :16] = False
TRAINS[1, 16:32] = False


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.layers(x).unbind(-1)
        return mean, log_variance.exp()


def _networks() -> Members:
    torch.manual_seed(0)
    return Members.of([Network() for _ in range(2)])


def _forward(members: Members, measured: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
    mean, variance = members.each("forward", torch.cat([X[measured], TAUGHT_X[asked]]))
    return mean, variance


def _error(members: Members, rows: Tensor) -> Tensor:
    return (members.each("forward", X[rows])[0] - Y[rows]).abs().mean(1)


def test_a_function_is_learnt_by_every_member() -> None:
    before = _networks()
    after = train(before, _forward, Y, TRAINS, ~TRAINS, UNHEARD, SETTINGS, seed=0)
    assert (_error(after, torch.arange(80)) < 0.1).all()
    assert (_error(before, torch.arange(80)) > 0.3).all()


def test_the_starting_weights_are_left_alone() -> None:
    before = _networks()
    state = {name: tensor.clone() for name, tensor in before.state().items()}
    train(before, _forward, Y, TRAINS, ~TRAINS, UNHEARD, replace(SETTINGS, epochs=3), seed=0)
    assert all(torch.equal(tensor, state[name]) for name, tensor in before.state().items())


def test_a_seed_gives_the_same_weights() -> None:
    taught = torch.zeros(2, 40)
    short = replace(SETTINGS, epochs=3)
    one, two, other = (
        train(_networks(), _forward, Y, TRAINS, ~TRAINS, taught, short, seed).state() for seed in (3, 3, 4)
    )
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_what_a_member_holds_out_does_not_teach_it() -> None:
    # What it holds out still chooses its epoch, so there is but one.
    moved = Y.clone()
    moved[:16] += 100
    short = replace(SETTINGS, epochs=1)
    one, two = (
        train(_networks(), _forward, y, TRAINS, ~TRAINS, UNHEARD, short, seed=0).state() for y in (Y, moved)
    )
    assert all(torch.equal(one[name][0], two[name][0]) for name in one)
    assert not any(torch.equal(one[name][1], two[name][1]) for name in one)


def test_the_epoch_with_the_least_error_on_held_out_rows_is_kept() -> None:
    # Rows to train on say the opposite of those held out: the longer member 0 trains, the worse it gets.
    target = torch.where(TRAINS[0], -Y, Y)
    trains = TRAINS[:1].expand(2, -1)
    seen: list[Tensor] = []

    def watched(members: Members, measured: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
        mean, variance = _forward(members, measured, asked)
        if len(measured) == len(target):  # a look at all rows, not a step
            seen.append((mean - target).abs()[:, :16].mean(1).detach())
        return mean, variance

    kept = train(_networks(), watched, target, trains, ~trains, UNHEARD, SETTINGS, seed=0)
    held_out = (kept.each("forward", X[:16])[0] - target[:16]).abs().mean(1)
    errors = torch.stack(seen)
    torch.testing.assert_close(held_out, errors.amin(0))
    assert (errors.amin(0) < errors[-1]).all()  # or the last epoch would do as well


def test_a_member_that_holds_out_nothing_trains_to_the_end() -> None:
    everything = torch.ones(2, 80, dtype=torch.bool)
    after = train(_networks(), _forward, Y, everything, ~everything, UNHEARD, SETTINGS, seed=0)
    assert (_error(after, torch.arange(80)) < 0.1).all()


def test_taught_mixtures_teach() -> None:
    trains = torch.zeros(2, 80, dtype=torch.bool)
    trains[:, X.sum(1).topk(20).indices] = True  # all that is measured stands in one corner
    taught = (TAUGHT_X[:, 0] - 0.5 * TAUGHT_X[:, 1]).expand(2, -1)
    heard, unheard = (
        train(
            _networks(),
            _forward,
            Y,
            trains,
            ~trains,
            taught,
            replace(SETTINGS, teacher_weight=weight),
            seed=0,
        )
        for weight in (1.0, 0.0)
    )
    assert (_error(heard, torch.arange(80)) < 0.8 * _error(unheard, torch.arange(80))).all()


def test_a_member_is_not_taught_what_is_nan_for_it() -> None:
    taught = (TAUGHT_X[:, 0] - 0.5 * TAUGHT_X[:, 1]).repeat(2, 1)
    other = taught.clone()
    other[:, :20] += 100
    taught[0, :20] = other[0, :20] = torch.nan
    heard = replace(SETTINGS, epochs=3, teacher_weight=1.0)
    one, two = (
        train(_networks(), _forward, Y, TRAINS, ~TRAINS, labels, heard, seed=0).state()
        for labels in (taught, other)
    )
    assert all(torch.equal(one[name][0], two[name][0]) for name in one)
    assert not any(torch.equal(one[name][1], two[name][1]) for name in one)


def test_what_no_member_is_watched_on_does_not_choose_the_epoch() -> None:
    validates = ~TRAINS
    validates[:, :8] = False
    moved = Y.clone()
    moved[:8] += 100  # member 0 neither trains on these nor is watched on them
    one, two = (
        train(_networks(), _forward, y, TRAINS, validates, UNHEARD, SETTINGS, seed=0).state()
        for y in (Y, moved)
    )
    assert all(torch.equal(one[name][0], two[name][0]) for name in one)


def test_nothing_need_be_taught() -> None:
    short = replace(SETTINGS, epochs=3, teacher_weight=1.0)
    trained = train(_networks(), _forward, Y, TRAINS, ~TRAINS, torch.empty(2, 0), short, seed=0)
    assert all(tensor.isfinite().all() for tensor in trained.parameters.values())


def test_ten_steps_are_enough() -> None:
    ten = replace(SETTINGS, epochs=2)  # of five steps
    trained = train(_networks(), _forward, Y, TRAINS, ~TRAINS, UNHEARD, ten, seed=0)
    assert all(tensor.isfinite().all() for tensor in trained.parameters.values())


def test_progress_is_told_of_every_epoch() -> None:
    told: list[tuple[int, int]] = []
    train(
        _networks(),
        _forward,
        Y,
        TRAINS,
        ~TRAINS,
        UNHEARD,
        replace(SETTINGS, epochs=3),
        0,
        lambda done, of: told.append((done, of)),
    )
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_fewer_rows_than_a_batch_still_teach() -> None:
    trains = torch.ones(2, 10, dtype=torch.bool)
    trains[:, :2] = False
    before = _networks()
    after = train(
        before,
        _forward,
        Y[:10],
        trains,
        ~trains,
        UNHEARD,
        replace(SETTINGS, batch_size=64, epochs=60),
        seed=0,
    )
    assert (_error(after, torch.arange(10)) < 0.5 * _error(before, torch.arange(10))).all()


def _mean_output(members: Members, rows: Tensor, _: torch.Generator) -> Tensor:
    return members.each("forward", X[rows])[0].mean(1).sum()


def test_what_does_not_learn_stays_as_it_is() -> None:
    before, brief = _networks(), replace(SETTINGS, epochs=2)
    after = optimise(
        before,
        _mean_output,
        lambda members: torch.zeros(2),
        80,
        brief,
        seed=0,
        learns=lambda name: name.startswith("layers.2"),
    )
    for name, tensor in before.parameters.items():
        assert torch.equal(after.parameters[name], tensor) != name.startswith("layers.2"), name
        assert tensor.grad is None


def test_of_epochs_with_one_error_the_last_is_kept() -> None:
    seen: list[Tensor] = []

    def error(members: Members) -> Tensor:
        seen.append(members.parameters["layers.0.bias"].detach().clone())
        return torch.zeros(2)

    after = optimise(_networks(), _mean_output, error, 80, replace(SETTINGS, epochs=5), seed=0)
    assert len(seen) > 1 and not torch.equal(seen[0], seen[-1])
    assert torch.equal(after.parameters["layers.0.bias"], seen[-1])


def test_dropout_is_on_in_training_and_off_where_the_error_is_taken() -> None:
    on: list[bool] = []
    off: list[bool] = []

    def loss(members: Members, rows: Tensor, generator: torch.Generator) -> Tensor:
        on.append(members.network.training)
        return _mean_output(members, rows, generator)

    def error(members: Members) -> Tensor:
        off.append(members.network.training)
        return torch.zeros(2)

    after = optimise(_networks(), loss, error, 80, replace(SETTINGS, epochs=3), seed=0)
    assert set(on) == {True} and set(off) == {False}
    assert not after.network.training
