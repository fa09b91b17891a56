"""COCO-WholeBody's figures for the hands of persons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from zoo.errors import ZooError
from zoo.metrics.coco import SIZES, CocoOks, summary
from zoo.metrics.matching import together
from zoo.metrics.truth import Truth
from zoo.pose.coco_results import coco_results
from zoo.pose.keypoints import Poses
from zoo.pose.skeletons import SKELETONS
from zoo.record import Choice

#: The spread of annotators per keypoint of a hand, wrist first, as COCO-WholeBody's evaluation has it; left and right are alike.
HAND_SIGMAS = (
    *(0.029, 0.022, 0.035, 0.037, 0.047, 0.026, 0.025, 0.024, 0.035, 0.018, 0.024),
    *(0.022, 0.026, 0.017, 0.021, 0.021, 0.032, 0.020, 0.019, 0.022, 0.031),
)
SIDES = {"left": "lefthand_kpts", "right": "righthand_kpts"}


class CocoWholebodyHands(Choice, frozen=True, kw_only=True, tag="coco_wholebody_hands"):
    """Average precision and recall over OKS 0.50 to 0.95 of persons' hands, as COCO-WholeBody's evaluation defines them.

    Left hands are evaluated by themselves, and right hands by themselves: the official figures, `AP_left` and `AP_right`.
    AP, AP50, AP75 and AR are the means of the two; where the images hold hands of one side only, they are that side's.
    A person's hand is ranked by the person's score; the scale of its OKS is the person's area. A hand without annotated
    keypoints is ignored, and so is what was found near its person; a hand that was not found is no detection.

    Source: Jin et al., "Whole-Body Human Pose Estimation in the Wild", 2020, and the evaluation published with its data.
    """

    figures: ClassVar[tuple[str, ...]] = ("AP", "AP50", "AP75", "AR", "AP_left", "AP_right")
    evaluator: ClassVar[str] = "pycocotools"
    pairs: ClassVar[bool] = False

    sigmas: Annotated[tuple[float, ...], Meta(description="Spread per keypoint of a hand, wrist first")] = HAND_SIGMAS
    max_detections: Annotated[int, Meta(description="How many hands of a side count in an image, by falling score", ge=1)] = 20

    def results(self, poses: Poses, skeleton: str, image_id: int) -> list[dict[str, Any]]:
        """What is judged of one image: for each person a result in COCO-WholeBody's format, of which only the hands.

        Raises ZooError for a skeleton without two hands."""
        parts = {part.name: list(range(part.start, part.stop)) for part in SKELETONS[skeleton].parts}
        if not {"left_hand", "right_hand"} <= set(parts):
            raise ZooError(f"{skeleton} has no left and right hand", "coco_wholebody_hands judges openpose_18_hands")
        left, right = (coco_results(poses.reordered(parts[f"{side}_hand"]), image_id) for side in SIDES)
        people = [{key: value for key, value in person.items() if key != "keypoints"} for person in left]
        return [
            {**person, SIDES["left"]: one["keypoints"], SIDES["right"]: other["keypoints"]}
            for person, one, other in zip(people, left, right, strict=True)
        ]

    def evaluate(
        self, annotations: Path, image_ids: Sequence[int], detections: Iterable[dict[str, Any]], kept: Path | None = None
    ) -> dict[str, float]:
        """The figures on `image_ids` (0..1), `images`, and `detections`: the hands that were found in them.

        A figure that the images cannot give, because no hand of a side is annotated, is absent. No hands found: zeros.
        Nothing is written into `kept`. Raises StepFailed where the annotations cannot be scored."""
        metric = CocoOks(sigmas=self.sigmas, max_detections=self.max_detections)
        judges = {side: metric.judge(Truth(annotations, image_ids, len(self.sigmas), key)) for side, key in SIDES.items()}
        for ids, people in together(sorted(set(image_ids)), detections):
            for side, key in SIDES.items():
                judges[side].add(ids, [_hand(one, key) for one in people if any(one[key][2::3])])
        by_side = {side: summary(judge.accumulated(), SIZES) for side, judge in judges.items()}
        hands = sum(judge.found for judge in judges.values())
        figures = {f"AP_{side}": judged["AP"] for side, judged in by_side.items() if "AP" in judged}
        for name in ("AP", "AP50", "AP75", "AR"):
            if known := [judged[name] for judged in by_side.values() if name in judged]:
                figures[name] = sum(known) / len(known)
        return {**figures, "images": len(set(image_ids)), "detections": hands}


def _hand(person: dict[str, Any], key: str) -> dict[str, Any]:
    """One hand as a result of its own."""
    return {**{name: person[name] for name in ("image_id", "category_id", "score")}, "keypoints": person[key]}
