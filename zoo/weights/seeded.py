"""Weights that anyone can make again from the names and shapes of a checkpoint alone.

They teach a network nothing, but they exercise all of it: a rehearsal is built, checked for parity
and timed with them where the real weights cannot be had, and a port is compared with the original
network key for key. Each tensor has a generator of its own, seeded by its key, so the order of the
keys does not matter. The rule is that of the reference data (goldens/README.md, section 1).
"""

import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: He's
DEFAULT_GAIN = 2.0


def seeded_tensor(key: str, shape: Sequence[int], gain: float = DEFAULT_GAIN) -> NDArray[Any]:
    """The tensor of `key`: float32 of `shape`, except int64 zeros for `num_batches_tracked`.

    `gain` scales the variance of tensors with two or more dimensions: gain / (product of all
    dimensions but the first)."""
    if key.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    generator = np.random.default_rng(zlib.crc32(key.encode()))
    size = tuple(shape)
    if key.endswith("running_var"):
        values = generator.uniform(0.5, 1.5, size)
    elif key.endswith("running_mean"):
        values = 0.1 * generator.standard_normal(size)
    elif len(size) == 2 and key.endswith(".gamma"):
        values = generator.standard_normal(size)
    elif len(size) == 2 and key.endswith(".beta"):
        values = 0.1 * generator.standard_normal(size)
    elif len(size) >= 2:
        values = generator.standard_normal(size) * np.sqrt(gain / math.prod(size[1:]))
    elif key.endswith((".weight", ".g", ".scale")):
        values = generator.uniform(0.5, 1.5, size)
    else:
        values = 0.1 * generator.standard_normal(size)
    return np.asarray(values).astype(np.float32)


def seeded_state(layout: Mapping[str, tuple[Sequence[int], str]], gains: Mapping[str, float] | None = None) -> dict[str, NDArray[Any]]:
    """A state dict for `layout` (key in the official file -> (shape, dtype name)).

    `gains` maps key prefixes to gains, where He's would let activations explode, or fade until the
    output no longer depends on the image: an architecture says its own. The longest prefix that fits
    wins, other keys take 2.0. Raises ValueError where a dtype is not the one that the rule gives,
    because such a layout is not of a network that the rule was made for."""
    state: dict[str, NDArray[Any]] = {}
    for key, (shape, dtype) in layout.items():
        fitting = [prefix for prefix in gains or {} if key.startswith(prefix)]
        gain = (gains or {})[max(fitting, key=len)] if fitting else DEFAULT_GAIN
        tensor = seeded_tensor(key, shape, gain)
        if tensor.dtype != np.dtype(dtype):
            raise ValueError(f"{key} is {dtype} in the layout; seeded weights are {tensor.dtype} there")
        state[key] = tensor
    return state
