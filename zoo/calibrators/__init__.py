"""How the range of an activation is chosen from what was seen: what a recipe's `calibration.method` may name."""

from zoo.calibrators.entropy import Entropy
from zoo.calibrators.minmax import MinMax
from zoo.calibrators.percentile import Percentile

Calibrator = MinMax | Entropy | Percentile

__all__ = ["Calibrator", "Entropy", "MinMax", "Percentile"]
