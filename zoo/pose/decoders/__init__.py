"""From a network's outputs to poses: the one list of decoders that a recipe's `decode:` may name.

A decoder has `skeleton` (the order of its keypoints, a name of `zoo.pose.skeletons`) and
`decode(outputs, affine) -> Poses`. Its fields are the output names (`reads()` says which of them, and
how many channels it takes) and every threshold of its protocol. It never writes into the outputs.
One whose protocol averages maps of several scales has `decode_views(views) -> Poses` as well, each
view the outputs of one scale with their `Affine`; one that can tell which of several turns of an image
is the right way up has `decode_turns(views) -> Poses`.

One whose network looks at one person in a crop has `decode_crops(outputs, affines)` as well: the outputs of N crops of one size and
their N affines give keypoints (N, K, 2) in image pixels, nan where absent, and scores (N, K), 0 where absent; crop i is row i,
whether anything was found in it or not, since whoever cut it knows its box. For a flip test `unmirrored(outputs)` says in
the frame of the crops what a network said of the mirrored ones: those outputs that `reads()` names, to be averaged before decoding.
`encode(...)` makes the targets that such outputs are trained towards.

| to read | file |
|---|---|
| limbs that part affinity fields describe | limbs.py |
| maps made larger, and where they lie in the image | maps.py |
| the same, made only where they are read | resample.py |
| candidates and limbs of maps that are not made larger at all | lazy.py, lazy_compiled.py |
| maps -> candidate keypoints | peaks.py, gaussian.py, candidates.py |
| candidates + fields -> limbs | fields.py, connect.py |
| limbs -> people | assemble.py |
| a detector's boxes -> people, each found once | boxes.py |
| outputs by name, held to their shape | outputs.py |
| what decoders of crops share | crops.py |
| a map's greatest cell -> a place between cells | refine.py |
"""

from zoo.pose.decoders.hand_peaks import HandPeaksDecoder
from zoo.pose.decoders.heatmaps import HeatmapsDecoder
from zoo.pose.decoders.landmarks import LandmarksDecoder
from zoo.pose.decoders.mindspore import MindSporeDecoder
from zoo.pose.decoders.paf import PafDecoder
from zoo.pose.decoders.rtmdet import RtmdetDecoder
from zoo.pose.decoders.simcc import SimccDecoder
from zoo.pose.decoders.tf_pose import TfPoseDecoder
from zoo.pose.decoders.yolox import YoloxDecoder

BottomUp = PafDecoder | TfPoseDecoder | MindSporeDecoder
Decoder = BottomUp | HandPeaksDecoder | LandmarksDecoder | SimccDecoder | HeatmapsDecoder | RtmdetDecoder | YoloxDecoder

__all__ = [
    "Decoder",
    "HandPeaksDecoder",
    "HeatmapsDecoder",
    "LandmarksDecoder",
    "MindSporeDecoder",
    "PafDecoder",
    "RtmdetDecoder",
    "SimccDecoder",
    "TfPoseDecoder",
    "YoloxDecoder",
]
