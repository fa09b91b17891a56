"""Where a training stands, in one file that is replaced whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import StepFailed
from zoo.files import replacing
from zoo.record import canonical
from zoo.training.train import Train
from zoo.weights.pth import load_tensors

NAME = "checkpoint.pth"
#: what may be another in a run that goes on: it changes no weight
FREE = ("train.accumulate", "train.checkpoint", "train.validation")
SHOWN = 5
#: what to do about weights or a loss that are not finite
ADVICE = "a lower rate, a warmup, `clip` or another precision may help"


def identity(model: Any, task: Train, examples: int) -> str:
    """What a checkpoint belongs to, as JSON: the architecture, how it is trained, how many examples there are."""
    return canonical({"model": model, "train": task, "examples": examples}).decode()


def save(folder: Path, content: Mapping[str, Any]) -> None:
    """Write `content` (tensors and plain values; its `network` is a state dict) into `folder`, in place of what was there.

    Raises StepFailed, and leaves what was there, where a weight is not finite or the disk does not take it."""
    import torch

    for name, tensor in content["network"].items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise StepFailed(f"the weights {name} are not finite after step {content['step']}", f"{kept(folder)}; {ADVICE}")
    path = folder / NAME
    try:
        with replacing(path) as temporary, temporary.open("wb") as file:
            torch.save(dict(content), file)
    except (OSError, RuntimeError) as error:  # torch's own error has what the file said for a context
        reason = next((one for one in (error, error.__context__) if isinstance(one, OSError)), error)
        said = getattr(reason, "strerror", None) or str(reason).strip().splitlines()[0]
        raise StepFailed(f"{path}: the checkpoint cannot be written: {said}", f"is the disk full? {kept(folder)}") from error


def load(folder: Path, wanted: str) -> dict[str, Any] | None:
    """What `save` wrote; None where there is none. `wanted`: an `identity`.

    Raises StepFailed where it is damaged, or belongs to another architecture or training: the fields that differ are named."""
    path = folder / NAME
    if not path.exists():
        return None
    content = load_tensors(path)
    if not isinstance(content, dict) or not isinstance(content.get("identity"), str):
        raise StepFailed(f"{path}: is no checkpoint of a training", "remove it, and training begins anew")
    there, here = (dict(_fields(json.loads(text))) for text in (content["identity"], wanted))
    names = [name for name in sorted(there.keys() | here.keys()) if there.get(name) != here.get(name) and not name.startswith(FREE)]
    if names:
        told = [f"{name} was {_word(there.get(name))} and is {_word(here.get(name))}" for name in names[:SHOWN]]
        more = [f"{len(names) - SHOWN} more differ"] if len(names) > SHOWN else []
        raise StepFailed(
            f"{path}: is a checkpoint of another training: {'; '.join([*told, *more])}",
            "set it back, or remove the checkpoint: training then begins anew",
        )
    return content


def kept(folder: Path) -> str:
    """Of which step the checkpoint in `folder` is, for messages."""
    path = folder / NAME
    if not path.exists():
        return "there is no earlier checkpoint"
    return f"the checkpoint of step {load_tensors(path)['step']} stays"


def random_states(device: Any) -> dict[str, Any]:
    """The states of this process's generators: torch's on the CPU and on `device`, and numpy's."""
    import torch

    states: dict[str, Any] = {"torch": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    _, keys, position, has_gauss, gauss = np.random.get_state()
    states["numpy"] = [torch.from_numpy(np.asarray(keys).astype(np.int64)), int(position), int(has_gauss), float(gauss)]
    return states


def set_random_states(states: Mapping[str, Any], device: Any) -> None:
    """Go on from `random_states`."""
    import torch

    torch.set_rng_state(states["torch"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
    keys, position, has_gauss, gauss = states["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), position, has_gauss, gauss))


def _fields(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each value that is no mapping, with its path."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _fields(inner, f"{path}.{key}" if path else key)
    else:
        yield path, value


def _word(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value)
