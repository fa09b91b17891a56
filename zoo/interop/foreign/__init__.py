"""Other zoos' files: one module a format, each with `KEYS`, `recognised(data)` and `described(document)`."""

from collections.abc import Callable
from typing import Any

from zoo.document import Document
from zoo.interop.described import Described
from zoo.interop.foreign import accuracy_checker, mmpose, open_model_zoo, vamc, vdsp

#: kind -> how it is recognised, what it says of the tensor; in the order in which they are asked
FORMATS: dict[str, tuple[Callable[[Any], bool], Callable[[Document], Described]]] = {
    "vdsp": (vdsp.recognised, vdsp.described),
    "vamc": (vamc.recognised, vamc.described),
    "open_model_zoo": (open_model_zoo.recognised, open_model_zoo.described),
    "accuracy_check": (accuracy_checker.recognised, accuracy_checker.described),
    "mmpose": (mmpose.recognised, mmpose.described),
}
KEYS = {
    "vamc": vamc.KEYS,
    "open_model_zoo": open_model_zoo.KEYS,
    "accuracy_check": accuracy_checker.KEYS,
    "mmpose": mmpose.KEYS,
}
#: how people call them
TITLES = {
    "vdsp": "vdsp JSON",
    "vamc": "vamc build YAML",
    "open_model_zoo": "Open Model Zoo model.yml",
    "accuracy_check": "Open Model Zoo accuracy-check.yml",
    "mmpose": "mmpose metafile",
}


def kind_of(data: Any) -> str | None:
    """The kind of a document, or None for one that is of no known kind."""
    return next((kind for kind, (recognised, _) in FORMATS.items() if recognised(data)), None)
