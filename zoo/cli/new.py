"""`zoo new`"""

from __future__ import annotations

import click

from zoo.cli import options

TEXT = """\
# yaml-language-server: $schema=../docs/schema/recipe.json
# A recipe: everything about one model. `zoo check {name}` says what is wrong with it, `zoo plan {name}` what it
# would do. Every key that is not here, and what each means, stands in docs/schema/recipe.json.
format: 1
name: {name}                  # the file's name without its ending
title: {title}
task: body_pose               # each task has its own tables of the leaderboard
licences:
  weights: unknown            # an SPDX name, or a few words: `zoo show` and the leaderboard repeat it
  code: unknown
  data: unknown
  use: any                    # non-commercial: `--licence commercial` refuses the weights and all that is made from them
paper: ""

# Where the weights come from, in the order in which it is tried: url, pypi, huggingface, file. Mirrors of zoo.yaml
# are searched by digest before any of them. Without a published digest: `hash: none`, then `zoo fetch {name} --pin`.
weights:
  - type: file
    files:
      - name: {name}.pth
        path: {name}.pth      # relative paths start at zoo.yaml's folder; $NAME is taken from the environment
        hash: none
    reader: {{type: pth, file: {name}.pth}}

{network}
edits:                        # graph surgery, in order
  - type: onnxsim

targets:                      # names of zoo.yaml's targets; `zoo doctor` says which run here
  onnxruntime-fp32:
  # onnxruntime-int8:         # needs `calibration:` and a parity gate of its own
  #   keep: ["*/conv5_*"]     # nodes that stay in float
  #   parity: {{snr: 15, reason: why it is looser than fp32's}}

{judged}
published: []                 # {{metric: AP, value: 0.401, protocol: in which protocol, source: where it stands}}
"""

KINDS = {
    "bottom-up": (
        """\
# The architecture: a record in zoo/models/. A new one is a record and a network beside those that are there.
model: {type: lightweight_openpose, refinement_stages: 1}

export:
  input: data
  shape: [1, 3, 256, 456]     # the example input; batch, height and width stay dynamic unless `dynamic:` says less

# Declared once: calibration, parity, accuracy and timing all prepare images like this. (pixel - mean) / std in 0..255.
preprocess:
  fit: {type: height, height: 368, interpolation: cubic, multiple: 8, place: center, min_width: 368}
  order: normalize_then_resize
  colour: bgr
  mean: [128, 128, 128]
  std: [256, 256, 256]
""",
        """\
# calibration: {dataset: calibration, images: 64, method: {type: minmax}}

decode: {type: paf, heatmaps: stage_1_output_1_heatmaps, pafs: stage_1_output_0_pafs}

evaluate:
  - protocol: lightweight_openpose
    title: Lightweight OpenPose's evaluation, height 368, one scale, no flip
    datasets: [coco_val2017]  # those that are not here are passed over
    # gates: {coco_val2017: {AP: 0.38}}

benchmark: {height: 256, width: 456}
""",
    ),
    "top-down": (
        """\
# The architecture: a record in zoo/models/. A new one is a record and a network beside those that are there.
model: {type: rtmpose, variant: m}

export:
  input: input
  shape: [1, 3, 256, 192]
  dynamic: [batch]            # crops of all people share calls

# Declared once: calibration, parity, accuracy and timing all prepare images like this. (pixel - mean) / std in 0..255.
preprocess:
  fit: {type: box, width: 192, height: 256, padding: 1.25}    # one person's box, a quarter larger
  order: resize_then_normalize
  colour: rgb
  mean: [123.675, 116.28, 103.53]
  std: [58.395, 57.12, 57.375]
""",
        """\
# calibration: {dataset: calibration, boxes: {type: detector, recipe: rtmdet_nano_person}, images: 64, method: {type: minmax}}

decode: {type: simcc, x: simcc_x, y: simcc_y}    # or heatmap_peaks; `skeleton:` where it is not coco_17

evaluate:                     # each says whose boxes it was shown: figures with other boxes do not compare
  - protocol: ground_truth_boxes
    title: top-down, boxes of the ground truth, no flip
    datasets: [coco_val2017]  # those that are not here are passed over
    boxes: {type: annotations}
    # gates: {coco_val2017: {AP: 0.75}}
  # - protocol: rtmdet_boxes
  #   title: top-down, boxes of RTMDet-nano, no flip
  #   datasets: [coco_val2017]
  #   boxes: {type: detector, recipe: rtmdet_nano_person, protocol: mmpose}

benchmark: {height: 256, width: 192, batches: [8, 32]}
""",
    ),
}
"""Kind -> what the network is and how its input is made; how it is decoded and judged."""


@click.command("new")
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice([*KINDS]),
    default="bottom-up",
    show_default=True,
    help="Whether the network finds all people of an image, or the keypoints of one in a box.",
)
@options.workspace
def command(name: str, kind: str, workspace: str | None, verbose: bool) -> int:
    """Write recipes/NAME.yaml, commented, to start from. It passes `zoo check` as it stands.

    For a detector see recipes/rtmdet_nano_person.yaml, for a pipeline of networks recipes/rtmdet_simplepose.yaml.
    """
    import re

    from zoo.cli.session import relative
    from zoo.errors import UsageError
    from zoo.files import write_text
    from zoo.recipe.workspace import open_place

    if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", name):
        raise UsageError(f"{name!r} is no name for a recipe", "lower-case letters, digits, _ . -")
    path = open_place(workspace).recipes / f"{name}.yaml"
    if path.exists():
        raise UsageError(f"{relative(path)} exists", "choose another name")
    network, judged = KINDS[kind]
    write_text(path, TEXT.format(name=name, title=name.replace("_", " "), network=network, judged=judged))
    click.echo(f"wrote {relative(path)}; next: zoo check {name}")
    return 0
