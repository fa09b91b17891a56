"""What changes the weights. Each is declared as `optimizer: {type: ...}` of `train:`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta

from zoo.errors import StepFailed
from zoo.record import Choice

Rate = Annotated[float, Meta(description="The learning rate that a schedule multiplies.", gt=0)]
Decay = Annotated[float, Meta(description="Weight decay of kernels; biases and norms have none.", ge=0)]


class Adam(Choice, frozen=True, kw_only=True, tag="adam"):
    """Adam with weight decay added to the gradient (Kingma and Ba, 2015), as both OpenPose trainings have it."""

    lr: Rate
    weight_decay: Decay = 0.0

    def build(self, groups: list[dict[str, Any]]) -> Any:
        """torch's optimizer of `groups`."""
        import torch

        return torch.optim.Adam(groups)


class AdamW(Choice, frozen=True, kw_only=True, tag="adamw"):
    """Adam with weight decay apart from the gradient (Loshchilov and Hutter, 2019)."""

    lr: Rate
    weight_decay: Decay = 0.0

    def build(self, groups: list[dict[str, Any]]) -> Any:
        """torch's optimizer of `groups`."""
        import torch

        return torch.optim.AdamW(groups)


class Momentum(Choice, frozen=True, kw_only=True, tag="momentum"):
    """Stochastic gradient descent with momentum."""

    lr: Rate
    weight_decay: Decay = 0.0
    momentum: Annotated[float, Meta(description="How much of the last step is kept.", ge=0, lt=1)] = 0.9
    nesterov: Annotated[bool, Meta(description="The gradient is taken where the momentum alone would lead (Nesterov, 1983).")] = False

    def __post_init__(self) -> None:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov: there is no momentum to follow")

    def build(self, groups: list[dict[str, Any]]) -> Any:
        """torch's optimizer of `groups`."""
        import torch

        return torch.optim.SGD(groups, momentum=self.momentum, nesterov=self.nesterov)


Optimizer = Adam | AdamW | Momentum


def parameter_groups(
    module: Any, optimizer: Optimizer, multipliers: Mapping[str, float], frozen: Mapping[str, int]
) -> list[dict[str, Any]]:
    """The parameters of a torch module, those of one rate and decay together, as torch's optimizers take them.

    `base` of a group is its rate before the schedule, `frozen` the steps before which it has none. Weight decay is for kernels: what
    has two dimensions or more. `multipliers`: regular expression over whole names -> part of the rate, the first that matches; what is
    multiplied by 0 needs no gradient any more and is in no group. `frozen`: the same -> steps. Raises StepFailed where one of them
    matches nothing, or nothing is left to learn."""
    names = [name for name, _ in module.named_parameters()]
    for field, patterns in (("multipliers", multipliers), ("frozen", frozen)):
        for pattern in patterns:
            if not any(re.fullmatch(pattern, name) for name in names):
                raise StepFailed(
                    f"{field}: {pattern!r} matches no parameter of the network", "it has to match a whole name, such as `a.0.weight`"
                )
    together: dict[tuple[float, float, bool], list[Any]] = {}
    for name, parameter in module.named_parameters():
        part = _first(multipliers, name, 1.0)
        if part == 0:
            parameter.requires_grad_(False)
        else:
            together.setdefault((part, _first(frozen, name, 0), parameter.ndim > 1), []).append(parameter)
    if not together:
        raise StepFailed("multipliers: every parameter of the network is multiplied by 0", "nothing is left to learn")
    return [
        {
            "params": parameters,
            "lr": optimizer.lr * part,
            "base": optimizer.lr * part,
            "frozen": steps,
            "weight_decay": optimizer.weight_decay * kernels,
        }
        for (part, steps, kernels), parameters in together.items()
    ]


def _first(patterns: Mapping[str, float], name: str, otherwise: float) -> float:
    return next((value for pattern, value in patterns.items() if re.fullmatch(pattern, name)), otherwise)
