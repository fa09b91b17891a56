"""From a network's outputs to poses: the one list of decoders that a recipe's `decode:` may name.

A decoder has `skeleton` (the order of its keypoints, a name of `zoo.pose.skeletons`) and
`decode(outputs, affine) -> Poses`. Its fields are the output names (`reads()` says which of them, and
how many channels it takes) and every threshold of its protocol. It never writes into the outputs.
One whose protocol averages maps of several scales has `decode_views(views) -> Poses` as well, each
view the outputs of one scale with their `Affine`; one that can tell which of several turns of an image
is the right way up has `decode_turns(views) -> Poses`.

| to read | file |
|---|---|
| limbs that part affinity fields describe | limbs.py |
| maps made larger, and where they lie in the image | maps.py |
| the same, made only where they are read | resample.py |
| maps -> candidate keypoints | peaks.py, gaussian.py, candidates.py |
| candidates + fields -> limbs | fields.py, connect.py |
| limbs -> people | assemble.py |
"""

from zoo.pose.decoders.hand_peaks import HandPeaksDecoder
from zoo.pose.decoders.landmarks import LandmarksDecoder
from zoo.pose.decoders.paf import PafDecoder
from zoo.pose.decoders.tf_pose import TfPoseDecoder

Decoder = PafDecoder | TfPoseDecoder | HandPeaksDecoder | LandmarksDecoder

__all__ = ["Decoder", "HandPeaksDecoder", "LandmarksDecoder", "PafDecoder", "TfPoseDecoder"]
