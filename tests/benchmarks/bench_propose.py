"""What proposals must reach: feasible and distinct, a pool chosen fast, amounts as good as a dense search.

`python -m tests.benchmarks.bench_propose [feasible | pool | continuous]` runs one part, without a name all.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import count
from time import perf_counter

import numpy as np
import torch
from botorch.acquisition.logei import qLogExpectedImprovement
from botorch.optim.optimize import optimize_acqf_discrete
from botorch.sampling.normal import SobolQMCNormalSampler
from rich.console import Console
from rich.table import Table
from torch import Tensor

from activelearn import free_amounts
from activelearn.acquisition import KINDS, Acquisition
from activelearn.asked import Asked, Proposals
from activelearn.cathode_pool import (
    FRONT_KINDS,
    AskedCathodes,
    CathodePool,
    FrontKind,
    Made,
    propose_cathodes,
)
from activelearn.chemical_constraints import CompositionVariables, MixtureVariables
from activelearn.composition_spaces import CompositionSpace
from activelearn.constraints import Constraints
from activelearn.experiments import Experiments, Listed
from activelearn.free_amounts import best_in_region
from activelearn.propose import How, propose
from activelearn.spaces import MixtureSpace
from campaigns.cathode_config import CathodeScreenConfig
from campaigns.config import bundled_job, load_yaml
from campaigns.constrained_list import ConstrainedCompositions, ConstrainedSpace
from campaigns.constraint_config import CathodeConstraintsConfig, ConstraintsConfig
from campaigns.propose import constraints_of
from campaigns.screen import model_directory
from campaigns.screen_config import ScreenConfig, SpaceConfig
from surrogates.botorch_gp import GPSurrogate
from surrogates.checkpoints import load_model
from surrogates.errors import InputError
from surrogates.law_ensemble import LawEnsemble
from surrogates.mixture_data import MixtureData, mixture_rows
from surrogates.prior_gp import PriorGP, fit_prior_gp
from tests.synthetic_cathodes import LinearMembers

PROPOSALS, BATCH = 10_000, 20
POOL_MEASURED, Q, BOTORCH_DRAWS = 240, 20, 512
PROBLEMS, DENSE, AT_ONCE = 20, 200_000, 2_000
_SOLVENTS = ["EC", "PC", "DMC", "EMC", "DEC", "DME", "GBL", "DOL", "VC", "FEC"]
_SALTS = ["LiPF6", "LiTFSI", "LiFSI", "LiBF4", "LiClO4"]


def feasible(console: Console) -> None:
    """Propose from bundled and random spaces under random constraints; count what cannot be mixed."""
    model = _model()
    rng = np.random.default_rng(0)
    made = infeasible = twice = refused = 0
    hows: dict[str, int] = {}
    for number in count():
        if made >= PROPOSALS:
            break
        if number % 10 == 9:
            found_of = _of_cathodes(rng, number)
            refused += found_of is None
            if found_of is not None:
                made, hows["cathodes"] = made + found_of[0], hows.get("cathodes", 0) + found_of[0]
                infeasible, twice = infeasible + found_of[1], twice + found_of[2]
            continue
        how: How = ("pool", "mixed", "continuous")[int(rng.choice(3, p=[0.9, 0.05, 0.05]))]
        space = _bundled() if how == "pool" and number % 2 else _random_space(rng, how)
        config = _random_constraints(rng, space)
        q = BATCH if how == "pool" else 8 if how == "mixed" else 4
        kind = KINDS[int(rng.integers(len(KINDS)))]
        if kind == "thompson" and how != "pool":
            kind = "log-nei"
        try:
            constrained = ConstrainedSpace.of(config, space)
            believed, measured = _believed(model, space, int(rng.integers(3, 20)), number)
            e = Experiments(space, constraints_of(constrained), believed, measured)
            found = propose(Asked(e, Acquisition(kind), constrained.mask, seed=number), q, how)
        except InputError as error:
            refused += 1
            if "exclude" not in str(error) and "fulfil" not in str(error) and "no amounts" not in str(error):
                raise
            continue
        made, hows[how] = made + len(found), hows.get(how, 0) + len(found)
        infeasible += int((~_is_feasible(e, found)).sum())
        twice += len(found) - len({tuple(row) for row in found.x.mul(1e6).round().tolist()})
    told = ", ".join(f"{n:,} {how}" for how, n in hows.items())
    console.print(f"{made:,} proposals ({told}): {infeasible} infeasible, {twice} twice in a batch")
    console.print(f"{refused} sets of constraints left too few candidates and were refused")


def _of_cathodes(rng: np.random.Generator, number: int) -> tuple[int, int, int] | None:
    """Propose from a bundled space of cathodes under random constraints, measured where it was drawn.

    Members that are linear in the amounts stand for a model, so that a screen takes a second.

    Returns:
        How many were made, are infeasible, and stand twice in the batch; None where too few are left.
    """
    job = load_yaml(bundled_job(("drx-high-entropy", "drx-lmof")[number // 10 % 2]), CathodeScreenConfig)
    space, o = job.space.space(), int(rng.integers(1, 3))
    rule = Acquisition(KINDS[int(rng.integers(len(KINDS)))], 2.0) if o == 1 else _front_kind(rng)
    drawn = torch.from_numpy(rng.integers(len(space), size=10))
    measured = Made(space.table, space.at(drawn), torch.from_numpy(rng.normal(size=(10, o))))
    try:
        mask = ConstrainedCompositions.of(_random_cathode_constraints(rng, space), space).mask
        pool = CathodePool(space, LinearMembers(o), ("one", "two")[:o], mask, measured)
        found = propose_cathodes(AskedCathodes(pool, rule, seed=number), BATCH).candidate
    except InputError as error:
        if "exclude" not in str(error) and "fulfil" not in str(error):
            raise
        return None
    x = CompositionVariables(space.table.elements).rows(space.at(found))
    met = torch.ones(len(found), dtype=torch.bool) if mask is None else mask.constraints.is_feasible(x)
    return len(found), int((~met).sum()), len(found) - len(set(found.tolist()))


def _front_kind(rng: np.random.Generator) -> FrontKind:
    return FRONT_KINDS[int(rng.integers(len(FRONT_KINDS)))]


def _random_cathode_constraints(
    rng: np.random.Generator, space: CompositionSpace
) -> CathodeConstraintsConfig:
    """Return some of all kinds, each loose enough to leave something of the bundled spaces."""
    metals = rng.permutation(list(space.charges)).tolist()
    asked: dict[str, object] = {}
    if rng.random() < 0.5:
        asked["bounds"] = {metals[0]: {"at_most": float(rng.uniform(0.1, 0.8))}}
    if rng.random() < 0.5:
        terms = {name: float(rng.uniform(0.5, 2)) for name in [*metals[:3], "F"]}
        asked["linear"] = [{"name": "cost", "terms": terms, "at_most": float(rng.uniform(0.5, 1.5))}]
    if rng.random() < 0.3 and len(metals) > 1:
        asked["at_most"] = [{"count": int(rng.integers(4, 6)), "least": 0.05}]
    if rng.random() < 0.3:
        low, high = space.charges[metals[0]]
        asked["oxidation_states"] = {metals[0]: {"at_least": float(rng.uniform(low, high))}}
    return CathodeConstraintsConfig.model_validate(asked)


def _is_feasible(e: Experiments, found: Proposals) -> Tensor:
    """Return whether each proposal misses no constraint by more than 1e-6 of its size."""
    return e.constraints.is_feasible(found.x)


def pool(console: Console) -> None:
    """Choose 20 of 11,340 by joint expected improvement, here and by BoTorch, on one model."""
    space = _bundled()
    believed, measured = _believed(_model(), space, POOL_MEASURED, 0)
    e = Experiments(
        space, constraints_of(ConstrainedSpace.of(ConstraintsConfig(), space)), believed, measured
    )
    best = float(measured.values[e.baseline].max())
    started = perf_counter()
    found = propose(Asked(e, Acquisition("log-ei"), None), Q, "pool")
    ours_s = perf_counter() - started
    surrogate = GPSurrogate(believed.bind(space.table))
    rows = space.at(torch.arange(len(space))).to(torch.float64).to_rows()
    free = rows[
        ~e.is_taken(e.variables.rows(space.at(torch.arange(len(space))).to(torch.float64), space.table))
    ]
    function = qLogExpectedImprovement(surrogate, best, SobolQMCNormalSampler(torch.Size([BOTORCH_DRAWS]), 0))
    started = perf_counter()
    theirs, _ = optimize_acqf_discrete(function, Q, free, unique=True, max_batch_size=2048)
    theirs_s = perf_counter() - started
    judge = qLogExpectedImprovement(surrogate, best, SobolQMCNormalSampler(torch.Size([2**14]), 99))
    with torch.no_grad():
        values = [float(judge(x.unsqueeze(0)).exp()) for x in (rows[found.candidate], theirs)]
    table = Table(title=f"{Q} of {len(space):,} by joint log expected improvement, {POOL_MEASURED} measured")
    for heading in ("", "s", "expected improvement", "of BoTorch's"):
        table.add_column(heading)
    table.add_row("propose, pool", f"{ours_s:.2f}", f"{values[0]:.4g}", f"{values[0] / values[1]:.4f}")
    table.add_row("optimize_acqf_discrete", f"{theirs_s:.1f}", f"{values[1]:.4g}", "1")
    console.print(table)
    console.print(f"{theirs_s / ours_s:,.0f} times as fast")


def continuous(console: Console) -> None:
    """Climb in random regions with a nonlinear constraint, against the best of a dense random search."""
    model, rng = _model(), np.random.default_rng(1)
    ratios = []
    for number in range(PROBLEMS):
        space = _random_space(rng, "continuous")
        believed, measured = _believed(model, space, 12, number)
        variables = MixtureVariables(space.solvents, space.salts)
        molality = space.molality_mol_kg
        domain = variables.domain((min(molality), max(molality)), (298.15, 298.15))
        around = torch.from_numpy(rng.dirichlet(np.ones(len(space.solvents))))
        ball = _Ball("near a mixture", tuple(range(len(space.solvents))), tuple(around.tolist()), 0.35)
        e = Experiments(space, Constraints(variables.names, domain, (ball,)), believed, measured)
        kind = ("log-nei", "ucb", "mean")[number % 3]
        asked = Asked(e, Acquisition(kind), None, seed=number)
        region = free_amounts.region_of_all(asked)
        worth = free_amounts.worth_in(
            asked, region, torch.zeros(0, len(variables.names), dtype=torch.float64)
        )
        _, values = best_in_region(worth, region, number)
        dense = region.sample(DENSE, number + 1000)
        with torch.no_grad():
            best = max(float(worth(part).max()) for part in dense.split(AT_ONCE))
        # A logarithm either way, of an improvement or of a conductivity.
        base = float(np.e) if kind == "log-nei" else 10.0
        ratios.append(base ** (float(values[0]) - best))
        print(f"problem {number + 1}, {kind}, {len(dense):,} points: {ratios[-1]:.5f}", flush=True)
    console.print(
        f"found over the best of {DENSE:,} points: lowest {min(ratios):.5f}, highest {max(ratios):.5f}"
    )


class _Ball:
    """Stays within a distance of a mixture: a nonlinear constraint."""

    unit, tolerance, is_equality = "", 1e-6, False

    def __init__(self, name: str, columns: tuple[int, ...], middle: tuple[float, ...], radius: float) -> None:
        self.name, self.columns, self.middle, self.radius = name, columns, middle, radius

    def residual(self, x: Tensor) -> Tensor:
        """Return how far inside a point is."""
        apart = x[..., list(self.columns)] - torch.tensor(self.middle, dtype=x.dtype)
        return self.radius**2 - apart.square().sum(-1)


def _model() -> LawEnsemble:
    model = load_model(model_directory("diffmix-calisol"))
    assert isinstance(model, LawEnsemble)
    return model


def _bundled() -> MixtureSpace:
    return load_yaml(bundled_job("electrolytes"), ScreenConfig).space.space()


def _random_space(rng: np.random.Generator, how: How) -> MixtureSpace:
    size = int(rng.integers(3, 6))
    names = rng.permutation(_SOLVENTS)[: size if how == "continuous" else size + 3].tolist()
    salts = rng.permutation(_SALTS)[: 1 if how == "continuous" else 3].tolist()
    config = SpaceConfig.model_validate(
        {
            "solvents": names,
            "salts": salts,
            "solvents_per_mixture": [size] if how == "continuous" else [2, 3],
            "fraction_step": 0.1,
            "molality_mol_kg": [0.5, 1.0, 2.0],
            "temperature_K": [298.15],
        }
    )
    return config.space()


def _random_constraints(rng: np.random.Generator, space: MixtureSpace) -> ConstraintsConfig:
    """Return some of all kinds, each loose enough to leave something of most spaces."""
    names = rng.permutation(list(space.solvents)).tolist()
    asked: dict[str, object] = {}
    if rng.random() < 0.5:
        asked["bounds"] = {names[0]: {"at_most": float(rng.uniform(0.3, 0.8))}}
    if rng.random() < 0.5:
        terms = {name: float(rng.uniform(0.5, 2)) for name in names[:3]}
        asked["linear"] = [{"name": "sum", "terms": terms, "at_most": float(rng.uniform(0.6, 1.5))}]
    if rng.random() < 0.3:
        asked["at_most"] = [{"count": int(rng.integers(2, 4)), "least": 0.05}]
    if rng.random() < 0.5:
        asked["solubility"] = {"use": "constraint"}
    if rng.random() < 0.3:
        asked["liquid_range"] = "constraint"
    return ConstraintsConfig.model_validate(asked)


def _believed(model: LawEnsemble, space: MixtureSpace, n: int, seed: int) -> tuple[PriorGP, Listed]:
    """Return a process that has learnt from candidates, measured by another model that is off by a wave."""
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(space), generator=generator)[:n]
    batch = space.at(chosen).to(torch.float64)
    said = model.bind(space.table).predict(batch.to(torch.float32)).mean.double()
    target = said + 0.2 * torch.sin(7 * batch.weights[:, 0] + 2 * batch.molality[:, 0] + seed)
    rows = mixture_rows(space.table, batch, np.arange(n) + 2, np.zeros(n, dtype=bool))
    data = MixtureData(space.table, batch, target, model.target, rows, "bench.csv", "", ())
    drawn = torch.randint(len(space), (500,), generator=generator)
    return fit_prior_gp(model, data, (space.table, space.at(drawn)), seed), Listed.measured(data)


PARTS: dict[str, Callable[[Console], None]] = {"feasible": feasible, "pool": pool, "continuous": continuous}


def main() -> None:
    """Run the parts that are named, or all."""
    console = Console(width=120)
    for name in sys.argv[1:] or PARTS:
        PARTS[name](console)


if __name__ == "__main__":
    main()
