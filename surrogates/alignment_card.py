"""What the card of an aligned model says of its alignment, and how its rows stand among the tensors."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict
from torch import Tensor

from surrogates.alignment import Alignment, Candidate
from surrogates.laboratories import Compared, Family, Prior

_ROWS = ("z", "std", "points", "difference")


class AlignmentCard(BaseModel):
    """How a model was aligned with a laboratory; the rows it learnt from stand among the tensors.

    Attributes:
        family: The correction that was chosen, see `laboratories.FAMILIES`.
        prior: What it expected of a laboratory.
        laboratories: Where that comes from.
        candidates: How each family foretells each row from the others.
        factor: What the laboratory reads over what the model says, mean over the rows used, and the ends of
            the 90 % interval.
        variance_factor: How much larger variances are in this laboratory than expected.
        source: File of the measurements.
        sha256: Of it.
        rows: How many there are.
        rows_set_aside: Which of them the correction does not use, as a spreadsheet numbers them.
        model_sha256: Of the model directory as it was.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    family: Family
    prior: Prior
    laboratories: str
    candidates: tuple[Candidate, ...]
    factor: tuple[float, float, float]
    variance_factor: float
    source: str
    sha256: str
    rows: int
    rows_set_aside: tuple[int, ...]
    model_sha256: str


def alignment_tensors(alignment: Alignment) -> dict[str, Tensor]:
    """Return what of an alignment stands among the tensors of a model directory."""
    tensors = {f"alignment.{name}": getattr(alignment.rows, name) for name in _ROWS}
    return tensors | {"alignment.used": alignment.used}


def alignment_of(tensors: Mapping[str, Tensor], card: AlignmentCard) -> Alignment:
    """Return the alignment of a model directory.

    Raises:
        KeyError: If a tensor is missing.
        ValueError: If one has another shape.
    """
    n, width = card.rows, 2 * tensors["domain.salts"].shape[1] + 2
    expected = {"z": (n,), "std": (n,), "points": (n, width), "difference": (n,), "used": (n,)}
    for name, shape in expected.items():
        came = tuple(tensors[f"alignment.{name}"].shape)
        if came != shape:
            raise ValueError(f"alignment.{name} is {came}, not {shape}")
    rows = Compared(*(tensors[f"alignment.{name}"].double() for name in _ROWS))
    return Alignment(card.family, card.prior, rows, tensors["alignment.used"].bool())
