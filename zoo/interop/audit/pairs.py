"""Which files belong together, by folder and name.

Folder: the same one, two beside each other (`vamc/` and `vdsp/`), or one inside the other's folder or its neighbour.
Name: without words that say only what a file is (`vdsp_params`, `int8`), every word of one name has to stand in the other:
`pytorch-body` in `pytorch_openpose_body`, `mmpose-hrnet_pose` in `mmpose_hrnetpose`; a name of nothing but such words fits any.
Of several that fit, the nearest folder and then the most alike name is taken. Open Model Zoo names both of its files alike, or
`model.yml` and `accuracy-check.yml`. Two files that are named on the command line, one of each kind and no other, belong
together whatever they are called.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from zoo.interop.audit.files import File

#: words that say what a file is, and not which model it is of
COMMON = {
    *("vdsp", "params", "param", "vamc", "build", "config", "cfg", "yaml", "json", "run", "stream", "model", "vacc", "tvm"),
    *("int8", "fp16", "fp32", "bf16", "percentile", "max", "kl", "divergence", "mse", "accuracy", "check"),
}
ABOVE = 2


@dataclass(frozen=True)
class Pair:
    """Two files that are judged against each other, and why these two."""

    one: File
    other: File
    why: str


def pairs(files: Sequence[File]) -> list[Pair]:
    """Every build YAML with its vdsp JSON, every model.yml with its accuracy-check.yml."""
    return [*_pairs(files, "vamc", "vdsp"), *_pairs(files, "open_model_zoo", "accuracy_check")]


def _pairs(files: Sequence[File], first: str, second: str) -> list[Pair]:
    left, right = ([file for file in files if file.kind == kind] for kind in (first, second))
    if len(left) == len(right) == 1 and left[0].named and right[0].named:
        return [Pair(left[0], right[0], "both named on the command line")]
    names = {id(file): _words(file) for file in (*left, *right)}
    near: dict[Path, list[File]] = defaultdict(list)
    for file in right:
        for folder in _folders(file.path):
            near[folder].append(file)
    best: dict[tuple[int, int], Pair] = {}
    taken: dict[int, tuple[tuple[float, float], Pair]] = {}
    for one in left:
        ranked = _ranked(one, near, names)
        if ranked:
            rank, pair = min(ranked, key=lambda item: item[0])
            best[id(pair.one), id(pair.other)] = pair
        for rank, pair in ranked:
            key = id(pair.other)
            if key not in taken or rank < taken[key][0]:
                taken[key] = rank, pair
    # a JSON that no YAML likes best is judged with the YAML that it fits best: variants of a model share one
    for _, pair in taken.values():
        best.setdefault((id(pair.one), id(pair.other)), pair)
    return sorted(best.values(), key=lambda pair: (pair.one.path, pair.other.path))


def _ranked(one: File, near: dict[Path, list[File]], names: dict[int, tuple[str, ...]]) -> list[tuple[tuple[float, float], Pair]]:
    """The files that may belong to `one`, each with how far it is away; the least is the best."""
    found: dict[int, tuple[tuple[float, float], Pair]] = {}
    words = names[id(one)]
    joined = "".join(words)
    for up, folder in enumerate(_folders(one.path)[:ABOVE]):
        for other in near.get(folder, ()):
            if id(other) in found or not _fit(words, names[id(other)], exactly=one.kind != "vamc"):
                continue
            down = _folders(other.path).index(folder)
            likeness = SequenceMatcher(None, joined, "".join(names[id(other)]), autojunk=False).ratio()
            where = "in one folder" if not up and not down else "in folders beside each other" if up and down else "one folder in the other"
            common = ", ".join(sorted(set(words) & set(names[id(other)]))) or "their names fit"
            found[id(other)] = ((up + down, -likeness), Pair(one, other, f"{where}, alike in name: {common}"))
    return list(found.values())


def _folders(path: Path) -> list[Path]:
    """The folder of a file and those above it that count."""
    return [path.parent, *path.parent.parents][: ABOVE + 1]


def _words(file: File) -> tuple[str, ...]:
    stem = file.path.name.lower().split(".accuracy-check")[0]
    stem = stem.rpartition(".")[0] or stem
    return tuple(word for word in re.split(r"[^a-z0-9]+", stem) if word and word not in COMMON)


def _fit(one: Collection[str], other: Collection[str], exactly: bool) -> bool:
    if exactly and one and other:
        return one == other
    first, second = "".join(one), "".join(other)
    return all(word in second for word in one) or all(word in first for word in other)
