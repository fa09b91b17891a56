"""A network that is published as an ONNX file, and known by that alone."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from zoo.record import Choice


class OnnxGraph(Choice, frozen=True, kw_only=True, tag="onnx"):
    """The graph of `reader: {type: onnx}`. There is no PyTorch module: nothing is exported, and no weights can be seeded."""

    outputs: Annotated[
        dict[str, Annotated[int, Meta(ge=1)]],
        Meta(
            description="the outputs that are wanted, by their names in the file, in order -> channels: the size of the axis that the "
            "decoder reads, the second or the last",
            min_length=1,
        ),
    ]
    keypoints: Annotated[int, Meta(description="how many keypoints a pose has; 0 for a detector", ge=0)] = 0
    size: Annotated[
        tuple[Annotated[int, Meta(ge=1)], Annotated[int, Meta(ge=1)]] | None,
        Meta(description="the one height and width that the file takes; none: it takes others too"),
    ] = None
    stride: Annotated[int, Meta(description="heights and widths that it takes are multiples of this", ge=1)] = 1
