"""Architectures: a record each, with its network in `nets/`."""

from zoo.models.lightweight_openpose import LightweightOpenPose
from zoo.models.openpose import OpenPoseBody, OpenPoseHand
from zoo.models.openpose_mobilenet import OpenPoseMobileNet

Model = LightweightOpenPose | OpenPoseBody | OpenPoseHand | OpenPoseMobileNet

__all__ = ["LightweightOpenPose", "Model", "OpenPoseBody", "OpenPoseHand", "OpenPoseMobileNet"]
