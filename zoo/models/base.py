"""What every architecture says of itself, and what all of them do alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from zoo.models.state import load_state
from zoo.pose.skeletons import SKELETONS
from zoo.record import Choice


class Architecture(Choice, frozen=True, kw_only=True):
    """A network as a recipe names it: its fields are its parameters, its module takes the official weights key for key."""

    #: pixels of the input for one cell of the last map: heights and widths are multiples of it
    stride: ClassVar[int]
    #: the name of its skeleton in `zoo.pose.skeletons`
    skeleton: ClassVar[str]
    #: what its authors call its input
    input: ClassVar[str]

    @property
    def size(self) -> tuple[int, int] | None:
        """The only height and width that it takes; None where any multiple of the stride will do."""
        return None

    @property
    def keypoints(self) -> int:
        """How many keypoints a pose has: those of its skeleton."""
        return len(SKELETONS[self.skeleton].keypoints)

    @property
    def outputs(self) -> dict[str, int]:
        """Name -> channels (axis 1), in the order of the module's outputs."""
        raise NotImplementedError

    @property
    def gains(self) -> Mapping[str, float]:
        """Prefix of keys -> gain of seeded weights, where the usual one would let activations grow or fade: `zoo.weights.seeded`."""
        return {}

    def module(self) -> Any:
        """The network with random weights, for evaluation: (N, 3, H, W) -> `outputs`. Raises MissingTool without torch."""
        raise NotImplementedError

    def ignorable(self, state: Mapping[str, Any]) -> str:
        """A regular expression of the keys of `state` that may be left out of the module; empty: none."""
        return ""

    def load(self, module: Any, state: Mapping[str, Any]) -> tuple[str, ...]:
        """Load a state dict; returns the keys that were left out. Raises StepFailed where it is not of this network."""
        return load_state(module, state, self.ignorable(state))


class HeatmapArchitecture(Architecture, frozen=True, kw_only=True):
    """One whose last channel of heatmaps is the background."""

    num_heatmaps: Annotated[int, Meta(description="keypoints and the background", ge=2)] = 19

    @property
    def keypoints(self) -> int:
        """How many keypoints a pose has."""
        return self.num_heatmaps - 1


class PafArchitecture(HeatmapArchitecture, frozen=True, kw_only=True):
    """One that tells who a keypoint belongs to by part affinity fields (PAFs) along the limbs: OpenPose's kind."""

    num_pafs: Annotated[int, Meta(description="two channels for each limb", ge=2, multiple_of=2)] = 38

    stride: ClassVar[int] = 8
    skeleton: ClassVar[str] = "openpose_18"

    @property
    def outputs(self) -> dict[str, int]:
        """Name -> channels, in the order of the module's outputs, each (N, channels, H / 8, W / 8): the last stage's."""
        return {"pafs": self.num_pafs, "heatmaps": self.num_heatmaps}
