"""The face that ensembles and students show to BoTorch: a `Model`, for its acquisitions and optimisers."""

from __future__ import annotations

from abc import abstractmethod

import torch
from botorch.acquisition.objective import PosteriorTransform
from botorch.exceptions.errors import UnsupportedError
from botorch.models.model import Model
from botorch.posteriors.ensemble import EnsemblePosterior
from botorch.posteriors.gpytorch import GPyTorchPosterior
from botorch.posteriors.posterior import Posterior
from gpytorch.distributions import MultivariateNormal
from torch import Tensor

from surrogates.batches import MixtureBatch
from surrogates.prediction import LEAST_VARIANCE, MemberPredictor
from surrogates.student import StudentPredictor


class MemberPosterior(EnsemblePosterior):
    """What the members say of the target without noise; a sample is one member's word on all `q` points.

    Args:
        values: `b x K x q x 1`, each member's mean, in the target's unit.
        aleatoric_variance: `b x q x 1`, variance from noise, which `variance` does not hold.
    """

    def __init__(self, values: Tensor, aleatoric_variance: Tensor) -> None:
        super().__init__(values)
        self.aleatoric_variance = aleatoric_variance

    @property
    def epistemic_variance(self) -> Tensor:
        """Variance from what the model does not know, `b x q x 1`: the variance of this posterior."""
        return self.variance


class MixtureSurrogate(Model):
    """A BoTorch model of one output; inputs are rows as `MixtureBatch.to_rows` writes them.

    Gradients pass through weights, molality and temperature. The columns that hold indices have none:
    an optimiser keeps them by `fixed_features`.

    Args:
        salts: Slots for salts in a row, `s`.
    """

    takes_noise = False
    """Whether the noise of a measurement may be given as a tensor."""

    def __init__(self, salts: int) -> None:
        super().__init__()
        self.salts = salts

    @property
    def num_outputs(self) -> int:
        """One target."""
        return 1

    @property
    def batch_shape(self) -> torch.Size:
        """Empty."""
        return torch.Size()

    def posterior(
        self,
        X: Tensor,
        output_indices: list[int] | None = None,
        observation_noise: bool | Tensor = False,
        posterior_transform: PosteriorTransform | None = None,
    ) -> Posterior:
        """Return the posterior of the target, in its unit.

        Args:
            X: `b x q x (2 k + 2 s + 1)`.
            output_indices: None or `[0]`.
            observation_noise: Whether the noise of a measurement is added; a tensor, `... q x 1`, is its
                variance, in the unit squared, of models that take one.
            posterior_transform: Applied to what is returned.

        Raises:
            UnsupportedError: For another output, or noise given as a tensor to a model that infers it.
        """
        if output_indices not in (None, [0]):
            raise UnsupportedError(f"output_indices is {output_indices}; the model has one output, 0")
        if isinstance(observation_noise, Tensor) and not self.takes_noise:
            raise UnsupportedError("observation_noise is a tensor; the model infers it, so give True")
        posterior = self._posterior(X, observation_noise)
        return posterior if posterior_transform is None else posterior_transform(posterior)

    @abstractmethod
    def _posterior(self, X: Tensor, observation_noise: bool | Tensor) -> Posterior:
        """Return what `posterior` does, for what it has checked, before the transform."""

    def _mixtures(self, X: Tensor) -> MixtureBatch:
        """Return the mixtures of all rows, one after the other."""
        return MixtureBatch.from_rows(X.reshape(-1, X.shape[-1]), self.salts)


class EnsembleSurrogate(MixtureSurrogate):
    """An ensemble as a BoTorch model, calibrated, in the type of its inputs; the weights stay float32.

    Without the noise of a measurement the posterior is a `MemberPosterior`; with it the Gaussian that has the
    members' mean and covariance, and the aleatoric variance on the diagonal.

    Args:
        predictor: An ensemble bound to the molecule table that the rows point into.
        salts: Slots for salts in a row, `s`.
    """

    def __init__(self, predictor: MemberPredictor, salts: int = 1) -> None:
        super().__init__(salts)
        self.predictor = predictor

    def _posterior(self, X: Tensor, observation_noise: bool | Tensor) -> Posterior:
        outputs = self.predictor.member_outputs(self._mixtures(X))
        means, variances = (
            output.reshape(-1, *X.shape[:-1]).movedim(0, -2).to(X.dtype) for output in outputs
        )  # b x K x q
        mean = means.mean(-2, keepdim=True)
        deviations = means - mean
        differ = deviations.square().sum(-2) / (means.shape[-2] - 1)
        epistemic, aleatoric = self.predictor.calibration.apply(differ, variances.mean(-2))
        # Members keep their correlation over candidates; each candidate's spread becomes the calibrated one.
        deviations = deviations * (epistemic / differ.clamp_min(LEAST_VARIANCE)).sqrt().unsqueeze(-2)
        if not observation_noise:
            return MemberPosterior((mean + deviations).unsqueeze(-1), aleatoric.unsqueeze(-1))
        covariance = deviations.mT @ deviations / (means.shape[-2] - 1) + aleatoric.diag_embed()
        return GPyTorchPosterior(MultivariateNormal(mean.squeeze(-2), covariance))


class StudentSurrogate(MixtureSurrogate):
    """A student as a BoTorch model: the Gaussian that it says, calibrated, in the type of its inputs.

    It has learnt what its ensemble says of each candidate, not of several together: in a batch of `q` points
    they count as independent. An acquisition function that is to spread a batch needs the ensemble.

    Args:
        predictor: A student bound to the molecule table that the rows point into.
        salts: Slots for salts in a row, `s`.
    """

    def __init__(self, predictor: StudentPredictor, salts: int = 1) -> None:
        super().__init__(salts)
        self.predictor = predictor

    def _posterior(self, X: Tensor, observation_noise: bool | Tensor) -> Posterior:
        mean, epistemic, aleatoric = (
            part.reshape(X.shape[:-1]).to(X.dtype) for part in self.predictor.marginals(self._mixtures(X))
        )
        variance = epistemic + aleatoric if observation_noise else epistemic
        return GPyTorchPosterior(MultivariateNormal(mean, variance.diag_embed()))
