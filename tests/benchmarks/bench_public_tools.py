"""Our strategies beside BayBE, Ax and BoFire: one virtual laboratory, the same starts, budget and seeds.

    python tests/benchmarks/bench_public_tools.py [SEEDS [KEPT.csv]]

Not as a module: BoFire installs a package `tests` of its own, which would hide this one. Campaigns that stand
in KEPT.csv are not run again; those that are run are added to it.
The comparison is the bundled job compare-carbonates, 5 seeds by default. Tools that are not installed are
skipped. Each runs with its own defaults, maximises what ours do, and proposes one mixture after each
measurement. BayBE is given the pool; Ax and BoFire, which are given no pool, choose any amounts within its
ranges, and regret is against the pool's optimum for all. No tool is told what our job's model knows: "no
model" are ours without it too, on the same footing.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from rich.table import Table

from campaigns.arenas import SpaceMixtures
from campaigns.compare import play
from campaigns.compare_report import summarise
from campaigns.contests import Contest, choose_comparison, contest
from campaigns.oracles import VirtualLaboratory
from campaigns.strategies import Name
from campaigns.worth import CONDUCTIVITY

JOB, SEEDS = "compare-carbonates", 5
TARGET = CONDUCTIVITY.name
OURS: tuple[Name, ...] = ("gradient", "gradient-ucb", "bayesian", "ucb", "greedy")
NO_MODEL: tuple[Name, ...] = ("bayesian", "bayesian-ei", "ucb", "greedy")
Proposal = dict[str, float]
Ask = Callable[[pd.DataFrame], Proposal]
"""Takes all that was measured, amounts and target, and returns the amounts to be measured next."""


@dataclass(frozen=True)
class Setting:
    """What tools are given.

    Attributes:
        asked: The comparison.
        solvents: Names.
        salt: Name of the only one.
        pool: Weight fractions and molality of the candidates, `n x (k + 1)`.
    """

    asked: Contest
    solvents: list[str]
    salt: str
    pool: pd.DataFrame

    @staticmethod
    def of(asked: Contest) -> Setting:
        """Return the setting of a comparison on a space of one salt and one temperature."""
        of = mixtures_of(asked)
        solvents, (salt,) = list(of.space.solvents), list(of.space.salts)
        x = of.rows
        return Setting(
            asked, solvents, salt, pd.DataFrame(x[:, :-1].numpy().round(6), columns=[*solvents, salt])
        )

    @property
    def molality(self) -> tuple[float, float]:
        """Lowest and highest, mol/kg."""
        return float(self.pool[self.salt].min()), float(self.pool[self.salt].max())

    def frame(self, amounts: Proposal) -> pd.DataFrame:
        """Return a mixture in the words of a training file."""
        used = {name: max(amounts[name], 0.0) for name in self.solvents if amounts[name] > 1e-6}
        row: dict[str, object] = {}
        for slot, (name, share) in enumerate(used.items(), start=1):
            row |= {f"solvent_{slot}": name, f"weight_fraction_{slot}": share / sum(used.values())}
        temperature_K = float(mixtures_of(self.asked).batch.temperature_K[0])
        return pd.DataFrame(
            [
                {
                    **row,
                    "salt": self.salt,
                    "molality_mol_kg": amounts[self.salt],
                    "temperature_K": temperature_K,
                }
            ]
        )

    def is_feasible(self, amounts: Proposal) -> bool:
        """Return whether a mixture fulfils all constraints, those of the space included."""
        of = mixtures_of(self.asked)
        x = [*(amounts[name] for name in self.pool), float(of.batch.temperature_K[0])]
        return bool(of.constraints.is_feasible(torch.tensor([x], dtype=torch.float64))[0])


def mixtures_of(asked: Contest) -> SpaceMixtures:
    """Return the mixtures of its space."""
    assert asked.arena.mixtures is not None
    return asked.arena.mixtures


def baybe(setting: Setting, seed: int) -> Ask:
    """BayBE: a campaign on the pool."""
    from baybe import Campaign
    from baybe.objectives import SingleTargetObjective
    from baybe.searchspace import SearchSpace, SubspaceDiscrete
    from baybe.targets import NumericalTarget

    space = SearchSpace(discrete=SubspaceDiscrete.from_dataframe(setting.pool))
    campaign = Campaign(space, SingleTargetObjective(NumericalTarget(TARGET)))

    def ask(measured: pd.DataFrame) -> Proposal:
        campaign.add_measurements(measured.iloc[len(campaign.measurements) :])
        return campaign.recommend(1).iloc[0].to_dict()

    return ask


def ax(setting: Setting, seed: int) -> Ask:
    """Ax: a client on amounts, the last solvent being what is left."""
    from ax.api.client import Client
    from ax.api.configs import RangeParameterConfig

    *free, last = setting.solvents
    client = Client(random_seed=seed)
    ranges = {**dict.fromkeys(free, (0.0, 1.0)), setting.salt: setting.molality}
    client.configure_experiment(
        [RangeParameterConfig(name, bounds, "float") for name, bounds in ranges.items()],
        [f"{' + '.join(free)} <= 1"],
    )
    client.configure_optimization(TARGET)
    starts = setting.asked.starts
    client.configure_generation_strategy(initialization_budget=starts, initialize_with_center=False)
    trials: list[int] = []

    def ask(measured: pd.DataFrame) -> Proposal:
        for i in range(max(0, len(trials) - 1), len(measured)):
            row = measured.iloc[i]
            if i >= len(trials):
                trials.append(client.attach_trial({name: float(row[name]) for name in ranges}))
            client.complete_trial(trials[i], {TARGET: float(row[TARGET])})
        ((number, found),) = client.get_next_trials(1).items()
        trials.append(number)
        return {**found, last: 1 - sum(found[name] for name in free)}

    return ask


def bofire(setting: Setting, seed: int) -> Ask:
    """BoFire: its strategy for one objective on amounts that sum to 1."""
    from bofire.data_models.constraints.api import LinearEqualityConstraint
    from bofire.data_models.domain.api import Domain
    from bofire.data_models.features.api import ContinuousInput, ContinuousOutput
    from bofire.data_models.objectives.api import MaximizeObjective
    from bofire.data_models.strategies.api import SoboStrategy
    from bofire.strategies.api import map as made_of

    ranges = {**dict.fromkeys(setting.solvents, (0.0, 1.0)), setting.salt: setting.molality}
    whole = LinearEqualityConstraint(
        features=setting.solvents, coefficients=[1.0] * len(setting.solvents), rhs=1
    )
    domain = Domain.from_lists(
        [ContinuousInput(key=name, bounds=bounds) for name, bounds in ranges.items()],
        [ContinuousOutput(key=TARGET, objective=MaximizeObjective(w=1.0))],
        [whole],
    )
    strategy = made_of(SoboStrategy(domain=domain, seed=seed))

    def ask(measured: pd.DataFrame) -> Proposal:
        strategy.tell(measured.assign(**{f"valid_{TARGET}": 1}), replace=True)
        return strategy.ask(1)[list(ranges)].iloc[0].to_dict()

    return ask


TOOLS: dict[str, Callable[[Setting, int], Ask]] = {"baybe": baybe, "ax": ax, "bofire": bofire}


def campaign(setting: Setting, name: str, seed: int) -> pd.DataFrame:
    """Return a campaign of a tool, in the columns of `play` that a summary looks at."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    asked = setting.asked
    laboratory = VirtualLaboratory(seed=seed, target=TARGET)
    law = VirtualLaboratory(between=0.0, repeatability=0.0, target=TARGET)
    first = play(asked, "random", seed).iloc[0]
    places = [int(place) for place in first["places"].split()]
    starts = pd.concat([laboratory.measure(mixtures_of(asked).frame([place])) for place in places])
    measured = setting.pool.iloc[places].assign(**{TARGET: starts[TARGET].to_numpy()})
    measured = measured.reset_index(drop=True)
    ask = TOOLS[name](setting, seed)
    optimum, best = float(asked.worth.max()), float(first["best"])
    rows = [{**first, "strategy": name}]
    for number in range(1, asked.config.rounds + 1):
        started = perf_counter()
        found = ask(measured)
        seconds = perf_counter() - started
        mixture, is_feasible = setting.frame(found), setting.is_feasible(found)
        measured.loc[len(measured)] = {**found, TARGET: float(laboratory.measure(mixture)[TARGET].iloc[0])}
        if is_feasible:
            best = max(best, float(10 ** (law.measure(mixture)[TARGET].iloc[0] + 3)))
        now = {"round": number, "experiments": len(measured), "best": best, "regret": 1 - best / optimum}
        rows.append({**rows[-1], **now, "infeasible": int(not is_feasible), "seconds": seconds})
    return pd.DataFrame(rows)


