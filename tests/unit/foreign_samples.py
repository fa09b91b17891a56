"""Files of other zoos for tests: what is broken in them is broken by the test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

VAMC = """\
name: net_int8
frontend:
  shape:
    input: [1, 3, 184, 320]
  type: onnx
  checkpoint: {folder}/net.onnx
  dtype: fp32
backend:
  type: tvm_vacc
  dtype: int8
  compile:
    cluster_mode: 0
  quantize:
    calibrate_mode: max
    quantize_per_channel: true
dataset:
  type: tvm
  path: {folder}/calib
  sampler:
    suffix: jpg
    get_data_num: 50
  process_ops:
    - type: DecodeImage
    - type: CvtColor
      code: RGB2BGR
    - type: Resize
      size: [184, 320]
    - type: Normalize
      div255: false
      mean: [128, 128, 128]
      std: [256, 256, 256]
    - type: ToTensor
workspace:
  path: ./deploy_weights/
"""
LETTERBOX = """\
    - type: Resize
      size: [512, -1]
      adaptive_side: long
    - type: Pad
      pad_to_square: true
"""
OMZ = """\
description: a network
task_type: human_pose_estimation
files:
  - name: FP32/net.xml
    size: 10
    checksum: {checksum}
    source: https://example.org/FP32/net.xml
  - name: FP32/net.bin
    size: 20
    checksum: {checksum}
    source: https://example.org/FP32/net.bin
input_info:
  - name: data
    shape: [1, 3, 256, 456]
    layout: NCHW
framework: dldt
license: https://example.org/LICENSE
""".format(checksum="0f" * 48)
CHECK = """\
models:
  - name: net
    launchers:
      - framework: openvino
        adapter: human_pose_estimation
    datasets:
      - name: ms_coco_keypoints
        preprocessing:
          - type: resize
            dst_height: 256
            dst_width: 456
        metrics:
          - name: AP
            type: coco_precision
            reference: 0.4
"""
MMPOSE = """\
Collections:
- Name: Net
  Paper: {Title: A network, URL: https://example.org/paper}
  README: https://example.org/readme
Models:
- Config: configs/net_coco-256x192.py
  In Collection: Net
  Metadata: {Architecture: [Net], Training Data: COCO}
  Name: net_coco-256x192
  Results:
  - Dataset: COCO
    Metrics: {AP: 0.7, AR: 0.8}
    Task: Body 2D Keypoint
  Weights: https://example.org/net_coco-256x192-0123abcd_20230126.pth
"""


def vdsp(**changes: Any) -> dict[str, Any]:
    """A vdsp JSON that says what `VAMC` does, with changes; None leaves a key out."""
    config = {
        "IimageFormat": "RGB_PLANAR",
        "IimageWidth": 320,
        "IimageHeight": 184,
        "OimageWidth": 320,
        "OimageHeight": 184,
        "Mean": [128, 128, 128],
        "Std": [256, 256, 256],
        "NormaType": "MINUSMEAN_DIVSTD",
        "ColorCvtCode": "RGB2BGR",
        "ResizeType": "BILINEAR_CV",
    }
    op = changes.pop("OpType", "FUSION_OP_RGB_RESIZE_CVTCOLOR_NORM_TENSOR")
    return {"OpType": op, "OpConfig": {key: value for key, value in (config | changes).items() if value is not None}}


def write(folder: Path, vamc: str = VAMC, **changes: Any) -> Path:
    """A clean tree: vamc/net.yaml, vdsp/net-vdsp_params.json, omz/, mmpose/, and what they name; `changes` to the JSON."""
    for name in ("vamc", "vdsp", "omz", "mmpose", "calib"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "net.onnx").write_bytes(b"")
    (folder / "vamc/net_int8.yaml").write_text(vamc.replace("{folder}", str(folder)))
    (folder / "vdsp/net-vdsp_params.json").write_text(json.dumps(vdsp(**changes), indent=4))
    (folder / "omz/net.yml").write_text(OMZ)
    (folder / "omz/net.accuracy-check.yml").write_text(CHECK)
    (folder / "mmpose/net_coco.yml").write_text(MMPOSE)
    return folder
