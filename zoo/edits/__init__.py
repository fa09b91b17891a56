"""Graph surgery: the edits that a recipe's `edits:` may name.

Each is `apply(model, preprocess) -> (model, preprocess)`: the graph that was given stays as it was, the
one that comes back passes ONNX's full check and loads, and the preprocessing that comes back is what is
still to be done outside of it.
"""

from zoo.edits.fold_constants import FoldConstants
from zoo.edits.fold_preprocess import FoldPreprocess
from zoo.edits.keep_outputs import KeepOutputs
from zoo.edits.onnxsim import OnnxSim
from zoo.edits.rename import Rename

Edit = OnnxSim | KeepOutputs | Rename | FoldPreprocess | FoldConstants

__all__ = ["Edit", "FoldConstants", "FoldPreprocess", "KeepOutputs", "OnnxSim", "Rename"]
