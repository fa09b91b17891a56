"""What a network sees, laid over the image: its heatmaps, and its part affinity fields."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zoo.pose.canvas import WHITE, Canvas
from zoo.pose.geometry import Affine

#: a heatmap that is surer than this is as bright as can be
_SURE = 0.8
#: what is below it is not seen: maps are never quite 0
_FAINT = 0.05
#: how much of the image a certain place still shows
_OPACITY = 0.75


def heatmaps_over(image: NDArray[np.uint8], maps: NDArray[np.floating], affine: Affine) -> NDArray[np.uint8]:
    """A new image (H, W, 3) BGR with the surest of the heatmaps (K, h, w) at every place, from dark red to white.

    `affine`: where the image lay in the input of which these are the maps, of any stride."""
    import cv2

    strength = np.clip((_laid(maps.max(axis=0), image, affine) - _FAINT) / (_SURE - _FAINT), 0, 1)
    levels: NDArray[np.uint8] = np.round(strength * 255).astype(np.uint8)
    return _mixed(image, cv2.applyColorMap(levels, cv2.COLORMAP_HOT), np.sqrt(strength))


def fields_over(image: NDArray[np.uint8], fields: NDArray[np.floating], affine: Affine) -> NDArray[np.uint8]:
    """A new image (H, W, 3) BGR with the strongest of the part affinity fields (2 L, h, w; x and y of each limb in turn) at every
    place: the hue says where it points to in the image (red right, yellow-green down, cyan left, violet up)."""
    import cv2

    pairs = fields.reshape(-1, 2, *fields.shape[1:]).astype(np.float32)
    lengths = np.hypot(pairs[:, 0], pairs[:, 1])
    strongest = lengths.argmax(axis=0)
    x, y = np.take_along_axis(pairs, strongest[None, None], axis=0)[0]
    # the input may be turned: what points to its right points elsewhere in the image
    linear = affine.inverse[:, :2] / np.sqrt(abs(np.linalg.det(affine.inverse[:, :2])))
    vectors = np.stack([linear[0, 0] * x + linear[0, 1] * y, linear[1, 0] * x + linear[1, 1] * y], axis=-1)
    laid = _laid(vectors, image, affine)
    strength = np.clip((np.hypot(laid[..., 0], laid[..., 1]) - _FAINT) / (_SURE - _FAINT), 0, 1)
    hue = np.degrees(np.arctan2(laid[..., 1], laid[..., 0])) % 360 / 2
    colours = np.stack([hue, np.full_like(hue, 255), 255 * np.sqrt(strength)], axis=-1)
    return _mixed(image, cv2.cvtColor(colours.astype(np.uint8), cv2.COLOR_HSV2BGR), np.sqrt(strength))


def status_over(image: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    """A new image with `text` in its upper left corner."""
    canvas = Canvas(image)
    canvas.label(text, np.zeros(2), WHITE)
    return canvas.blended(0.85)


def _laid(maps: NDArray[np.floating], image: NDArray[np.uint8], affine: Affine) -> NDArray[np.float32]:
    """Maps (h, w) or (h, w, C) -> (H, W) or (H, W, C), every cell where its part of the image is."""
    import cv2

    height, width = maps.shape[:2]
    # image -> input -> cells, whose centres lie half a stride into them
    scale = np.array([width / affine.input[0], height / affine.input[1]])
    matrix = affine.matrix * scale[:, None]
    matrix[:, 2] += 0.5 * scale - 0.5
    size = (image.shape[1], image.shape[0])
    source = np.ascontiguousarray(maps, np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(source, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _mixed(image: NDArray[np.uint8], colours: NDArray[np.uint8], weight: NDArray[np.float32]) -> NDArray[np.uint8]:
    share = (_OPACITY * weight)[..., None]
    return np.asarray(np.round(image + share * (colours.astype(np.float32) - image)), np.uint8)
