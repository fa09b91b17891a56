"""What files refer to: paths that lead nowhere, and weights without a digest."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from zoo.interop.audit.files import File
from zoo.interop.audit.finding import Finding, finding
from zoo.interop.cursor import Cursor, shown
from zoo.interop.foreign import mmpose

_PLACEHOLDER = re.compile(r"(^|/)path/to(/|$)|<[^>]*>|(^|/)your[_-]|(^|/)x{3,}", re.I)
_DIGEST = re.compile(r"[0-9a-fA-F]{96}")


def references(file: File) -> Iterator[Finding]:
    """What is wrong with the paths and the digests of one file."""
    root = Cursor(file.document)
    if file.kind == "vamc":
        fetched = root.at("frontend", "type").value in ("huggingface", "modelscope")
        paths = [] if fetched else [root.at("frontend", "checkpoint")]
        paths += [root.at("dataset", "path"), *(op.at("module_path") for op in root.at("dataset", "process_ops").items())]
        for at in paths:
            yield from _path(at, file.path.parent)
    elif file.kind == "open_model_zoo":
        for one in root.at("files").items():
            yield from _digest(one)
    elif file.kind == "mmpose":
        for model in root.at("Models").items():
            at = model.at("Weights")
            if (name := at.text()) and not mmpose.DIGITS.search(name):
                text = f"{shown(name.rpartition('/')[2])} has no eight digits of its sha256 in its name: nothing vouches for its bytes"
                yield finding(at.place, "hash", text, "name it as mmpose does, NAME-63eb25f7_20230126.pth, or pin its sha256")


def _digest(one: Cursor) -> Iterator[Finding]:
    if not isinstance(one.value, dict):
        return
    name, digest = shown(one.at("name").value), one.at("checksum")
    if not digest.text():
        place = digest.key_place if digest.exists else one.place
        yield finding(place, "hash", f"{name} has no checksum: nothing vouches for its bytes", "add its sha384 as `checksum`")
    elif not _DIGEST.fullmatch(str(digest.value)):
        yield finding(digest.place, "hash", f"the checksum of {name} is no sha384", f"a sha384 is 96 hex digits, not {len(digest.value)}")


def _path(at: Cursor, folder: Path) -> Iterator[Finding]:
    text = at.text()
    if text is None or "://" in text:
        return
    path = os.path.expandvars(os.path.expanduser(text))  # noqa: PTH111 - of what may be no path at all
    if _PLACEHOLDER.search(text):
        yield finding(at.place, "path", f"{at.name}: {shown(text)} is a placeholder", "write where it lies")
    elif "$" in path or path.startswith("~"):
        return  # a variable that another machine may have
    elif not path.startswith("/"):
        lost = "" if _exists(folder / path) else ", and there is none beside this file"
        text = f"{at.name}: {shown(text)} is relative: it means another one in every folder that vamc is run from{lost}"
        yield finding(at.place, "path", text, "write an absolute path, or one that begins with a variable: $DATA/...")
    elif not _exists(Path(path)):
        yield finding(at.place, "path", f"{at.name}: there is no {shown(text)} here", "correct it, or fetch what should lie there")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False
