"""Pipelines: networks that work together on one image, one after the other.

A pipeline's record names the recipes of its parts by their roles, and says what lies between them;
`joined(estimators)` makes one `PoseModel` of the opened networks. `wants` says which skeleton each role gives, `boxed`
which roles are given boxes to look at, and `boxes` where these come from.
"""

from zoo.pipelines.body_hands import BodyHands
from zoo.pipelines.top_down import TopDown

Pipeline = BodyHands | TopDown

__all__ = ["BodyHands", "Pipeline", "TopDown"]
