"""`zoo doctor`"""

from __future__ import annotations

import click

from zoo.cli import options


@click.command("doctor")
@options.as_json
@options.workspace
def command(as_json: bool, workspace: str | None, verbose: bool) -> int:
    """What this machine can run, what is missing, and what its instruction sets mean for INT8."""
    import msgspec

    from zoo.boxes import DetectionFile
    from zoo.cli.session import Session
    from zoo.datasets import Coco
    from zoo.machine import describe, versions, vnni

    session = Session.open(workspace, verbose=verbose)
    machine = describe()
    place = session.place
    targets = {name: target.backend.available() for name, target in place.declared.targets.items()}
    datasets = {name: dataset.absent(session.context) for name, dataset in place.declared.datasets.items()}
    detections = {
        name: {file: DetectionFile(name=file).lacking(dataset, session.context) for file in dataset.detections}
        for name, dataset in place.declared.datasets.items()
        if isinstance(dataset, Coco)
    }
    tools = versions(["torch", "onnx", "onnxruntime", "openvino", "tensorrt", "tensorrt-rtx-cu13", "polygraphy", "pycocotools", "numpy"])
    if as_json:
        report = {"machine": machine, "targets": targets, "datasets": datasets, "detections": detections, "versions": tools, "vnni": vnni()}
        click.echo(msgspec.json.encode(report).decode())
        return 0
    memory = f", {machine.memory_bytes / 2**30:.0f} GiB" if machine.memory_bytes else ""
    click.echo(f"machine   {place.declared.machine}: {machine.cpu}, {machine.cores} cores{memory}, {machine.os}")
    click.echo(f"ISA       {' '.join(machine.isa) or 'nothing of note'}")
    if vnni():
        click.echo("INT8      VNNI: 8-bit products are summed in 32 bits, models use the full range")
    else:
        click.echo(
            "INT8      no VNNI: sums of u8 x s8 products saturate in 16 bits, so weights get 7 bits (reduce_range) and some accuracy goes"
        )
    if "avx512_bf16" in machine.isa or "amx_bf16" in machine.isa:
        click.echo("bf16      in hardware")
    else:
        click.echo("bf16      not in hardware: OpenVINO computes such targets in f32, and their rows say so")
    click.echo("fp16      ONNX Runtime on a CPU stores fp16 and computes fp32: smaller, not faster")
    for gpu in machine.gpus:
        click.echo(f"GPU       {gpu.name}, compute capability {gpu.compute_capability}, driver {gpu.driver}")
    click.echo("versions  " + ", ".join(f"{name} {version}" for name, version in tools.items()))
    click.echo("\ntargets")
    for name, missing in targets.items():
        runs = place.declared.targets[name].backend.runs
        click.echo(f"  {name:28} " + (f"no: {missing}" if missing else "yes" if runs else "builds here; running needs a GPU"))
    click.echo("\ndatasets")
    for name, absent in datasets.items():
        lacking = [] if absent else [f"{file}: {reason}" for file, reason in detections.get(name, {}).items() if reason]
        click.echo(f"  {name:28} {absent or 'present'}" + (f", but not its detections {'; '.join(lacking)}" if lacking else ""))
    return 0
