"""New measurements told to a fitted ensemble in a few steps, with old ones replayed lest it forget them."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from surrogates.ensemble import MixtureEnsemble
from surrogates.law_ensemble import LawEnsemble
from surrogates.members import Members, beta_nll
from surrogates.mixing import mixing_inputs
from surrogates.mixture_data import MixtureData, check_same_target

EncoderT = TypeVar("EncoderT", MixtureEnsemble, LawEnsemble)
_STEPS = 30
_REPLAYED = 64
"""Old rows a step."""
_LEARNING_RATE = 1e-3
_BETA = 0.5


def update_ensemble(ensemble: EncoderT, known: MixtureData, new: MixtureData, seed: int = 0) -> EncoderT:
    """Return the ensemble after a few steps on new measurements; a full fit is `fit_ensemble`.

    Half of the loss is that of all new rows, half that of old rows drawn at random. Molecules keep their
    embedding, so that the steps cost what heads cost. Domain and calibration are those of the last fit.

    Args:
        ensemble: Fitted.
        known: The rows it was fitted to, of which some are replayed.
        new: The new rows, of any molecules.
        seed: Of the draw.

    Raises:
        InputError: If the new rows hold another target.
    """
    check_same_target(ensemble.target, new)
    learning = {
        name: tensor.detach().clone().requires_grad_() for name, tensor in ensemble.members.parameters.items()
    }
    learner = Members(ensemble.members.network, learning, ensemble.members.buffers)
    old_loss, new_loss = _Loss(ensemble, known), _Loss(ensemble, new)
    optimiser = torch.optim.Adam(learning.values(), lr=_LEARNING_RATE)
    generator = torch.Generator().manual_seed(seed)
    fresh = torch.arange(len(new))
    for _ in range(_STEPS):
        replayed = torch.randint(len(known), (_REPLAYED,), generator=generator)
        loss = new_loss.of(learner, fresh) + old_loss.of(learner, replayed)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    trained = {name: tensor.detach() for name, tensor in learning.items()}
    return replace(ensemble, members=Members(learner.network, trained, learner.buffers))


class _Loss:
    """Of an ensemble's members on rows of a data set, whose molecules are embedded once."""

    def __init__(self, ensemble: MixtureEnsemble | LawEnsemble, data: MixtureData) -> None:
        molecules, self._batch = mixing_inputs(ensemble, data)
        with torch.no_grad():
            self._embedding: Tensor = ensemble.members.each("embed", *molecules)
        self._target = ((data.target - ensemble.shift) / ensemble.scale).float()

    def of(self, members: Members, rows: Tensor) -> Tensor:
        """Return the sum of the members' losses, each the mean over the rows."""
        mixed = members.each("mix", self._batch[rows], mine=(self._embedding,))
        mean, variance = members.each("head", mine=(mixed,))
        return beta_nll(self._target[rows], mean, variance, _BETA).mean(1).sum()
