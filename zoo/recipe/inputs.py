"""Whether the input that a target's graph takes can hold what the recipe prepares."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from zoo.edits.fold_preprocess import left_outside
from zoo.recipe.faults import Fault
from zoo.recipe.model import Recipe, Workspace
from zoo.recipe.sound import UNSOUND, Unsound, evaluations


def inputs(recipe: Recipe, workspace: Workspace) -> Iterator[Fault]:
    """Inputs of uint8 that are to hold fractions: of a target whose own edits make it so, protocols that it cannot be judged in
    are passed over; where the recipe's edits do, no target could be."""
    declared = recipe.preprocess
    if declared.dtype != "float32":
        yield ("preprocess", "dtype"), "say it under `edits:`, as {type: fold_preprocess, input: uint8}: what is exported takes float32"
        return
    general = declared
    with suppress(Unsound):
        general = left_outside(declared, recipe.edits)
        if lost := general.lost():
            yield ("edits",), lost
            return
        for index, evaluation in evaluations(recipe):
            if lost := general.with_fit(evaluation.fit or declared.fit, evaluation.order).lost():
                yield ("evaluate", index, "order" if evaluation.order else "fit"), f"{lost}: no target takes that, as `edits:` stand"
    for name, options in recipe.targets.items():
        if options is not UNSOUND and options and (lost := left_outside(general, options.edits).lost()):
            yield ("targets", name, "edits"), lost
