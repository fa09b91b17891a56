"""Where the boxes come from that a top-down network looks at: the sources that `boxes:` may name.

A source has `read(dataset, images, found, context) -> {image id: Poses}`, people of whom nothing but their boxes is known
(`Poses.of_boxes`); `said(dataset, found, context)`, what of it makes figures comparable; `lacking(dataset, context)`, why
it has none for a dataset; and `facts(dataset, context)`, what of its files enters the key of an action. `found` is the
folder of boxes that a detector has found, which an action makes (`zoo/steps/boxes.py`).
"""

from zoo.boxes.annotations import AnnotatedBoxes
from zoo.boxes.detections import DetectionFile
from zoo.boxes.detector import DetectorBoxes

Boxes = AnnotatedBoxes | DetectionFile | DetectorBoxes

__all__ = ["AnnotatedBoxes", "Boxes", "DetectionFile", "DetectorBoxes"]
