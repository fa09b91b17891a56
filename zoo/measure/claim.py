"""Whether a throughput can be true: no network runs faster than the machine computes and moves its bytes.

The time of an image is at least max(FLOPs / FLOPs a second, bytes / bytes a second) of the machine's roof (Williams, Waterman and
Patterson, "Roofline", CACM 2009). What is refused is above what even the fewest products allow (`zoo/measure/count.py`); the share
that is shown is of the direct count, as everybody counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from zoo.measure.count import WIDTHS, Cost
from zoo.measure.roof import Roof
from zoo.record import Record

MARGIN = 1.10
"""By so much a measured roof may be too low: the GEMM that it was measured with is not the best that there could be."""


class Verdict(Record, frozen=True, kw_only=True):
    """What a throughput is worth."""

    flops: float
    """An image's, counted directly."""
    bytes: float
    """An image's that cannot be spared: its part of the weights of a call, its input and output."""
    roof: Roof
    share: float
    """Of the roof, counted directly; above 1 it cannot be, but by Winograd's algorithm."""
    ceiling: float
    """Images a second at the roof, counted directly."""
    limit: float
    """Images a second above which it is refused."""
    bound: Literal["compute", "memory"]
    """What the roof is made of here."""
    refused: tuple[str, ...] = ()
    """Why it cannot be true, in words; empty where it can."""
    notes: tuple[str, ...] = ()
    """What has to be said with it."""


def judge(
    cost: Cost,
    images_per_second: float,
    *,
    batch: int,
    roof: Roof,
    precision: str,
    computed_in: str = "",
    bound: Mapping[str, tuple[int, ...]] | None = None,
) -> Verdict:
    """Hold `images_per_second` of calls of `batch` images against `roof`.

    `cost` is of one call, at whatever batch it was counted; `precision` is what was asked for, and `computed_in` the runtime's own
    account, empty where there is none: layers are held against the roof of what they were really computed in. `bound` are the
    shapes of the tensors that were really bound, where they are known."""
    known = named(computed_in)
    refused, notes = [], []
    if known and precision not in known:
        notes.append(f"asked for {precision}, computed in {computed_in}: held against the roof of {' and '.join(known)}")
    if (held := next((shape[0] for shape in (bound or {}).values() if shape and shape[0] != batch), None)) is not None:
        refused.append(f"{batch} images a call are claimed, and the tensors that were bound held {held}")
    kinds = {kind: computed(kind, known or (precision,), roof) for kind in cost.flops}
    direct, fewest = (
        sum(flops / cost.batch / roof.flops_per_second(kinds[kind]) for kind, flops in counts.items())
        for counts in (cost.flops, cost.fewest)
    )
    needed = cost.weights / batch + cost.edges / cost.batch
    moving = needed / roof.bytes_per_second if roof.bytes_per_second else 0.0
    ceiling = 1 / max(direct, moving)
    limit = (MARGIN if roof.measured else 1.0) / max(fewest, moving)
    computing = direct >= moving
    if images_per_second > limit:
        asked = (
            f"{_amount(cost.total / cost.batch * images_per_second)}FLOP/s in {' and '.join(dict.fromkeys(kinds.values()))}"
            if fewest >= moving
            else f"{_amount(needed * images_per_second)}B/s of weights, input and output"
        )
        refused.append(
            f"{images_per_second:.1f} images/s would be {asked}, {images_per_second / ceiling:.2f} times the roof "
            f"({_roof(roof, kinds, fewest >= moving)}): at most {limit:.1f} images/s can be"
        )
    elif images_per_second > ceiling:
        notes.append(f"{images_per_second / ceiling:.2f} times the roof counted directly, which Winograd's algorithm or the margin allows")
    return Verdict(
        flops=cost.total / cost.batch,
        bytes=needed,
        roof=roof.best(),
        share=images_per_second / ceiling,
        ceiling=ceiling,
        limit=limit,
        bound="compute" if computing else "memory",
        refused=tuple(refused),
        notes=tuple(notes),
    )


def joined(parts: Sequence[tuple[float, Verdict]], images_per_second: float) -> Verdict:
    """Hold a pipeline's images against the roof: for each of them, so many inputs of networks that were judged by themselves, one
    after the other. What lies between the networks costs no FLOPs here, so the share is of their part of the work."""
    needed = [(inputs / verdict.ceiling, inputs / verdict.limit) for inputs, verdict in parts]
    ceiling, limit = 1 / sum(direct for direct, _ in needed), 1 / sum(fewest for _, fewest in needed)
    computing = sum(inputs / verdict.ceiling for inputs, verdict in parts if verdict.bound == "compute")
    roofs = [verdict.roof for _, verdict in parts]
    roof = msgspec.structs.replace(
        roofs[0],
        peaks=tuple(peak for roof in roofs for peak in roof.peaks),
        copies=tuple(copy for roof in roofs for copy in roof.copies),
        versions={name: version for roof in roofs for name, version in roof.versions.items()},
    )
    above = f"{images_per_second:.1f} images/s leave its networks less time than the roof allows: at most {limit:.1f} images/s can be"
    return Verdict(
        flops=sum(inputs * verdict.flops for inputs, verdict in parts),
        bytes=sum(inputs * verdict.bytes for inputs, verdict in parts),
        roof=roof.best(),
        share=images_per_second / ceiling,
        ceiling=ceiling,
        limit=limit,
        bound="compute" if 2 * computing * ceiling >= 1 else "memory",
        refused=(above,) if images_per_second > limit else (),
        notes=tuple(dict.fromkeys(note for _, verdict in parts for note in verdict.notes)),
    )


def named(computed_in: str) -> tuple[str, ...]:
    """The precisions in a runtime's account, as in `int8 (113 of 121), fp32`; what stands in a bracket is no precision computed in."""
    words = re.findall(r"[a-z]+\d+", re.sub(r"\(.*?\)", "", computed_in))
    return tuple(word for word in dict.fromkeys(words) if word in WIDTHS)


def computed(kind: str, known: tuple[str, ...], roof: Roof) -> str:
    """What layers of `kind` in the graph were computed in: the same where the runtime names it, else the fastest that it does name."""
    return kind if kind in known else max(known, key=roof.flops_per_second)


def _roof(roof: Roof, kinds: Mapping[str, str], computing: bool) -> str:
    """The figures that a refusal stands on, in words."""
    if not computing:
        return f"{_amount(roof.bytes_per_second or 0)}B/s"
    names = dict.fromkeys(kinds.values())
    return ", ".join(f"{_amount(roof.flops_per_second(name))}FLOP/s, {roof.way(name)}" for name in names)


def _amount(value: float) -> str:
    """A quantity with its prefix: `21.0 G`, `1.85 T`."""
    scale, prefix = next(((scale, prefix) for scale, prefix in ((1e12, "T"), (1e9, "G")) if value >= scale), (1e6, "M"))
    return f"{value / scale:.{1 if value >= 10 * scale else 2}f} {prefix}"
