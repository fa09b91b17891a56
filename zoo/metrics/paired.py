"""`Paired`: how far two figures of the same images are apart. By itself, so that a report that holds one does not depend on how
images are drawn."""

from __future__ import annotations

from zoo.record import Record


class Paired(Record, frozen=True, kw_only=True):
    """AP of one minus AP of another on the same images, and how sure that is, by a paired bootstrap over these images."""

    difference: float
    """The figure of the one less that of the other, of all these images."""
    standard_error: float
    low: float
    """From here ..."""
    high: float
    """... to there reach 95 % of the differences of images that were drawn with replacement, the same for both."""
    samples: int
    """How often they were drawn."""
    seed: int
    images: int
    """That both were judged on; what was found in others is left out."""
