"""Whether a campaign of cathodes is worth going on: what the next experiment may bring, against noise."""

from __future__ import annotations

from torch import Tensor

from activelearn.fronts import hypervolume_scatter
from campaigns.stopping import REPEAT_THE_BEST, verdict


def gain_hint(gain: float, noise: float) -> str:
    """Return whether to go on for one objective.

    Args:
        gain: Expected improvement on the best so far, in the objective's unit.
        noise: Standard deviation of a measurement, in the same.
    """
    words = f"the next experiment is expected to gain {gain:.2g}, and a measurement scatters by {noise:.2g}"
    return verdict(gain, noise, words, REPEAT_THE_BEST)


def front_hint(gain: float, front: Tensor, noise: Tensor, reference: Tensor) -> str:
    """Return whether to go on for several objectives: by the hypervolume below their front.

    Args:
        gain: Hypervolume that the next experiment is expected to add, in the product of all units.
        front: `n x o`, measured, no row dominated by another.
        noise: `o`, standard deviation of a measurement of each objective.
        reference: `o`, what hypervolumes are measured from.
    """
    scatter, whole = hypervolume_scatter(front, noise, reference)
    words = (
        f"the next experiment is expected to add {gain:.2g} to the hypervolume of the measured front, "
        f"{whole:.2g}, which noise makes uncertain by {scatter:.2g}"
    )
    return verdict(gain, scatter, words, "Repeat what is on the front, so that it is known better.")