def _kept(kept: Path | None, name: str, seed: int, player: Callable[[int], pd.DataFrame]) -> pd.DataFrame:
    """Return a campaign, out of a file or played and added to it."""
    if kept is not None and kept.exists():
        known = pd.read_csv(kept)
        of = known[(known["strategy"] == name) & (known["seed"] == seed)]
        if len(of):
            return of.reset_index(drop=True)
    found = player(seed).assign(strategy=name, seed=seed)
    if kept is not None:
        found.to_csv(kept, mode="a", header=not kept.exists(), index=False)
    return found


def main(seeds: int, kept: Path | None) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    missing = [name for name in TOOLS if find_spec(name) is None]
    if missing:
        print(f"Skipped, not installed: {', '.join(missing)}.")
    if len(missing) == len(TOOLS):
        return
    config = choose_comparison(JOB, seeds)
    asked, blank = contest(config), contest(config.model_copy(update={"model": None}))
    setting = Setting.of(asked)
    players: dict[str, Callable[[int], pd.DataFrame]] = {
        **{name: partial(play, asked, name) for name in OURS},
        **{f"{name}, no model": partial(play, blank, name) for name in NO_MODEL},
        **{name: partial(campaign, setting, name) for name in TOOLS if name not in missing},
    }
    # By turns, so that a machine that others load is as slow for one as for another.
    played = [_kept(kept, name, seed, player) for seed in range(seeds) for name, player in players.items()]
    found = summarise(pd.concat(played, ignore_index=True), "best").table
    table = Table(
        "",
        "experiments to 99 %",
        "reached it",
        "mean regret",
        "s a proposal",
        "infeasible",
        title=f"{JOB}, {seeds} seeds",
    )
    for row in found.to_dict("records"):
        of = [one for one in played if one["strategy"].iloc[0] == row["strategy"]]
        reached = sum(bool((one["regret"] <= 0.01).any()) for one in of)
        middle, low, high = (row[f"experiments_to_99{end}"] for end in ("", "_low", "_high"))
        table.add_row(
            str(row["strategy"]),
            f"{_count(middle)} ({_count(low)} to {_count(high)})",
            f"{reached}",
            f"{row['area']:.1%}",
            f"{row['seconds']:.2f}",
            f"{row['share_infeasible']:.0%}",
        )
    Console(width=120).print(table)


def _count(experiments: float) -> str:
    return "not" if np.isinf(experiments) else f"{experiments:g}"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS, Path(sys.argv[2]) if len(sys.argv) > 2 else None)
