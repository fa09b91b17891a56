"""How good the poses are: COCO's OKS figures, differences with their error, drift between two variants of a model."""

from zoo.metrics.coco import CocoOks
from zoo.metrics.drift import drift
from zoo.metrics.oks import COCO_SIGMAS, oks

Metric = CocoOks

__all__ = ["COCO_SIGMAS", "CocoOks", "Metric", "drift", "oks"]
