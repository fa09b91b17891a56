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

# The architecture: a record in zoo/models/. A new one is a record and a network beside those that are there.
model: {{type: lightweight_openpose, refinement_stages: 1}}

export:
  input: data
  shape: [1, 3, 256, 456]     # the example input; batch, height and width stay dynamic unless `dynamic:` says less

# Declared once: calibration, parity, accuracy and timing all prepare images like this. (pixel - mean) / std in 0..255.
preprocess:
  fit: {{type: height, height: 368, interpolation: cubic, multiple: 8, place: center, min_width: 368}}
  order: normalize_then_resize
  colour: bgr
  mean: [128, 128, 128]
  std: [256, 256, 256]

edits:                        # graph surgery, in order
  - type: onnxsim

targets:                      # names of zoo.yaml's targets; `zoo doctor` says which run here
  onnxruntime-fp32:
  # onnxruntime-int8:         # needs `calibration:` and a parity gate of its own
  #   keep: ["*/conv5_*"]     # nodes that stay in float
  #   parity: {{snr: 15, reason: why it is looser than fp32's}}

# calibration: {{dataset: calibration, images: 64, method: {{type: minmax}}}}

decode: {{type: paf, heatmaps: stage_1_output_1_heatmaps, pafs: stage_1_output_0_pafs}}

evaluate:
  - protocol: lightweight_openpose
    title: Lightweight OpenPose's evaluation, height 368, one scale, no flip
    datasets: [coco_val2017]  # those that are not here are passed over
    # gates: {{coco_val2017: {{AP: 0.38}}}}

benchmark: {{height: 256, width: 456}}

published: []                 # {{metric: AP, value: 0.401, protocol: in which protocol, source: where it stands}}
"""


@click.command("new")
@click.argument("name")
@options.workspace
def command(name: str, workspace: str | None, verbose: bool) -> int:
    """Write recipes/NAME.yaml, commented, to start from. It passes `zoo check` as it stands."""
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
    write_text(path, TEXT.format(name=name, title=name.replace("_", " ")))
    click.echo(f"wrote {relative(path)}; next: zoo check {name}")
    return 0
