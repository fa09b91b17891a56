"""mmpose's metafile: models with their weights and figures. The first eight digits of a file's sha256 stand in its name."""

from __future__ import annotations

import re
from typing import Any

from zoo.document import Document
from zoo.interop.cursor import Cursor
from zoo.interop.described import Described, stated
from zoo.interop.foreign.keys import Each, Keys

KEYS = Keys(
    {
        "Collections": Each(
            Keys({**dict.fromkeys(("Name", "Metadata", "Paper", "README", "Code", "License")), "Paper": None}, needed=("Name",))
        ),
        "Models": Each(
            Keys(
                {
                    **dict.fromkeys(("Name", "Config", "In Collection", "Alias", "Metadata", "Weights", "Paper", "README", "Code")),
                    "Results": Each(Keys({"Task": None, "Dataset": None, "Metrics": None})),
                },
                needed=("Name", "Weights"),
            )
        ),
        "Import": None,
    }
)
TELLING = {"Weights", "Config", "In Collection", "Results"}
#: `-63eb25f7_20230126.pth`
DIGITS = re.compile(r"-([0-9a-f]{8})(?:_\d{8})?\.pth$")
SIZE = re.compile(r"(?<!\d)(\d{2,4})x(\d{2,4})(?!\d)")


def recognised(data: Any) -> bool:
    """Whether a document is a metafile."""
    models = data.get("Models") if isinstance(data, dict) else None
    return isinstance(models, list) and any(isinstance(one, dict) and len(TELLING & one.keys()) > 1 for one in models)


def described(document: Document, place: int = 0) -> Described:
    """The size that a model's name tells; a metafile says no more of the tensor."""
    model = Cursor(document).at("Models", place)
    name = model.at("Name")
    size = size_of(name)
    return Described(model.place, size=stated(size, name) if size else None)


def size_of(at: Cursor) -> tuple[int, int] | None:
    """(height, width) of the input as a name or an address tells it: the last `256x192` in it."""
    found = SIZE.findall((at.text() or "").rpartition("/")[2])
    return (int(found[-1][0]), int(found[-1][1])) if found else None
