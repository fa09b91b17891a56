"""Tables become LEADERBOARD.md: aligned, so that it reads as well raw as rendered."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from zoo.board.tables import Table

TITLE = "# Leaderboard"
INTRODUCTION = """\
Generated from `results/` by `zoo board`; do not edit. Rows are ranked by AP (or, where a table says so, by another figure) within
one table, and a table holds one task, one dataset and one protocol: figures of different tables do not compare."""
FOOTNOTES = """\
## How to read it

* **images/s, network alone** is the compiled model on tensors of the benchmark's size that were ready: no
  reading, no preparing, no decoding. Images are counted in the tensors that were bound; to a network that looks at boxes an image is
  one person's crop. **Images/s, pipeline from decoded images to poses** is the same of several networks with what lies between
  them: no files are read, and each call waits for the one before.
* **images/s, whole way from files to poses** is in whole images, at the size and with the decoder of the table's protocol: reading,
  decoding of JPEG, preparing, network and decoding of poses, overlapped on all cores, as `zoo eval` and `zoo predict` work. The first
  images of a dataset come over and over, so their files are in memory; where people are looked at in crops, eight images at a time
  share calls of eight crops. **Whole way / network alone on the same tensors** is what is left there of the network's own speed:
  the two took turns, the network was given the very tensors that these images make, and each had the layout of the cores that is
  the fastest for it. It is not the quotient of the two columns before it, whose tensors differ.
* **one call after another** is the network with nothing else in flight; **best of several streams** is the setting that gives the most
  of those that were tried, several calls or copies at once on the same threads: a figure of throughput, bought with longer calls. The
  line below the table says which setting it was.
* **share of the roof** is of what this machine computes and moves at most, in what was really computed in, one call after another; of
  a pipeline, by the calls that its networks were asked.
* p50, p90 and p99 are of one call, that is of a whole batch. Peak memory is that of a process that did nothing else.
* **computed in** is what the runtime says that it did, whatever precision was asked for.
* **network alone by batch** is the same by images a call. "8 against 1" is images/s at batch 8 over images/s at batch 1: what
  batching brings. **Pipeline from decoded images to poses by batch** is likewise, on the same images at every batch.
* AP, AR and their kin are COCO's, from 0 to 1: of poses by object keypoint similarity (OKS), in tables of person detection by the
  overlap of boxes (IoU). What others head "IOU@0.5" is OKS AP50.
* **AP against** another protocol is the difference between two ways of judging one model on the same images. Where its interval
  holds zero, so many images cannot tell the two apart.
* **ceiling** is the AP of a network that says exactly what training asks of it: the decoder is given perfect targets of all people
  who are annotated on the same images. It is told beside networks that are trained here.
* PCK is the share of the keypoints that lie within a threshold of the truth, AUC the same averaged over thresholds; the protocol
  says which, and what they are parts of. EPE is the mean distance to the truth in pixels, of the keypoints that were found: less is
  better, but only where the share that was **not found** is small.
* **boxes**: with ground-truth boxes a top-down model is told who is where, with a detector's it has to be found out. That is another
  protocol and so another table, and an AP of the one is no match for an AP of the other.
* **published** are the authors' figures, each in its own protocol: they compare with a row only where the protocols agree.
* **parity** is the largest difference in parts of the reference's scale, or the signal-to-noise ratio, on real images.
* A row of **rehearsal** was built with seeded weights: it can be timed, and has no accuracy.
* An **outdated** row was measured before its recipe, its weights or the code changed."""


def markdown(tables: Sequence[Table]) -> str:
    """The whole document, ending in a newline; the same for the same tables."""
    parts = [TITLE, INTRODUCTION]
    if not tables:
        parts.append("Nothing has been measured yet.")
    for table in tables:
        parts += [f"## {_inline(table.heading)}", grid(table)]
        if table.lines:
            parts.append("\n".join(f"* {_inline(line)}" for line in table.lines))
    return "\n\n".join([*parts, FOOTNOTES]) + "\n"


def grid(table: Table) -> str:
    """The table alone, its columns padded to equal width."""
    header = [_cell(text) for text in table.header()]
    body = [[_cell(text) for text in table.cells(row)] for row in table.rows]
    widths = [max(3, *(screen_width(line[index]) for line in [header, *body])) for index in range(len(header))]
    right = [table.known[name].align == "right" for name in table.columns]
    rule = ["-" * (width - 1) + ":" if flush else "-" * width for width, flush in zip(widths, right, strict=True)]
    return "\n".join(_line(line, widths, right) for line in [header, rule, *body])


def _line(cells: Iterable[str], widths: Iterable[int], right: Iterable[bool]) -> str:
    padded = []
    for cell, width, flush in zip(cells, widths, right, strict=True):
        space = " " * (width - screen_width(cell))
        padded.append(space + cell if flush else cell + space)
    return "| " + " | ".join(padded) + " |"


def _cell(text: str) -> str:
    """On one line, and without a bar that would begin the next cell."""
    return _inline(text).replace("|", "\\|")


def _inline(text: str) -> str:
    return " ".join(text.split()).replace("<", "&lt;")


def screen_width(text: str) -> int:
    """Columns that it takes on a screen: two for a wide character, none for one that combines."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
