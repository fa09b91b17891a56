"""How good the poses are: the metrics that a protocol may name, and drift between two variants of a model.

A metric has `figures` (their names in the order in which people read them; the first is what rows are ranked by), `evaluator` (the
distribution that computes them, if it is another's), `pairs` (whether it keeps what tells how far two models or protocols are
apart, `zoo.metrics.bootstrap.paired`), `results(poses, skeleton, image_id)`, what it judges of one image as plain
data, and `evaluate(annotations, image_ids, results, kept) -> {figure: value}`; a figure that the images cannot give is absent.
"""

from zoo.metrics.boxes import CocoBoxes
from zoo.metrics.coco import CocoOks
from zoo.metrics.coco_people import CocoOksPeople
from zoo.metrics.drift import drift
from zoo.metrics.hands import HandPck
from zoo.metrics.wholebody import CocoWholebodyHands

Metric = CocoOks | CocoOksPeople | CocoBoxes | CocoWholebodyHands | HandPck

__all__ = ["CocoBoxes", "CocoOks", "CocoOksPeople", "CocoWholebodyHands", "HandPck", "Metric", "drift"]
