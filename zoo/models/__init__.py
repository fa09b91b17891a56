"""Architectures: a record each, with its network in `nets/`; and networks that are an ONNX file."""

from zoo.models.hand_landmark import HandLandmark
from zoo.models.lightweight_openpose import LightweightOpenPose
from zoo.models.onnx_graph import OnnxGraph
from zoo.models.openpose import OpenPoseBody, OpenPoseHand
from zoo.models.openpose_mobilenet import OpenPoseMobileNet
from zoo.models.openpose_small import OpenPoseSmall
from zoo.models.rtmpose import RtmPose

Model = HandLandmark | LightweightOpenPose | OnnxGraph | OpenPoseBody | OpenPoseHand | OpenPoseMobileNet | OpenPoseSmall | RtmPose

__all__ = [
    "HandLandmark",
    "LightweightOpenPose",
    "Model",
    "OnnxGraph",
    "OpenPoseBody",
    "OpenPoseHand",
    "OpenPoseMobileNet",
    "OpenPoseSmall",
    "RtmPose",
]
