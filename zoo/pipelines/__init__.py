"""Pipelines: networks that work together on one image, one after the other.

A pipeline's record names the recipes of its parts by their roles, and says what lies between them;
`joined(estimators)` makes one `PoseModel` of the opened networks. `wants` says which skeleton each role gives.
"""

from zoo.pipelines.body_hands import BodyHands

Pipeline = BodyHands

__all__ = ["BodyHands", "Pipeline"]
