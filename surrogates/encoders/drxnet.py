"""DRXNet: the discharge profile of a disordered-rocksalt cathode from its composition and its test.

A network of cations gives the composition a vector, gates add what rate and cycle do to it, and a state
network reads the charge at any voltage from the sum. The costly part, the network of cations, runs once
for each composition; a voltage costs two small layers.

Source: Zhong et al., Joule (2024), arXiv 2304.04986, and its repository zhongpc/drxnet, which decides
where the two differ: element embeddings are those of matscholar; weights are not normalised to 1, and
stand inside the attention's denominators; the gate is a scalar sigmoid; rate, cycle and volts enter raw.
Here, unlike there, are no batch norms: the published ones stand behind linear layers and are folded into
them, and a network of our own is scaled so that it needs none (running statistics would have to be
updated inside `vmap`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.func import jvp
from torch.nn.functional import silu, softplus

from surrogates.composition_batches import CompositionBatch, CompositionTable, Conditions

_ELEMENT = 200
_TRACE = 1e-10
_SHORTEST_STEP_V = 0.03
"""A redox step is never sharper, so that a rule of few nodes integrates the profile."""


@dataclass(frozen=True)
class DRXNetSettings:
    """Sizes of the network, the published ones by default, and where ours departs from the published.

    Attributes:
        monotonic: Whether the charge is zero at V_high and never falls as the voltage falls, whatever the
            weights. The published network has neither property.
        log_conditions: Whether rate and cycle enter as logarithms; the published network takes them raw.
        width: Of a composition's vector and of the state's.
        layers: Message layers.
        heads: Attention heads of each layer and of the pooling.
        hidden: Width of gates and messages.
        condition: Width of what rate and cycle become.
        voltage: Width of the hidden layers of the state network.
        steps: Redox steps that a profile is the sum of, with `monotonic`.
    """

    monotonic: bool = True
    log_conditions: bool = True
    width: int = 32
    layers: int = 3
    heads: int = 3
    hidden: int = 64
    condition: int = 16
    voltage: int = 64
    steps: int = 24


PUBLISHED = DRXNetSettings(monotonic=False, log_conditions=False)


class DRXNet(nn.Module):
    """One member.

    Args:
        settings: Sizes and switches.
    """

    def __init__(self, settings: DRXNetSettings) -> None:
        super().__init__()
        width = settings.width
        self.log_conditions = settings.log_conditions
        self.element = nn.Linear(_ELEMENT, width - 1)
        self.messages = nn.ModuleList(
            MessageLayer(width, settings.hidden, settings.heads) for _ in range(settings.layers)
        )
        self.pooling = Pooling(width, settings.hidden, settings.heads)
        self.rate = Condition(settings.condition)
        self.cycle = Condition(settings.condition)
        self.rate_gate = Gate(width, settings.condition)
        self.cycle_gate = Gate(width, settings.condition)
        self.fade = nn.Parameter(0.03 * torch.randn(width))
        self.charge: MonotonicCharge | FreeCharge = (
            MonotonicCharge(width, settings.voltage, settings.steps)
            if settings.monotonic
            else FreeCharge(width, settings.voltage)
        )

    def embed(self, table: CompositionTable, batch: CompositionBatch) -> Tensor:
        """Return a vector for each composition, `n x width`.

        Gradients pass to the weights and to the share of fluorine.
        """
        dtype = self.fade.dtype
        weights = batch.weights.to(dtype)
        # Linear in the element and in fluorine: both are embedded before they meet in a composition.
        elements = self.element(table.embeddings.to(dtype))
        fluorine = nn.functional.linear(table.fluorine.to(dtype), self.element.weight)
        nodes = elements[batch.cations] + batch.fluorine.to(dtype)[:, None, None] * fluorine
        nodes = torch.cat([nodes, weights[..., None]], dim=-1)
        for layer in self.messages:
            nodes = nodes + layer(nodes, weights)
        pooled: Tensor = self.pooling(nodes, weights)
        return pooled

    def embed_amounts(self, weights: Tensor, table: CompositionTable, batch: CompositionBatch) -> Tensor:
        """Return `embed` with these weights, `n x k`, instead of the batch's: a member may have its own."""
        return self.embed(table, replace(batch, weights=weights))

    def condition(self, conditions: Conditions) -> Tensor:
        """Return what rate and cycle add, whatever the composition: `c x (2 width + 3)`."""
        rate, cycle = (t.to(self.fade.dtype)[:, None] for t in (conditions.rate_mA_g, conditions.cycle))
        since_first = cycle - 1
        if self.log_conditions:
            rate, cycle = rate.log10() - 2, cycle.log10()
        return torch.cat(
            [
                self.rate_gate.from_condition(self.rate(rate)),
                self.cycle_gate.from_condition(self.cycle(cycle)),
                since_first,
            ],
            dim=-1,
        )

    def states(self, embedding: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Return the cathode's state in the first cycle and in the condition's own.

        Args:
            embedding: `... x width`, from `embed`.
            condition: `... x (2 width + 3)`, from `condition`; leading dimensions broadcast, so `n x 1`
                compositions with `c` conditions give all pairs.

        Returns:
            Two of `... x width`. They are equal where the condition's cycle is the first.
        """
        rate, cycle = condition[..., :-1].chunk(2, dim=-1)
        first = embedding + self.rate_gate(embedding, rate)
        fade = self.fade * condition[..., -1:]
        return first, first + self.cycle_gate(first, cycle) * fade

    def discharge(self, state: Tensor, window: Tensor, voltage: Tensor) -> Tensor:
        """Return the charge given off from V_high down to each voltage, `... x v`, mAh/g.

        Args:
            state: `... x width`, from `states`.
            window: `... x 2`, lower and upper voltage, V.
            voltage: `... x v`, V. Leading dimensions broadcast: conditions alone need not be repeated for
                each composition.
        """
        charge: Tensor = self.charge(state, window, voltage)
        return charge

    def discharge_slope(self, state: Tensor, window: Tensor, voltage: Tensor) -> tuple[Tensor, Tensor]:
        """Return the charge, mAh/g, and its derivative by the voltage, mAh/g/V, each `... x v`.

        By automatic differentiation, forward: a point's charge depends on its own voltage only, and a
        loss may hold the derivative.
        """
        both = jvp(lambda volts: self.charge(state, window, volts), (voltage,), (torch.ones_like(voltage),))
        return both[0], both[1]


class WeightedAttention(nn.Module):
    """Heads of attention in which an element counts by its amount; their mean.

    The layers of all heads stand in one. A head's message is linear behind its activation, so that the
    sum over elements is taken first and its last layer runs once a sum, not once an element.
    """

    def __init__(self, width: int, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.gate = nn.Parameter(torch.empty(heads, hidden))
        self.gate_bias = nn.Parameter(torch.zeros(heads))
        self.message = nn.Linear(heads * hidden, width, bias=False)
        self.message_bias = nn.Parameter(torch.zeros(heads, width))
        nn.init.normal_(self.gate, std=hidden**-0.5)
        nn.init.normal_(self.message.weight, std=hidden**-0.5)

    def forward(self, hidden: Tensor, weights: Tensor) -> Tensor:
        """Return `... x width`, a mean over `j`.

        Args:
            hidden: `... x j x (2 heads hidden)`, before activation: gates, then messages.
            weights: `... x j`; an element of weight 0 counts exactly for nothing.
        """
        gates, messages = silu(hidden).unflatten(-1, (2, self.heads, -1)).unbind(-3)
        score = (gates * self.gate).sum(-1) + self.gate_bias
        weights = weights[..., None]
        top = score.masked_fill(weights == 0, -torch.inf).amax(-2, keepdim=True).detach()
        share = weights * (score - top).clamp_max(0).exp()
        share = share / (share.sum(-2, keepdim=True) + _TRACE)
        mean = (share[..., None] * messages).sum(-3).flatten(-2)
        heads: Tensor = self.message(mean) + share.sum(-2) @ self.message_bias
        return heads / self.heads


class MessageLayer(nn.Module):
    """What each element hears from all elements of its composition, itself among them."""

    def __init__(self, width: int, hidden: int, heads: int) -> None:
        super().__init__()
        self.from_hearer = nn.Linear(width, 2 * heads * hidden)
        self.from_speaker = nn.Linear(width, 2 * heads * hidden, bias=False)
        self.attention = WeightedAttention(width, hidden, heads)

    def forward(self, nodes: Tensor, weights: Tensor) -> Tensor:
        """Return `n x k x width` from nodes of that shape and weights `n x k`."""
        pairs = self.from_hearer(nodes)[:, :, None] + self.from_speaker(nodes)[:, None]
        heard: Tensor = self.attention(pairs, weights[:, None])
        return heard


class Pooling(nn.Module):
    """One vector a composition."""

    def __init__(self, width: int, hidden: int, heads: int) -> None:
        super().__init__()
        self.from_element = nn.Linear(width, 2 * heads * hidden)
        self.attention = WeightedAttention(width, hidden, heads)

    def forward(self, nodes: Tensor, weights: Tensor) -> Tensor:
        """Return `n x width` from nodes `n x k x width` and weights `n x k`."""
        pooled: Tensor = self.attention(self.from_element(nodes), weights)
        return pooled


class Condition(nn.Module):
    """A number to a vector."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(1, 2 * width)
        self.out = nn.Linear(2 * width, width)

    def forward(self, value: Tensor) -> Tensor:
        """Return `c x width` from `c x 1`."""
        out: Tensor = self.out(silu(self.hidden(value)))
        return out


class Gate(nn.Module):
    """What a condition adds to a vector: a layer of both, times a scalar of both between 0 and 1.

    The layer and the scalar stand in one linear layer, in two parts that add up, so that either input
    is multiplied once for each of its own values.
    """

    def __init__(self, width: int, condition: int) -> None:
        super().__init__()
        self.from_vector = nn.Linear(width, width + 1)
        self.from_condition = nn.Linear(condition, width + 1, bias=False)

    def forward(self, vector: Tensor, condition: Tensor) -> Tensor:
        """Return `... x width`.

        Args:
            vector: `... x width`.
            condition: `... x (width + 1)`, from `from_condition`.
        """
        both = self.from_vector(vector) + condition
        gated: Tensor = both[..., -1:].sigmoid() * silu(both[..., :-1])
        return gated


class FreeCharge(nn.Module):
    """The published state network: any positive function of the voltage."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.from_window = nn.Linear(2, hidden)
        self.from_voltage = nn.Linear(1, hidden, bias=False)
        self.voltage = nn.Linear(hidden, width)
        self.meet = nn.Linear(width, width)
        self.hidden = nn.Linear(width, width)
        self.out = nn.Linear(width, 1)
        with torch.no_grad():  # untrained, it starts at the order of the charges that it is to learn
            self.out.weight.mul_(100)
            self.out.bias.fill_(100)

    def forward(self, state: Tensor, window: Tensor, voltage: Tensor) -> Tensor:
        """Return the charge, `... x v`; arguments as in `DRXNet.discharge`."""
        at = self.voltage(
            silu(self.from_window(window)[..., None, :] + self.from_voltage(voltage[..., None]))
        )
        # `meet` of a sum is the sum of two parts, of which only one depends on the composition.
        met = nn.functional.linear(at, self.meet.weight) + self.meet(state)[..., None, :]
        return softplus(self.out(softplus(self.hidden(softplus(met)))))[..., 0]


class MonotonicCharge(nn.Module):
    """Charge as a sum of redox steps: zero at V_high, and never less at a lower voltage.

    A step is a logistic curve with an amount that is not negative, a voltage and a width, all three from
    the state and the window; what it gives above V_high is not counted. A voltage costs no layer, and no
    weight is bound to a sign, which would make training stiff.
    """

    def __init__(self, width: int, hidden: int, steps: int) -> None:
        super().__init__()
        self.from_window = nn.Linear(2, hidden, bias=False)
        self.from_state = nn.Linear(width, hidden)
        self.hidden = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, 3 * steps)
        nn.init.normal_(self.out.weight, std=0.1 * width**-0.5)
        nn.init.zeros_(self.out.bias)
        self.register_buffer("even", torch.linspace(1.2, 5.0, steps))
        self.even: Tensor
        self.largest = 1000 / steps

    def forward(self, state: Tensor, window: Tensor, voltage: Tensor) -> Tensor:
        """Return the charge, `... x v`; arguments as in `DRXNet.discharge`."""
        # Around the usual window, so that untrained layers see numbers about 0.
        met = self.from_state(state) + self.from_window(window - window.new_tensor([1.5, 4.8]))
        steps = self.out(silu(self.hidden(silu(met)))).unflatten(-1, (3, -1))
        amount = self.largest * softplus(steps[..., 0, :] - 2)
        middle = self.even + steps[..., 1, :]
        sharpness = 1 / (_SHORTEST_STEP_V + 0.2 * softplus(steps[..., 2, :] + 0.5))
        below = window[..., 1:] - voltage
        # The logistic at V less that at V_high, as a product: zero at V_high without any rounding.
        above_V = ((middle[..., None, :] - voltage[..., None]) * sharpness[..., None, :]).sigmoid()
        not_above_high = ((window[..., 1:] - middle) * sharpness).sigmoid()
        between = -torch.expm1(-below[..., None] * sharpness[..., None, :])
        charge: Tensor = (above_V * between) @ (amount * not_above_high)[..., None]
        return charge[..., 0]
