"""Which of our architectures a foreign file means. Such a file names none: it is known by the model's name, or not at all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

PAF = {"type": "paf", "heatmaps": "stage_1_output_1_heatmaps", "pafs": "stage_1_output_0_pafs"}
CMU = "CMU, non-commercial"
STRIDE = 8


@dataclass(frozen=True)
class Architecture:
    """What a recipe says of a network: `model`, how its outputs are decoded, and what it finds."""

    names: str
    """A regular expression of the names that it goes by."""
    model: dict[str, Any]
    decode: dict[str, Any]
    task: str = "body_pose"
    layers: str = ""
    """The map of `reader: {type: openvino}` for the graphs that are published."""
    takes: tuple[str, float, float] | None = None
    """Colour, mean and deviation (0..255) of its input, for files that leave them open."""
    terms: str = ""
    """The terms of the weights that it is known by, where these must not be used commercially."""
    licence: str = ""
    """Of the weights and the code that it is known by, where they say nothing of commercial use."""
    export: dict[str, Any] = field(default_factory=dict)
    """The input's name, where the file says none, and what of its shape may change."""
    int8: dict[str, Any] = field(default_factory=dict)
    """What has to be said of an int8 target."""
    boxed: bool = False
    """Whether it looks at the box of a person."""
    open: str = ""
    """What is left to change of it, where it is not known."""

    @property
    def stride(self) -> int:
        """Of what the sides of its input are multiples: a graph takes what it was written for."""
        return 1 if self.model["type"] == "onnx" else STRIDE


KNOWN = (
    Architecture(
        r"(?<!single-)human[-_]pose[-_]estimation[-_]0001",
        {"type": "lightweight_openpose", "refinement_stages": 1, "reduce": True},
        PAF,
        layers="lightweight_openpose",
        takes=("bgr", 128, 255),
    ),
    Architecture(
        r"single[-_]human[-_]pose[-_]estimation[-_]0001",
        {"type": "onnx", "outputs": {"heatmaps": 17}, "keypoints": 17},
        {"type": "heatmap_peaks", "heatmaps": "heatmaps"},
        export={"input": "data", "dynamic": ["batch"]},
        boxed=True,
    ),
    Architecture(
        r"openpose.*hand|hand_pose_model",
        {"type": "openpose_hand"},
        {"type": "hand_peaks", "heatmaps": "heatmaps"},
        "hand_pose",
        takes=("bgr", 128, 256),
        terms=CMU,
    ),
    Architecture(
        r"openpose.*body|body_pose_model",
        {"type": "openpose_body"},
        {
            "type": "paf",
            "heatmaps": "heatmaps",
            "pafs": "pafs",
            "peaks": {"type": "gaussian"},
            "limbs": {"average": "all", "prior": "exact_half_height"},
            "assemble": "join",
            "min_keypoints": 4,
            "min_score": 0.4,
            "offset": 0,
            "instance_score": "pose",
        },
        takes=("bgr", 128, 256),
        terms=CMU,
    ),
)
#: stands where nobody knows, so that the rest can be checked
UNKNOWN = Architecture(
    "",
    {"type": "lightweight_openpose", "refinement_stages": 1},
    PAF,
    open="CHANGE: the file does not say which architecture this is; this one stands here so that the rest can be checked."
    " A record of zoo/models/ with its fields, and its own outputs in `decode`.",
)  #: an ONNX file of which nothing else is said
GRAPH = Architecture(
    "",
    {"type": "onnx", "outputs": {"heatmaps": 17}, "keypoints": 17},
    {"type": "heatmap_peaks", "heatmaps": "heatmaps"},
    export={"dynamic": ["batch"]},
    open="CHANGE: the file does not say what the graph gives: its outputs by their names in it with their channels, the number of"
    " keypoints, and what reads them in `decode`. A heatmap for each of COCO's 17 keypoints stands here so that the rest can be checked.",
)

#: RTMPose of COCO's 17 keypoints: (its variant, height, width of its input). With other keypoints it has other heads
_RTMPOSE = re.compile(r"rtmpose-(tiny|[tsml])_.*_(?:aic-|body[78]-)?(?:coco|body[78])-(256|384)x(192|288)", re.I)


def rtmpose(name: str) -> Architecture | None:
    """The RTMPose that mmpose calls so; None where it is another network, or one of other keypoints."""
    found = _RTMPOSE.fullmatch(name)
    if not found or (size := (int(found[2]), int(found[3]))) not in ((256, 192), (384, 288)):
        return None
    larger = {} if size == (256, 192) else {"input_size": [*size]}
    return Architecture(
        name,
        {"type": "rtmpose", "variant": found[1][0].lower(), **larger},
        {"type": "simcc", "x": "simcc_x", "y": "simcc_y"},
        licence="Apache-2.0",
        export={"input": "input", "dynamic": ["batch"]},
        int8={"keep": ["/head/*"]},
    )


def sized(known: Architecture, size: tuple[int | None, int | None] | None) -> Architecture:
    """The same of a graph that takes inputs of `size` (height, width) alone, where the file says so."""
    if known.model["type"] != "onnx" or not size or None in size:
        return known
    return replace(known, model={**known.model, "size": [*size]})


def architecture(names: Sequence[str]) -> Architecture:
    """The architecture that any of these names is known for, or UNKNOWN."""
    return next((one for one in KNOWN for name in names if re.search(one.names, name, re.I)), UNKNOWN)
