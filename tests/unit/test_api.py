"""`zoo.api`: a recipe's name and a target become a function from images to poses."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zoo.api
from zoo.context import Progress
from zoo.errors import StepFailed, UsageError, WeightsUnreachable, ZooError

WORKSPACE = """
format: 1
machine: here
datasets:
  drawn: {type: folder, images: images}
targets:
  onnxruntime-fp32: {backend: {type: onnxruntime}, precision: fp32}
  tensorrt-rtx-fp32: {backend: {type: tensorrt_rtx}, precision: fp32}
"""
RECIPE = """
format: 1
name: small
title: A small network
task: body_pose
licences: {weights: none, code: none, data: none}
weights:
  - type: file
    files: [{name: small.pth, path: small.pth, hash: none}]
    reader: {type: pth, file: small.pth}
model: {type: lightweight_openpose}
export: {input: data, shape: [1, 3, 64, 64]}
preprocess: {fit: {type: stretch, width: 64, height: 64, interpolation: cubic}}
targets: {onnxruntime-fp32: , tensorrt-rtx-fp32: }
decode: {type: paf, heatmaps: stage_1_output_1_heatmaps, pafs: stage_1_output_0_pafs}
benchmark: {height: 64, width: 64}
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    import cv2

    (tmp_path / "zoo.yaml").write_text(WORKSPACE)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "small.yaml").write_text(RECIPE)
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "grey.png"), np.full((10, 20, 3), 77, np.uint8))
    return tmp_path


def test_unknown_target_is_refused_with_the_nearest(workspace: Path) -> None:
    with pytest.raises(UsageError) as error:
        zoo.api.load("small", "onnxruntime-fp23", workspace=workspace)
    assert "did you mean onnxruntime-fp32?" in error.value.hint


def test_target_that_only_builds_is_refused(workspace: Path) -> None:
    with pytest.raises(UsageError, match="can be built but not run"):
        zoo.api.load("small", "tensorrt-rtx-fp32", workspace=workspace)


def test_unknown_recipe_is_refused_with_the_nearest(workspace: Path) -> None:
    with pytest.raises(UsageError) as error:
        zoo.api.load("smal", "onnxruntime-fp32", workspace=workspace)
    assert "did you mean small?" in error.value.hint


def test_step_that_fails_raises_its_own_error(workspace: Path) -> None:
    with pytest.raises(WeightsUnreachable, match=r"small\.pth"):
        zoo.api.load("small", "onnxruntime-fp32", workspace=workspace)


def test_images_of_a_dataset_come_with_their_names(workspace: Path) -> None:
    ((name, image),) = zoo.api.images("drawn", workspace=workspace)
    assert name == "grey.png"
    assert image.shape == (10, 20, 3) and (image == 77).all()


def test_unknown_dataset_is_refused(workspace: Path) -> None:
    with pytest.raises(UsageError, match="no dataset painted"):
        list(zoo.api.images("painted", workspace=workspace))


def test_absent_dataset_says_why(workspace: Path) -> None:
    (workspace / "images" / "grey.png").unlink()
    with pytest.raises(StepFailed, match="no images"):
        list(zoo.api.images("drawn", workspace=workspace))


@pytest.mark.assets
def test_real_model_is_built_once_and_finds_the_people(assets: Path, tmp_path: Path) -> None:
    import cv2

    root = Path(__file__).parent.parent.parent
    declared = (root / "zoo.yaml").read_text(encoding="utf-8").replace("../shared/assets", str(assets))
    (tmp_path / "zoo.yaml").write_text(declared, encoding="utf-8")
    (tmp_path / "recipes").symlink_to(root / "recipes")
    news: list[Progress] = []
    path = assets / "coco_mini" / "images" / "000000197388.jpg"
    with zoo.api.load("human_pose_estimation_0001", "onnxruntime-fp32", workspace=tmp_path, offline=True, listener=news.append) as model:
        image = cv2.imread(str(path))
        poses = model(image)
        assert model.skeleton.name == "openpose_18"
        with pytest.raises(ZooError, match="uint8"):
            model(image[..., 0])
    assert not any("tensorrt" in one.action or "parity" in one.action for one in news)
    assert poses.keypoints.shape[1:] == (18, 2)
    for x, y, width, height in _people(assets, path.name):
        centres = (poses.boxes[:, :2] + poses.boxes[:, 2:]) / 2
        inside = (centres > (x, y)).all(axis=1) & (centres < (x + width, y + height)).all(axis=1)
        assert inside.any(), f"nobody was found in {(x, y, width, height)}"

    news.clear()
    with zoo.api.load("human_pose_estimation_0001", "onnxruntime-fp32", workspace=tmp_path, offline=True, listener=news.append) as model:
        assert np.array_equal(model(image).keypoints, poses.keypoints, equal_nan=True)
    assert not news, "what is in the store was made again"


def _people(assets: Path, name: str) -> list[tuple[float, float, float, float]]:
    """The boxes of those who are large and labelled."""
    import json

    labels: Mapping[str, Any] = json.loads((assets / "coco_mini" / "annotations" / "person_keypoints_val_mini.json").read_text())
    (image,) = (one["id"] for one in labels["images"] if one["file_name"] == name)
    found = [one["bbox"] for one in labels["annotations"] if one["image_id"] == image and one["num_keypoints"] > 12 and one["area"] > 96**2]
    assert found
    return found
