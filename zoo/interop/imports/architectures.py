"""Which of our architectures a foreign file means. Such a file names none: it is known by the model's name, or not at all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

PAF = {"type": "paf", "heatmaps": "stage_1_output_1_heatmaps", "pafs": "stage_1_output_0_pafs"}
CMU = "CMU, non-commercial"


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


KNOWN = (
    Architecture(
        r"(?<!single-)human[-_]pose[-_]estimation[-_]0001",
        {"type": "lightweight_openpose", "refinement_stages": 1, "reduce": True},
        PAF,
        layers="lightweight_openpose",
        takes=("bgr", 128, 255),
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
UNKNOWN = Architecture("", {"type": "lightweight_openpose", "refinement_stages": 1}, PAF)


def architecture(names: Sequence[str]) -> Architecture:
    """The architecture that any of these names is known for, or UNKNOWN."""
    return next((one for one in KNOWN for name in names if re.search(one.names, name, re.I)), UNKNOWN)
