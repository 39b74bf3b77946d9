"""Small pools for strategies: a space of the virtual laboratory with and without a model trained before."""

from __future__ import annotations

from functools import cache

from campaigns.arenas import Arena, SpaceMixtures, arena_of_space, truth_of_space
from campaigns.compare_config import CompareConfig
from campaigns.constrained_list import ConstrainedSpace
from campaigns.constraint_config import ConstraintsConfig
from campaigns.contests import Contest
from campaigns.pool_oracles import LaboratoryPool
from campaigns.propose import constraints_of
from campaigns.worth import CONDUCTIVITY
from tests.synthetic_laws import small_law_ensemble

SPACE = {
    "solvents": ["EC", "DMC", "DEC"],
    "salts": ["LiPF6", "LiBF4"],
    "solvents_per_mixture": [1, 2, 3],
    "fraction_step": 0.1,
    "molality_mol_kg": [0.4, 0.8, 1.2, 1.6],
    "temperature_K": [298.15],
}
CONSTRAINTS = {"bounds": {"EC": {"at_most": 0.8}}, "solubility": {"use": "constraint"}}


def config_of(**keys: object) -> CompareConfig:
    """Return a short comparison on the space."""
    return CompareConfig.model_validate(
        {
            "space": SPACE,
            "constraints": CONSTRAINTS,
            "model": None,
            "strategies": ["greedy", "random"],
            "starts": 4,
            "rounds": 3,
            "batch": 2,
            "seeds": 2,
            **keys,
        }
    )


@cache
def arena(has_model: bool = True, temperatures: tuple[float, ...] = (298.15,)) -> Arena:
    """Return the feasible candidates of the space."""
    config = config_of(space={**SPACE, "temperature_K": list(temperatures)})
    assert config.space is not None
    space = config.space.space()
    constrained = ConstrainedSpace.of(ConstraintsConfig.model_validate(CONSTRAINTS), space)
    model = small_law_ensemble() if has_model else None
    return arena_of_space(space, constrained.mask, constraints_of(constrained), model)


def contest_of(has_model: bool = True, **keys: object) -> Contest:
    """Return a comparison on it, without a model directory."""
    pool, config = arena(has_model), config_of(**keys)
    of = mixtures_of(pool)
    oracle = LaboratoryPool(of.table, of.batch, config.failure_rate, CONDUCTIVITY.name)
    return Contest(config, pool, CONDUCTIVITY, truth_of_space(of).numpy(), oracle)


def mixtures_of(pool: Arena) -> SpaceMixtures:
    """Return what only mixtures of a space have."""
    assert pool.mixtures is not None
    return pool.mixtures
