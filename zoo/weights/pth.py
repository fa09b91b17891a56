"""PyTorch checkpoints: tensors only, nothing in them is ever run."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from zoo.errors import StepFailed
from zoo.optional import require
from zoo.record import Choice


class PthReader(Choice, frozen=True, tag="pth"):
    """Reads a `.pth` or `.pt` of torch, of the zip format or the older one."""

    file: Annotated[str, Meta(description="name of the checkpoint among the source's files")]
    key: Annotated[str, Meta(description="entry that holds the state dict; where it is absent the file itself is taken as one")] = (
        "state_dict"
    )
    strip: Annotated[str, Meta(description="prefix that is taken off the keys that carry it, such as `module.`")] = ""

    def read(self, folder: Path) -> dict[str, NDArray[Any]]:
        """The state dict in `folder / file`: key -> array as stored. Raises StepFailed where it holds anything but tensors."""
        content = load_tensors(folder / self.file)
        state = content.get(self.key, content) if isinstance(content, dict) else content
        if not isinstance(state, dict) or not state:
            raise StepFailed(
                f"{self.file}: holds a {type(state).__name__} where a state dict was expected", f"`key: {self.key}` names its entry"
            )
        tensor = require("torch").Tensor
        other = [str(key) for key, value in state.items() if not (isinstance(key, str) and isinstance(value, tensor))]
        if other:
            raise StepFailed(
                f"{self.file}: {len(other)} entries are not tensors: {', '.join(other[:10])}", f"`key: {self.key}` names the state dict"
            )
        return {key.removeprefix(self.strip): value.detach().numpy() for key, value in state.items()}


def load_tensors(path: Path) -> Any:
    """What torch stored in `path`, on the CPU. The one place where a pickle is opened.

    Beside tensors and plain containers only numpy scalars and arrays of numbers, their dtypes and OrderedDict are allowed:
    training logs hold them, and what OpenMMLab's `meta` says of the dataset. Raises StepFailed for everything else, without
    having run any of it.
    """
    torch = require("torch")
    # numpy 2 moved what makes scalars and arrays; a file of either generation names it by its own path
    makers = {name: getattr(np._core.multiarray, name) for name in ("scalar", "_reconstruct")}  # type: ignore[attr-defined]
    older = [(maker, f"numpy.core.multiarray.{name}") for name, maker in makers.items()]
    # without the dtype of objects: an array of them is refused
    dtypes = [type(np.dtype(kind)) for kind in "?bhilqBHILQefd"]
    allowed: list[Any] = [*makers.values(), *older, np.ndarray, np.dtype, *dtypes]
    try:
        with torch.serialization.safe_globals(allowed), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch thinks of a strange file is said below
            return torch.load(path, weights_only=True, map_location="cpu")
    except (pickle.UnpicklingError, AttributeError) as error:
        raise StepFailed(
            f"{path.name}: is not a checkpoint of plain tensors: {_reason(error)}",
            "nothing in it was run; take it from its official source",
        ) from error
    except (EOFError, OSError, RuntimeError, ValueError, KeyError, IndexError) as error:
        raise StepFailed(f"{path.name}: cannot be read as a checkpoint: {_reason(error)}", "is the download complete?") from error


def _reason(error: Exception) -> str:
    """What is wrong, in a line: torch wraps it in advice, and keeps the error itself as the context."""
    text = str(error.__context__ or error).strip()
    return text.splitlines()[0] if text else type(error).__name__
