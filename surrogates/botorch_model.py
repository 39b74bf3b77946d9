"""The face that an ensemble shows to BoTorch: a `Model`, for its acquisition functions and optimisers."""

from __future__ import annotations

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


class EnsembleSurrogate(Model):
    """An ensemble as a BoTorch model of one output; inputs are rows as `MixtureBatch.to_rows` writes them.

    Gradients pass through weights, molality and temperature. The columns that hold indices have none:
    an optimiser keeps them by `fixed_features`. The weights stay float32, whatever the type of the inputs.

    Args:
        predictor: An ensemble bound to the molecule table that the rows point into.
        salts: Slots for salts in a row, `s`.
    """

    def __init__(self, predictor: MemberPredictor, salts: int = 1) -> None:
        super().__init__()
        self.predictor = predictor
        self.salts = salts

    @property
    def num_outputs(self) -> int:
        """One target."""
        return 1

    @property
    def batch_shape(self) -> torch.Size:
        """Empty: members are no batch."""
        return torch.Size()

    def posterior(
        self,
        X: Tensor,
        output_indices: list[int] | None = None,
        observation_noise: bool | Tensor = False,
        posterior_transform: PosteriorTransform | None = None,
    ) -> Posterior:
        """Return the calibrated posterior of the target, in its unit and in the type of `X`.

        Args:
            X: `b x q x (2 k + 2 s + 1)`.
            output_indices: None or `[0]`.
            observation_noise: False: a `MemberPosterior`. True: the Gaussian of a measurement; its mean and
                covariance are the members', with the aleatoric variance on the diagonal.
            posterior_transform: Applied to what is returned.

        Raises:
            UnsupportedError: For another output, or noise given as a tensor.
        """
        _check_asked(output_indices, observation_noise)
        batch = MixtureBatch.from_rows(X.reshape(-1, X.shape[-1]), self.salts)
        outputs = self.predictor.member_outputs(batch)
        means, variances = (
            output.reshape(-1, *X.shape[:-1]).movedim(0, -2).to(X.dtype) for output in outputs
        )  # b x K x q
        mean = means.mean(-2, keepdim=True)
        deviations = means - mean
        differ = deviations.square().sum(-2) / (means.shape[-2] - 1)
        epistemic, aleatoric = self.predictor.calibration.apply(differ, variances.mean(-2))
        # Members keep their correlation over candidates; each candidate's spread becomes the calibrated one.
        deviations = deviations * (epistemic / differ.clamp_min(LEAST_VARIANCE)).sqrt().unsqueeze(-2)
        posterior: Posterior
        if observation_noise:
            covariance = deviations.mT @ deviations / (means.shape[-2] - 1) + aleatoric.diag_embed()
            posterior = GPyTorchPosterior(MultivariateNormal(mean.squeeze(-2), covariance))
        else:
            posterior = MemberPosterior((mean + deviations).unsqueeze(-1), aleatoric.unsqueeze(-1))
        return posterior if posterior_transform is None else posterior_transform(posterior)


class StudentSurrogate(Model):
    """A student as a BoTorch model of one output; inputs as of `EnsembleSurrogate`.

    It has learnt what its ensemble says of each candidate, not of several together: in a batch of `q` points
    they count as independent. An acquisition function that is to spread a batch needs the ensemble.

    Args:
        predictor: A student bound to the molecule table that the rows point into.
        salts: Slots for salts in a row, `s`.
    """

    def __init__(self, predictor: StudentPredictor, salts: int = 1) -> None:
        super().__init__()
        self.predictor = predictor
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
        """Return the Gaussian that the student says, calibrated, in the target's unit and the type of `X`.

        Args:
            X: `b x q x (2 k + 2 s + 1)`.
            output_indices: None or `[0]`.
            observation_noise: Whether the variance holds the aleatoric one, as a measurement's does.
            posterior_transform: Applied to what is returned.

        Raises:
            UnsupportedError: For another output, or noise given as a tensor.
        """
        _check_asked(output_indices, observation_noise)
        batch = MixtureBatch.from_rows(X.reshape(-1, X.shape[-1]), self.salts)
        mean, epistemic, aleatoric = (
            part.reshape(X.shape[:-1]).to(X.dtype) for part in self.predictor.marginals(batch)
        )
        variance = epistemic + aleatoric if observation_noise else epistemic
        posterior = GPyTorchPosterior(MultivariateNormal(mean, variance.diag_embed()))
        return posterior if posterior_transform is None else posterior_transform(posterior)


def _check_asked(output_indices: list[int] | None, observation_noise: bool | Tensor) -> None:
    """Check what is asked of a posterior of one output.

    Raises:
        UnsupportedError: For another output, or noise given as a tensor.
    """
    if output_indices not in (None, [0]):
        raise UnsupportedError(f"output_indices is {output_indices}; the model has one output, 0")
    if isinstance(observation_noise, Tensor):
        raise UnsupportedError("observation_noise is a tensor; the model infers it, so give True")
