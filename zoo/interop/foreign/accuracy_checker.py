"""Open Model Zoo's accuracy-check.yml: how a published figure was measured.

`resize` with `aspect_ratio_scale: width` brings the height to `size` and lets the width follow; then the network is reshaped for
every image (`allow_reshape_input`), and what was measured is not the shape that model.yml declares.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from zoo.document import Document
from zoo.interop.cursor import Cursor
from zoo.interop.described import Described, Normalised, stated
from zoo.interop.foreign.keys import Each, Keys, Word

STEP = Keys(
    {
        **dict.fromkeys(("type", "size", "dst_width", "dst_height", "interpolation", "resize_realization", "use_pillow", "use_tensorflow")),
        "aspect_ratio_scale": Word(("width", "height", "greater", "fit_to_window", "frcnn_keep_aspect_ratio", "ctpn_keep_aspect_ratio")),
        **dict.fromkeys(("factor", "stride", "mean", "std", "pad_value", "pad_type", "apply_to", "area_range")),
    },
    open=True,
    needed=("type",),
)
DATASET = Keys(
    {
        "name": None,
        "data_source": None,
        "annotation": None,
        "annotation_conversion": None,
        "dataset_meta": None,
        "reader": None,
        "subsample_size": None,
        "preprocessing": Each(STEP),
        "postprocessing": Each(STEP),
        "metrics": Each(Keys({"name": None, "type": None, "reference": None, "max_detections": None}, open=True, needed=("type",))),
    },
    open=True,
)
LAUNCHER = Keys(dict.fromkeys(("framework", "adapter", "allow_reshape_input", "inputs", "device", "model", "weights", "batch")), open=True)
MODEL = Keys({"name": None, "launchers": Each(LAUNCHER), "datasets": Each(DATASET)}, open=True, needed=("name",))
KEYS = Keys({"models": Each(MODEL), "evaluations": None, "global_definitions": None}, open=True)


def recognised(data: Any) -> bool:
    """Whether a document is an accuracy-check.yml."""
    models = data.get("models") if isinstance(data, dict) else None
    return isinstance(models, list) and any(isinstance(one, dict) and {"launchers", "datasets"} & one.keys() for one in models)


def described(document: Document) -> Described:
    """The tensor on which the first model's first dataset was measured."""
    steps = Cursor(document).at("models", 0, "datasets", 0, "preprocessing")
    found = Described(steps.key_place if steps.exists else Cursor(document).place)
    for step in steps.items():
        kind = step.at("type").text()
        if kind == "resize":
            found = _resize(step, found)
        elif kind in ("bgr_to_rgb", "rgb_to_bgr"):
            found = replace(found, colour=stated("rgb" if kind == "bgr_to_rgb" else "bgr", step.at("type")))
        elif kind == "normalization":
            mean = step.at("mean").three() if step.at("mean").exists else (0.0, 0.0, 0.0)
            std = step.at("std").three() if step.at("std").exists else (1.0, 1.0, 1.0)
            if mean and std and min(std) > 0:
                found = replace(found, normalised=stated(Normalised(mean, std), step))
    return found


def _resize(step: Cursor, found: Described) -> Described:
    size = step.at("size")
    tall, wide = (step.at(key).whole() or size.whole() for key in ("dst_height", "dst_width"))
    kept = step.at("aspect_ratio_scale")
    at = size if size.exists else step.at("dst_height")
    if interpolation := step.at("interpolation").text():
        found = replace(found, interpolation=stated(interpolation.lower(), step.at("interpolation")))
    if kept.value == "width" and tall:
        return replace(found, size=stated((tall, None), at), resize=stated("height", kept))
    if kept.value == "height" and wide:
        return replace(found, size=stated((None, wide), at), resize=stated("width", kept))
    if kept.value is None and tall and wide:
        return replace(found, size=stated((tall, wide), at), resize=stated("stretch", step))
    return found
