"""Physics laws as differentiable functions: a network gives coefficients, a law gives the property.

Every function is elementwise in its leading dimensions, works under `torch.func.vmap`, and passes gradients
to composition, temperature and coefficients alike. `..._coefficients` turn a network's unbounded numbers
into coefficients whose signs and symmetries are physical whatever the network says.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

GAS_CONSTANT = 8.31446261815324
"""J/(mol K), exact in the SI of 2019."""


def vft(c1: Tensor, c2: Tensor, c3: Tensor, temperature_K: Tensor) -> Tensor:
    """Return the logarithm of a transport property, `c1 - c2 / (T - c3)`.

    Args:
        c1: Logarithm of the property at infinite temperature, in the base and unit the caller chooses.
        c2: [K], above 0 where the property grows with temperature.
        c3: [K], the temperature at which the liquid arrests; from 0 up to, but not at, `temperature_K`.
        temperature_K: [K], above `c3`. The law describes liquids above their glass transition.

    Returns:
        The logarithm, broadcast, in the base and unit of `c1`. No value below `c3` has a meaning.

    Source: Vogel, Phys. Z. 22, 645 (1921); Fulcher, J. Am. Ceram. Soc. 8, 339 (1925); Tammann and Hesse,
    Z. Anorg. Allg. Chem. 156, 245 (1926).
    """
    return c1 - c2 / (temperature_K - c3)


def vft_coefficients(raw: Tensor, lowest_K: float | Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return `c1`, `c2` and `c3` of `vft` with `c2` above 0 and `c3` between 0 and `lowest_K`.

    Args:
        raw: `... x 3`, unbounded: `c1` itself, then about `c2 / 100 K`, then the logit of `c3 / lowest_K`.
        lowest_K: [K], a temperature below all at which the law will be evaluated; a tensor is not checked.

    Returns:
        Three tensors `...`; `c2` and `c3` in K. At 0 `c3` is half of `lowest_K`. So far out that float32
        rounds the sigmoid to 1, `c3` is `lowest_K` itself, still below every temperature.

    Raises:
        ValueError: If `lowest_K` is not above 0.
    """
    if not isinstance(lowest_K, Tensor) and not lowest_K > 0:
        raise ValueError(f"lowest_K is {lowest_K}; a temperature above 0 K was expected")
    c1, c2, c3 = raw.unbind(-1)
    return c1, 100 * softplus(c2), lowest_K * torch.sigmoid(c3)


def arrhenius(log_prefactor: Tensor, activation_J_mol: Tensor, temperature_K: Tensor) -> Tensor:
    """Return the natural logarithm of a transport property, `log_prefactor - E / (R T)`.

    Args:
        log_prefactor: Natural logarithm of the property at infinite temperature, in the caller's unit.
        activation_J_mol: `E` [J/mol], above 0 where the property grows with temperature.
        temperature_K: [K], above 0. The law holds over narrow ranges and far above the glass transition.

    Returns:
        The natural logarithm, broadcast, in the unit of the prefactor.

    Source: Arrhenius, Z. Phys. Chem. 4, 226 (1889).
    """
    return log_prefactor - activation_J_mol / (GAS_CONSTANT * temperature_K)


def arrhenius_coefficients(raw: Tensor) -> tuple[Tensor, Tensor]:
    """Return the log prefactor and an activation energy [J/mol] above 0.

    Args:
        raw: `... x 2`, unbounded: the log prefactor itself, then about the energy in 10 kJ/mol.

    Returns:
        Two tensors `...`.
    """
    log_prefactor, activation = raw.unbind(-1)
    return log_prefactor, 1e4 * softplus(activation)


def linear_mixing(x: Tensor, pure: Tensor) -> Tensor:
    """Return the property of an ideal mixture, `sum_i x_i p_i`.

    Args:
        x: `... x k`, mole fractions, from 0 to 1, rows sum to 1 (volume fractions where `p` mixes by volume).
        pure: `... x k`, the property of each pure component, in any unit.

    Returns:
        `...`, in the unit of `pure`.
    """
    return (x * pure).sum(-1)


def redlich_kister(x: Tensor, coefficients: Tensor) -> Tensor:
    """Return an excess property, `sum_{i<j} x_i x_j sum_n L_ij^n (x_i - x_j)^n`.

    Args:
        x: `... x k`, mole fractions of any number of components, from 0 to 1, rows sum to 1.
        coefficients: `... x k x k x (N + 1)`, `L` of orders 0 to N, in the property's unit (J/mol for an
            enthalpy, cm3/mol for a volume). Symmetric in `i` and `j` for even orders, antisymmetric for odd
            ones, as `redlich_kister_coefficients` makes them; else the order of components would matter.

    Returns:
        `...`, in the coefficients' unit; exactly 0 where one mole fraction is 1 and the others 0.

    Source: Redlich and Kister, Ind. Eng. Chem. 40, 345 (1948).
    """
    difference = x[..., :, None] - x[..., None, :]
    series = coefficients[..., -1]
    for order in range(coefficients.shape[-1] - 2, -1, -1):  # Horner: no power of 0, whose gradient is nan
        series = series * difference + coefficients[..., order]
    # Each pair stands there twice, with the same value; a component with itself does not count.
    pairs = (x[..., :, None] * x[..., None, :] * series).triu(1)
    return pairs.sum((-2, -1))


def redlich_kister_coefficients(pairs: Tensor) -> Tensor:
    """Return coefficients with the symmetries of `redlich_kister`, and 0 between equal components.

    Even orders are the mean of both directions less the mean of what each component gives with itself; odd
    orders are half the difference of the directions. So a mixture of a component with itself has no excess.

    Args:
        pairs: `... x k x k x (N + 1)`, unbounded: what a network says of each ordered pair, a component
            with itself included, in the property's unit.

    Returns:
        `... x k x k x (N + 1)`, in the same unit.
    """
    across = pairs.transpose(-2, -3)
    own = torch.diagonal(pairs, dim1=-3, dim2=-2).transpose(-1, -2)  # ... x k x (N + 1)
    even = (pairs + across) / 2 - (own[..., :, None, :] + own[..., None, :, :]) / 2
    odd = (pairs - across) / 2
    is_odd = torch.arange(pairs.shape[-1], device=pairs.device) % 2 == 1
    return torch.where(is_odd, odd, even)
