"""Architectures: a record each, with its network in `nets/`."""

from zoo.models.hand_landmark import HandLandmark
from zoo.models.lightweight_openpose import LightweightOpenPose
from zoo.models.openpose import OpenPoseBody, OpenPoseHand
from zoo.models.openpose_mobilenet import OpenPoseMobileNet
from zoo.models.rtmpose import RtmPose

Model = HandLandmark | LightweightOpenPose | OpenPoseBody | OpenPoseHand | OpenPoseMobileNet | RtmPose

__all__ = ["HandLandmark", "LightweightOpenPose", "Model", "OpenPoseBody", "OpenPoseHand", "OpenPoseMobileNet", "RtmPose"]
