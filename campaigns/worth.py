"""What a measured value is worth: which way is better, how far it is from the optimum, how it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log10
from typing import Literal

import numpy as np

from surrogates.quantities import Floats, conductivities, convert_target

Direction = Literal["highest", "lowest"]
_SHOWN = "conductivity_mS_cm"


@dataclass(frozen=True)
class Target:
    """What is measured, and which of its values is the best.

    Strategies maximise, and know nothing of units: `inside` makes what they see, `shown` what people read.

    Attributes:
        name: As the data or the model has it, with its unit.
        direction: Which values are the best.
        unit: In which strategies see it, a power of ten.
    """

    name: str
    direction: Direction = "highest"
    unit: float = 1.0

    @staticmethod
    def of(name: str, direction: Direction, values: Floats) -> Target:
        """Return the target of some values in a unit of about their spread, so that none is tiny or huge.

        Args:
            name: With its unit. Logarithms of conductivities keep theirs.
            direction: Which are the best.
            values: `n`, NaN where there is none.
        """
        there = values[np.isfinite(values)]
        spread = float(np.ptp(there)) if len(there) else 0.0
        is_plain = spread > 0 and not name.startswith("log10_")
        return Target(name, direction, 10.0 ** floor(log10(spread)) if is_plain else 1.0)

    @property
    def is_conductivity(self) -> bool:
        """Whether it is a conductivity that is wanted high, all of whose values lie above 0."""
        return self.name in conductivities() and self.direction == "highest"

    @property
    def shown_name(self) -> str:
        """Name of what is shown: of the logarithm of a conductivity, the conductivity in mS/cm."""
        return _SHOWN if self._is_log else self.name

    @property
    def words(self) -> str:
        """What regret, and what the improvement over the best start is, a sentence."""
        name, way = self.shown_name, self.direction
        if self.is_conductivity:
            return f"Regret is 1 - best / optimum of {name}, the {way} being the best."
        return (
            f"Regret is (optimum - best) / (optimum - median of the pool) of {name}, the {way} being the "
            "best; over the best start stands by how much it fell."
        )

    @property
    def regret_label(self) -> str:
        """What regret is a percentage of."""
        return "% of the optimum" if self.is_conductivity else "% of the way from the optimum to the median"

    @property
    def _is_log(self) -> bool:
        return self.name.startswith("log10_") and self.name in conductivities()

    def inside(self, values: Floats) -> Floats:
        """Return measured values as strategies see them, `n`: the highest is the best."""
        return values if self._is_unchanged else self._sign * values / self.unit

    def shown(self, inside: Floats) -> Floats:
        """Return what strategies see as it is shown, `n`, in the unit of `shown_name`."""
        values = inside if self._is_unchanged else self._sign * inside * self.unit
        return convert_target(values, self.name, _SHOWN) if self._is_log else values

    def best_shown(self, inside: Floats) -> float:
        """Return the best of what worked as it is shown; of nothing 0 for a conductivity, NaN for others."""
        if not len(inside):
            return 0.0 if self.is_conductivity else float("nan")
        return float(self.shown(inside.max(keepdims=True))[0])

    def regret(self, inside: Floats, truth: Floats) -> float:
        """Return what is missing to the optimum after some candidates were measured, from 0.

        Of conductivities `1 - best / optimum`: from 0 to 1, and 1 if nothing worked. Of other targets, which
        may have any sign and zero, `(optimum - best) / (optimum - median)`: 0 at the optimum, 1 at the
        candidate in the middle of the pool, more of a worse one; it is the same in any unit, and that of the
        worst candidate if nothing worked. Where half of the pool or more is the optimum, the worst stands
        in for the median.

        Args:
            inside: Truths of what was measured and worked, as strategies see them.
            truth: `n`, of the pool, NaN where there is none.
        """
        optimum = float(np.nanmax(truth))
        if self.is_conductivity:
            return 1 - self.best_shown(inside) / self.best_shown(np.array([optimum]))
        best = float(inside.max()) if len(inside) else float(np.nanmin(truth))
        whole = optimum - float(np.nanmedian(truth)) or optimum - float(np.nanmin(truth))
        return (optimum - best) / whole if whole else 0.0

    @property
    def _sign(self) -> float:
        return 1.0 if self.direction == "highest" else -1.0

    @property
    def _is_unchanged(self) -> bool:
        return self.direction == "highest" and self.unit == 1.0


CONDUCTIVITY = Target("log10_conductivity_S_cm")
"""What the virtual laboratory measures."""
