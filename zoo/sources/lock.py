"""recipes/weights.lock: the full sha256 of every file that was ever vouched for.

One line a file, sorted, in the manner of `sha256sum`:

    51f84ea8...008d  openpose_mobilenet/graph_opt.pb

Only `zoo fetch --pin` changes it. Two files of one recipe need different names, whichever of its
sources they come from.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from zoo.errors import Problem, RecipeError
from zoo.files import write_text

HEADER = "# The sha256 of each weights file; changed only by `zoo fetch --pin`.\n"
_LINE = re.compile(r"([0-9a-f]{64})  ([^\s/]+/\S(?:.*\S)?)")


def read(path: Path) -> dict[str, str]:
    """`recipe/filename` -> sha256 (hex). A lock that does not exist is empty.

    Raises RecipeError with every line that is not of the form above, or says a name again."""
    if not path.exists():
        return {}
    entries: dict[str, str] = {}
    problems = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            problems.append(Problem(str(path), number, 1, "", "this is not a line `sha256  recipe/filename`"))
        elif match[2] in entries:
            problems.append(Problem(str(path), number, 67, "", f"{match[2]} stands here a second time"))
        else:
            entries[match[2]] = match[1]
    if problems:
        raise RecipeError(problems, "take the file from the repository again, or correct it and run `zoo fetch --pin`")
    return entries


def of_recipe(lock: Mapping[str, str], recipe: str) -> dict[str, str]:
    """The entries of one recipe: filename -> sha256. This is what `fetch` wants."""
    return {name.removeprefix(f"{recipe}/"): sha256 for name, sha256 in lock.items() if name.startswith(f"{recipe}/")}


def pin(path: Path, recipe: str, digests: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Write `digests` (filename -> sha256) of `recipe` into the lock; other entries stay.

    Returns what has changed: `recipe/filename` -> (before, empty if new; after). The lock is written
    whole or not at all, and not touched where nothing has changed."""
    entries = read(path)
    changes = {}
    for filename, sha256 in digests.items():
        name = f"{recipe}/{filename}"
        before = entries.get(name, "")
        if before != sha256:
            changes[name] = (before, sha256)
            entries[name] = sha256
    if changes:
        write_text(path, HEADER + "".join(f"{entries[name]}  {name}\n" for name in sorted(entries)))
    return changes
