"""What failed on one image among many, in words: which it was, and why."""

from __future__ import annotations

import traceback
from pathlib import Path

from zoo.errors import Bug, ZooError


def reason(error: Exception) -> str:
    """What went wrong, in a line; of what nobody foresaw also where in the code."""
    if isinstance(error, ZooError):
        return error.message
    said = traceback.format_exception_only(error)[-1].strip()
    places = traceback.extract_tb(error.__traceback__)
    return f"a bug: {said}" + (f" ({Path(places[-1].filename).name}:{places[-1].lineno})" if places else "")


def naming(error: Exception, name: str) -> ZooError:
    """`error` with the name of what it was raised for, an image or a frame. What nobody foresaw becomes a Bug: its traceback, and a
    last line that says the same as `reason`."""
    if not isinstance(error, ZooError):
        return Bug("".join(traceback.format_exception(error)) + f"{name}: {reason(error)}", "please report this")
    if name not in error.message:
        error.message = f"{name}: {error.message}"
    return error
