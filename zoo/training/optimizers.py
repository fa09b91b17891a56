"""What changes the weights. Each is declared as `optimizer: {type: ...}` of `train:`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from zoo.record import Choice

Rate = Annotated[float, Meta(description="The learning rate that a schedule multiplies.", gt=0)]
Decay = Annotated[float, Meta(description="Weight decay of kernels; biases and norms have none.", ge=0)]


class Adam(Choice, frozen=True, kw_only=True, tag="adam"):
    """Adam with weight decay added to the gradient (Kingma and Ba, 2015), as both OpenPose trainings have it."""

    lr: Rate
    weight_decay: Decay = 0.0


class AdamW(Choice, frozen=True, kw_only=True, tag="adamw"):
    """Adam with weight decay apart from the gradient (Loshchilov and Hutter, 2019)."""

    lr: Rate
    weight_decay: Decay = 0.0


class Momentum(Choice, frozen=True, kw_only=True, tag="momentum"):
    """Stochastic gradient descent with momentum."""

    lr: Rate
    weight_decay: Decay = 0.0
    momentum: Annotated[float, Meta(description="How much of the last step is kept.", ge=0, lt=1)] = 0.9
    nesterov: bool = False


Optimizer = Adam | AdamW | Momentum
