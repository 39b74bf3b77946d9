"""An ensemble on a law that is known: it learns it, looks at no other row, and says how sure it is."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from surrogates.encoders.diffmix import GraphSettings
from surrogates.encoders.diffmix_excess import DiffMixExcessSettings
from surrogates.errors import InputError
from surrogates.excess_models import ExcessEnsemble
from surrogates.excess_training import ExcessSettings, check_excess, fit_excess, predict
from surrogates.three_way_splits import three_way_splits
from tests.synthetic_excess import excess

DATA = excess(noise=0.01)
(SPLIT,) = three_way_splits("rows", torch.arange(60), 1)
NETWORK = DiffMixExcessSettings(
    order=3, graph=GraphSettings(hidden=16, molecule=8, dropout=0.0), pair=(32,), pooled=8, mix=(16,)
)
SETTINGS = ExcessSettings(members=2, steps=150, learning_rate=1e-2, network=NETWORK)


@pytest.fixture(scope="module")
def fitted() -> ExcessEnsemble:
    return fit_excess(DATA, SPLIT.train, SPLIT.validate, SETTINGS, seed=0)


def test_the_law_is_learnt(fitted: ExcessEnsemble) -> None:
    test = DATA.take(SPLIT.test)
    found = predict(fitted, test)
    assert float((found.mean - test.target).abs().mean()) < 0.1 * float(test.target.abs().mean())
    assert bool((found.std > 0).all()) and bool(found.in_domain.all())
    assert fitted.target == "excess_molar_volume_cm3_mol"


def test_components_exchanged_are_the_same_to_the_last_bit(fitted: ExcessEnsemble) -> None:
    one, other = predict(fitted, DATA), predict(fitted, DATA.exchanged())
    for name in ("epistemic", "aleatoric", "in_domain"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name))
    # 1 - (1 - x) is not x in float64, but nearly.
    torch.testing.assert_close(one.mean, other.mean, rtol=1e-5, atol=1e-6)


def test_rows_that_test_are_not_looked_at() -> None:
    few = replace(SETTINGS, steps=12)
    target = DATA.target.clone()
    target[SPLIT.test] = torch.nan
    one, other = (
        fit_excess(data, SPLIT.train, SPLIT.validate, few, seed=0)
        for data in (DATA, replace(DATA, target=target))
    )
    assert one.members.sha256() == other.members.sha256()
    assert one.calibration == other.calibration and one.scale == other.scale


def test_a_seed_gives_the_same_weights_and_another_others() -> None:
    few = replace(SETTINGS, steps=12)
    one, again, other = (fit_excess(DATA, SPLIT.train, SPLIT.validate, few, seed) for seed in (1, 1, 2))
    assert one.members.sha256() == again.members.sha256() != other.members.sha256()


def test_dropout_works_and_is_off_in_prediction() -> None:
    network = replace(NETWORK, graph=replace(NETWORK.graph, dropout=0.25))
    settings = replace(SETTINGS, steps=12, network=network)
    dropped = fit_excess(DATA, SPLIT.train, SPLIT.validate, settings, seed=0)
    assert torch.equal(predict(dropped, DATA).mean, predict(dropped, DATA).mean)


def test_without_a_law_it_learns_too_but_has_an_excess_of_pure_components() -> None:
    settings = replace(SETTINGS, network=replace(NETWORK, order=None))
    free = fit_excess(DATA, SPLIT.train, SPLIT.validate, settings, seed=0)
    test = DATA.take(SPLIT.test)
    assert float((predict(free, test).mean - test.target).abs().mean()) < 0.5 * float(
        test.target.abs().mean()
    )
    pure = replace(test, x=torch.ones_like(test.x))
    assert float(predict(free, pure).mean.abs().min()) > 0


def test_smoothness_holds_high_orders_down() -> None:
    plain, smooth = (
        fit_excess(DATA, SPLIT.train, SPLIT.validate, replace(SETTINGS, steps=60, smoothness=weight), seed=0)
        for weight in (0.0, 1.0)
    )
    x = torch.linspace(0.05, 0.95, 19, dtype=torch.float64)
    first = DATA.take(torch.zeros(19, dtype=torch.int64))
    bend = [float(predict(one, replace(first, x=x)).mean.diff(n=3).abs().mean()) for one in (plain, smooth)]
    assert bend[1] < bend[0]


def test_what_cannot_be_trained_on_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        check_excess(DATA.take(torch.arange(29)), replace(SETTINGS, members=1))
    assert str(caught.value).splitlines() == [
        "members: 1 given; one member cannot differ from itself, so 2 or more are needed. "
        "Use 5, the default.",
        "made.csv: 29 rows to train on; at least 30 are needed. Add measurements.",
    ]
    with pytest.raises(InputError) as caught:
        check_excess(replace(DATA, target=torch.full_like(DATA.target, 2.0)), SETTINGS)
    assert str(caught.value) == (
        "made.csv: excess_molar_volume_cm3_mol is 2 in every row; nothing can be learnt. Check the column."
    )
    check_excess(DATA, SETTINGS)
