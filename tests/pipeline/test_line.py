"""The whole line on a tiny network with seeded weights, and images in COCO's real layout: recipe -> results, leaderboard."""

import functools
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from workspaces import RECIPE, Small, Zoo, annotate, changed, made, picture, state, states

from zoo.cli import run
from zoo.datasets import Coco
from zoo.machine import isa
from zoo.measure.isolated import Isolated
from zoo.recipe.workspace import open_place
from zoo.steps.latency import MeasureLatency

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

ROOT = Path(__file__).parents[2]
TARGETS = """\
  onnxruntime-fp32:
  onnxruntime-fp16:
  onnxruntime-int8: {parity: {snr: 15, reason: eight bits are few}}
  openvino-fp32:
  openvino-fp32-folded:
    edits:
      - type: fold_preprocess
      - type: keep_outputs
        outputs: [stage_1_output_0_pafs, stage_1_output_1_heatmaps]
  openvino-bf16: {parity: {snr: 25, reason: a tiny network averages little}}
  openvino-int8: {parity: {snr: 15, reason: eight bits are few}}
"""
RTX = """\
  tensorrt-rtx-fp32:
  tensorrt-rtx-fp16:
  tensorrt-rtx-int8: {parity: {snr: 15, reason: built and not run}}
"""
ONE = "  onnxruntime-fp32:\n"
NETWORK = "tiny/onnxruntime-fp32"
CELL = f"{NETWORK}/accuracy/coco_val2017/original"
WAY = f"{NETWORK}/end_to_end/original"


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    """Nobody reads these timings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zoo.engine.network.MeasureLatency", functools.partial(MeasureLatency, seconds=0.01, runs=3))
        patch.setattr("zoo.steps.end_to_end.run_isolated", lambda work, *given, context: Isolated(work(*given, context=context), 1))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.delenv("ZOO_WORKSPACE", raising=False)
        yield


@pytest.fixture(scope="module")
def _line(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """A workspace in which `tiny` was evaluated on all targets; half of what its network finds is what it should find."""
    folder = tmp_path_factory.mktemp("line")
    small = Small.make(folder / "workspace")
    # $ZOO_COCO is another folder than the workspace's own, as on a machine that has COCO
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_COCO", str(folder / "COCO"))
        small.recipe((ONE, TARGETS))
        small.images()
        shutil.move(small.root / "coco", folder / "COCO")
        small.weights()
        assert run(["eval", "tiny", "-t", "onnxruntime-fp32", "--limit", "3", "--workspace", str(small.root)]) == 0
        small.teach(CELL, folder / "COCO" / "annotations" / "person_keypoints_val2017.json")
        assert run(["eval", "tiny", "-t", "*", "--workspace", str(small.root)]) == 0
    return small


@pytest.fixture
def line(_line: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    """A copy of that workspace, in the current folder."""
    root = tmp_path / "workspace"
    small = _line.copied(root)
    shutil.copytree(_line.root.parent / "COCO", tmp_path / "COCO", copy_function=shutil.copy2)
    monkeypatch.setenv("ZOO_COCO", str(tmp_path / "COCO"))
    monkeypatch.chdir(root)
    return small


def result(small: Small, target: str = "onnxruntime-fp32") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((small.root / f"results/here/tiny/{target}.json").read_text())
    return found


def objects(small: Small) -> list[Path]:
    return sorted((small.root / ".zoo/objects").glob("*"))


def test_val2017_is_declared_here_as_it_is_in_the_zoo(line: Small) -> None:
    real, here = (open_place(str(root)).declared.datasets["coco_val2017"] for root in (ROOT, line.root))
    assert isinstance(real, Coco) and isinstance(here, Coco)
    assert (real.images, real.annotations) == (here.images, here.annotations)


def test_an_evaluation_in_cocos_layout_gives_pycocotools_figures(line: Small) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    (report,) = result(line)["accuracy"]
    truth = COCO(os.environ["ZOO_COCO"] + "/annotations/person_keypoints_val2017.json")
    judge = COCOeval(truth, truth.loadRes(str(line.artifact(CELL) / "detections.json")), "keypoints")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    names = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50")
    wanted = {name: None if value == -1 else value for name, value in zip(names, judge.stats[:7], strict=True)}
    assert report["figures"] == pytest.approx(wanted)
    assert 0.2 < report["figures"]["AP"] < 0.9, "the test proves nothing"
    assert (report["images"], report["dataset"]["name"], report["skipped"]) == (3, "coco_val2017", [])
    assert report["protocol"]["decode"]["upsample"] == 8 and len(report["fingerprint"]) == 64


def test_the_leaderboard_has_the_row_and_its_protocol(line: Small) -> None:
    text = (line.root / "LEADERBOARD.md").read_text()
    (heading,) = re.findall(r"^## Body.*", text, re.MULTILINE)
    assert heading == "## Body pose: COCO val2017 (The original's evaluation)"
    header, _, *rows = [re.split(r" *\| *", row.strip("| ")) for row in text.splitlines() if row.startswith("|")]
    assert {row[header.index("target")] for row in rows} == {
        name.strip().partition(":")[0] for name in TARGETS.splitlines() if name[2] in "ot"
    }
    best = next(row for row in rows if row[header.index("target")] == "onnxruntime-fp32")
    ap = result(line)["accuracy"][0]["figures"]["AP"]
    assert best[header.index("AP")] == f"{ap:.4f}".removeprefix("0") and best[header.index("parity")] == "ok, equal"


def test_a_second_run_knows_everything_and_writes_the_same(line: Small, zoo: Zoo) -> None:
    before = line.published()
    again = zoo("eval", "tiny", "-t", "*")
    assert again.code == 0 and made(again) == [] and line.published() == before
    assert set(states(zoo, "tiny", "-t", "*").values()) == {"known"}
    assert zoo("board", "--check", "--current", "tiny").code == 0


def test_another_decoder_measures_accuracy_again_and_compiles_nothing(line: Small, zoo: Zoo) -> None:
    line.recipe((ONE, TARGETS), ("pafs: stage_1_output_0_pafs}", "pafs: stage_1_output_0_pafs, min_keypoints: 9}"))
    told = states(zoo, "tiny")
    assert {id for id, state in told.items() if state != "known"} == {id for id in told if "/accuracy/" in id or "/end_to_end/" in id}
    outdated = zoo("board", "--current", "tiny")
    assert outdated.code == 1 and "tiny/onnxruntime-fp32 is outdated" in outdated.out
    before = result(line)["accuracy"][0]
    run_ = zoo("eval", "tiny", "-t", "onnxruntime-fp32")
    assert run_.code == 0 and made(run_) == [CELL, WAY]
    after = result(line)["accuracy"][0]
    assert after["detections"] < before["detections"] and after["fingerprint"] != before["fingerprint"]


def test_other_images_measure_again_and_an_untouched_dataset_does_not(line: Small, zoo: Zoo) -> None:
    path = Path(os.environ["ZOO_COCO"], "val2017", "000000000002.jpg")
    os.utime(path, ns=(0, 0))
    assert set(states(zoo, "tiny").values()) == {"known"}, "the time of a file is not its content"
    picture(path, 77)
    told = states(zoo, "tiny")
    assert {id for id, state in told.items() if state != "known"} == {id for id in told if "/accuracy/" in id or "/end_to_end/" in id}


COMPUTED_IN = {
    "onnxruntime-fp32": "fp32",
    "onnxruntime-fp16": "fp32 (a float16 file, cast)",
    "onnxruntime-int8": "int8",
    "openvino-fp32": "fp32",
    "openvino-fp32-folded": "fp32",
    "openvino-bf16": "bf16" if {"avx512_bf16", "amx_bf16"} & set(isa()) else "fp32",
    "openvino-int8": "int8",
}


@pytest.mark.parametrize("target", COMPUTED_IN)
def test_every_target_is_compared_judged_and_timed(line: Small, target: str) -> None:
    if target == "onnxruntime-fp16" and not {"avx2"} & set(isa()):
        pytest.skip("this processor may compute float16 itself")
    found = result(line, target)
    reports = [found["parity"], *found["accuracy"], found["latency"], *found["end_to_end"]]
    assert [report["type"] for report in reports] == ["parity", "accuracy", "latency", "end_to_end"]
    assert found["end_to_end"][0]["share"] > 0 and found["end_to_end"][0]["protocols"] == ["original"]
    assert {report["computed_in"] for report in reports} == {COMPUTED_IN[target]}
    stages = {(one["reference"], one["candidate"]) for one in found["parity"]["comparisons"]}
    assert stages == {("PyTorch", "exported ONNX"), ("PyTorch", "edited ONNX"), ("edited ONNX", "target")}
    assert all(one["image"] in ("0.png", "1.png") for one in found["parity"]["comparisons"]), "parity is on real images"
    assert {one["reason"] for one in found["parity"]["comparisons"]} - {""} == (
        {"eight bits are few"} if "int8" in target else {"a tiny network averages little"} if "bf16" in target else set()
    )
    assert found["latency"]["shapes"] == {"data": [1, 3, 64, 64]} and found["latency"]["timing"]["batch"] == 1
    assert 0 < found["latency"]["claim"]["share"] < 1, "every timing is held against the roof"
    assert found["key"] and found["definition"] and found["size_bytes"] > 1e6


def test_smaller_precisions_make_smaller_files(line: Small) -> None:
    sizes = {target: result(line, target)["size_bytes"] for target in COMPUTED_IN}
    assert sizes["onnxruntime-fp16"] < 0.55 * sizes["onnxruntime-fp32"] and sizes["onnxruntime-int8"] < 0.35 * sizes["onnxruntime-fp32"]


def test_the_folded_model_takes_raw_pixels_and_finds_the_same_people(line: Small) -> None:
    from zoo.backends import OpenVino
    from zoo.pose.preprocess import Preprocess
    from zoo.steps.bundle import preprocess

    plain, folded = (line.artifact(f"tiny/openvino-fp32{suffix}/compile") for suffix in ("", "-folded"))
    assert {path.suffix for path in folded.iterdir()} == {".xml", ".bin", ".json"}
    raw: Preprocess = preprocess(folded)
    assert set(raw.mean) == {0} and set(raw.std) == {1} and raw.colour == "bgr"
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    tensor, _ = raw.prepare(image)
    assert np.array_equal(tensor[0], image.transpose(2, 0, 1).astype(np.float32)), "raw BGR 0..255 goes in"
    names = ("stage_1_output_0_pafs", "stage_1_output_1_heatmaps")
    with OpenVino().open(plain, threads=1) as one, OpenVino().open(folded, threads=1) as two:
        assert tuple(two.outputs) == names
        wanted = one({"data": preprocess(plain).prepare(image)[0]})
        got = two({"data": tensor})
    for name in names:
        assert np.abs(wanted[name] - got[name]).max() <= 1e-4 * np.abs(wanted[name]).max()
    found, same = (
        json.loads((line.artifact(f"tiny/openvino-fp32{suffix}/accuracy/coco_val2017/original") / "detections.json").read_text())
        for suffix in ("", "-folded")
    )
    # people of equal score may come in another order; each has its like
    assert len(found) == len(same) > 3
    points = [np.array([person["keypoints"] for person in people]) for people in (found, same)]
    assert max(np.abs(points[1] - one).max(axis=1).min() for one in points[0]) < 0.5


def test_tensorrt_rtx_builds_every_precision_and_the_rows_say_that_they_were_not_run(line: Small, zoo: Zoo) -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    line.recipe((ONE, TARGETS + RTX))
    built = zoo("eval", "tiny", "-t", "tensorrt-rtx-*")
    assert built.code == 0, built.err
    for precision in ("fp32", "fp16", "int8"):
        found = result(line, f"tensorrt-rtx-{precision}")
        assert found["note"] == "built with TensorRT-RTX, not run" and found["computed_in"] == ""
        assert {found["parity"]["word"], found["latency"]["word"], *(cell["word"] for cell in found["accuracy"])} == {"not run"}
        assert (line.artifact(f"tiny/tensorrt-rtx-{precision}/compile") / "model.engine").stat().st_size > 1e5
    row = next(
        row for row in (line.root / "LEADERBOARD.md").read_text().splitlines() if "tensorrt-rtx-fp32 " in row and row.startswith("|")
    )
    assert "ok," not in row, "a parity that was never measured"


def test_weights_of_ones_own_never_enter_the_results(line: Small, zoo: Zoo) -> None:
    before = line.published()
    torch.save({"state_dict": {key: value * 1.5 if value.ndim > 1 else value for key, value in state().items()}}, "mine.pth")
    said = zoo("eval", "tiny", "-t", "onnxruntime-fp32", "--weights", "mine.pth", "--json")
    (found,) = json.loads(said.out)
    assert said.code == 0 and line.published() == before
    assert found["weights"]["substitute"] == "own file mine.pth"
    assert found["accuracy"][0]["figures"] != result(line)["accuracy"][0]["figures"]
    assert set(states(zoo, "tiny").values()) == {"known"}, "the recipe's own were disturbed"


def test_a_part_of_the_images_never_enters_the_results(line: Small, zoo: Zoo) -> None:
    before = line.published()
    (found,) = json.loads(zoo("eval", "tiny", "-t", "onnxruntime-fp32", "--limit", "2", "--json").out)
    (report,) = found["accuracy"]
    assert (report["images"], report["dataset"]["subset"]) == (2, "the first 2")
    assert report["fingerprint"] != result(line)["accuracy"][0]["fingerprint"], "a part is another protocol"
    assert line.published() == before


def test_calibration_images_in_an_evaluation_set_are_refused_or_left_out(line: Small, zoo: Zoo) -> None:
    image = sorted((line.root.parent / "COCO" / "val2017").glob("*.jpg"))[1]
    shutil.copy(image, line.root / "other" / "holiday.jpg")
    said = zoo("eval", "tiny", "-t", "onnxruntime-fp32")
    assert said.code == 2 and "holiday.jpg" in said.err and "leave_out: true" in said.err
    line.recipe(("calibration: {dataset: other,", "calibration: {leave_out: true, dataset: other,"))
    (found,) = json.loads(zoo("eval", "tiny", "-t", "onnxruntime-fp32", "--json").out)
    (report,) = found["accuracy"]
    assert (report["images"], report["dataset"]["subset"]) == (2, "all but 1 that it is calibrated on")
    judged = json.loads((line.artifact(CELL) / "detections.json").read_text())
    assert int(image.stem) not in {person["image_id"] for person in judged}


def test_an_output_that_an_edit_renames_is_still_held_against_the_original(line: Small, zoo: Zoo) -> None:
    line.recipe(
        ("  - type: onnxsim\n", "  - type: onnxsim\n  - {type: rename, names: {stage_1_output_0_pafs: pafs}}\n"),
        ("pafs: stage_1_output_0_pafs}", "pafs: pafs}"),
    )
    (found,) = json.loads(zoo("eval", "tiny", "-t", "onnxruntime-fp32", "--json").out)
    compared = [(one["candidate"], one["output"]) for one in found["parity"]["comparisons"]]
    assert ("exported ONNX", "stage_1_output_0_pafs") in compared
    assert ("edited ONNX", "pafs") in compared and ("target", "pafs") in compared


def test_images_and_labels_of_ones_own_are_judged_and_never_enter_the_results(line: Small, zoo: Zoo) -> None:
    before = line.published()
    coco = Path(os.environ["ZOO_COCO"])
    shutil.copy(coco / "val2017/000000000001.jpg", "mine.jpg")
    found = [p for p in json.loads((line.artifact(CELL) / "detections.json").read_text()) if p["image_id"] == 1]
    points = [np.reshape(person["keypoints"], (17, 3)).tolist() for person in found]
    annotate(Path("labels.json"), {5: points}, {5: "mine.jpg"})
    said = zoo("eval", "tiny", "-t", "onnxruntime-fp32", "--images", ".", "--labels", "labels.json", "--json")
    (report,) = json.loads(said.out)[0]["accuracy"]
    assert said.code == 0 and report["dataset"]["name"] == "own" and report["images"] == 1
    assert report["figures"]["AP"] == pytest.approx(1), "the labels are what the network finds"
    assert line.published() == before


@pytest.mark.parametrize("harm", ["cut off", "missing", "no image"])
def test_a_bad_image_is_named_and_stops_the_evaluation(line: Small, zoo: Zoo, harm: str) -> None:
    path = Path(os.environ["ZOO_COCO"], "val2017", "000000000002.jpg")
    data = path.read_bytes()
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(data[: len(data) // 2] if harm == "cut off" else b"<html>not found</html>")
    stopped = zoo("eval", "tiny", "-t", "onnxruntime-fp32")
    assert stopped.code == 4 and "000000000002.jpg" in stopped.err and "--skip-bad-images" in stopped.err
    (cell,) = result(line)["accuracy"]
    assert cell["type"] == "failure" and "000000000002.jpg" in cell["message"]
    assert "figures" not in cell and result(line)["latency"]["type"] == "latency", "the other cells stand"
    before = line.published()
    passed = zoo("eval", "tiny", "-t", "onnxruntime-fp32", "--skip-bad-images")
    assert passed.code == 0 and "1 bad image skipped (000000000002.jpg)" in passed.out
    report = json.loads((line.artifact(CELL) / "report.json").read_text())
    assert (report["images"], report["skipped"]) == (2, ["000000000002.jpg"])
    assert line.published() == before, "figures without some of the images are not the recipe's"


def hostile(path: Path) -> None:
    import pickle

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (path.with_name("OWNED"),)

    path.write_bytes(pickle.dumps({"state_dict": {"weight": Evil()}}))


def renamed(path: Path) -> None:
    weights = state()
    for key in list(weights)[:12]:
        weights[f"{key}_renamed"] = weights.pop(key)
    torch.save({"state_dict": weights}, path)


BAD_WEIGHTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a hostile pickle": (hostile, r"tiny\.pth: is not a checkpoint of plain tensors.*\n.*nothing in it was run"),
    "a file that is cut off": (lambda path: path.write_bytes(path.read_bytes()[:100_000]), r"tiny\.pth: cannot be read as a checkpoint"),
    "a page instead of a file": (lambda path: path.write_text("<html>not found</html>"), r"tiny\.pth: "),
    "an empty file": (lambda path: path.write_bytes(b""), r"tiny\.pth: "),
    "no state dict": (lambda path: torch.save({"state_dict": [1, 2]}, path), r"tiny\.pth: holds a list where a state dict was expected"),
    "other keys": (
        renamed,
        r"12 keys missing: model\.0\.0\.weight, (?:\S+, ){8}\S+, and 2 more; "
        r"12 keys unexpected: model\.0\.0\.weight_renamed, (?:\S+, ){8}\S+, and 2 more",
    ),
    "another shape": (
        lambda path: torch.save({"state_dict": state() | {"model.0.0.weight": torch.zeros(1, 2)}}, path),
        r"1 keys of another shape: model\.0\.0\.weight \(1, 2\) instead of \(32, 3, 3, 3\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", BAD_WEIGHTS)
def test_bad_weights_are_refused_and_no_model_comes_into_the_store(line: Small, zoo: Zoo, fault: str) -> None:
    harm, said = BAD_WEIGHTS[fault]
    harm(line.root / "tiny.pth")
    before = objects(line)
    found = zoo("build", "tiny", "-t", "onnxruntime-fp32")
    assert found.code == 4 and re.search(said, found.err), found.err
    assert "Traceback" not in found.err and "Warning" not in found.err and not (line.root / "OWNED").exists()
    new = set(objects(line)) - set(before)
    # a sound file of another network is kept as the file that it is; nothing was made of it
    assert {path.name for folder in new for path in folder.iterdir()} <= {"tiny.pth", "provenance.json"}
    assert not new or fault in ("other keys", "another shape")
    assert not list((line.root / ".zoo/working").iterdir()) and zoo("fsck").code == 0
    line.weights()
    mended = zoo("build", "tiny", "-t", "onnxruntime-fp32")
    assert mended.code == 0 and re.search(r"^tiny +onnxruntime-fp32 +known +ok", mended.out, re.MULTILINE)


def test_weights_of_another_digest_are_refused(line: Small, zoo: Zoo) -> None:
    line.recipe((ONE, TARGETS), ("hash: none", f"hash: sha256:{'0' * 64}"))
    before = objects(line)
    found = zoo("build", "tiny")
    assert found.code == 4 and "is refused" in found.err and f"expected sha256:{'0' * 64}" in found.err
    assert objects(line) == before


def test_a_rehearsal_is_built_compared_and_timed_and_never_scored(line: Small, zoo: Zoo) -> None:
    (line.root / "tiny.pth").unlink()
    refused = zoo("eval", "tiny", "-t", "onnxruntime-fp32", "--offline", "--results", "elsewhere")
    assert refused.code == 4 and "--rehearse" in refused.err, "seeded weights are never the default"
    found = zoo("eval", "tiny", "-t", "onnxruntime-fp32", "--offline", "--rehearse")
    assert found.code == 0
    row = result(line)
    assert row["weights"]["rehearsal"] and row["parity"]["type"] == "parity" and row["latency"]["type"] == "latency"
    assert [(cell["type"], cell["word"]) for cell in row["accuracy"]] == [("failure", "rehearsal")]
    (written,) = [line for line in (line.root / "LEADERBOARD.md").read_text().splitlines() if "| onnxruntime-fp32 " in line]
    header = next(line for line in (line.root / "LEADERBOARD.md").read_text().splitlines() if line.startswith("|   # "))
    cells = dict(zip(*(re.split(r" *\| *", text.strip("| ")) for text in (header, written)), strict=True))
    assert {cells[name] for name in ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50")} == {"rehearsal"}


def test_a_rehearsal_uses_the_real_weights_where_they_can_be_had(line: Small, zoo: Zoo) -> None:
    said = zoo("eval", "tiny", "-t", "onnxruntime-fp32", "--rehearse")
    assert said.code == 0 and made(said) == ["tiny/fetch"] and result(line)["accuracy"][0]["type"] == "accuracy"


def test_a_failed_parity_is_a_failed_cell_with_its_worst_output(line: Small, zoo: Zoo) -> None:
    line.recipe((ONE, "  onnxruntime-fp16: {parity: {snr: 150}}\n"))
    found = zoo("eval", "tiny")
    assert found.code == 5
    failed = [one for one in result(line, "onnxruntime-fp16")["parity"]["comparisons"] if one["candidate"] == "target"]
    worst = min(failed, key=lambda one: one["snr_db"])
    where = f"farthest apart at {worst['output']}{worst['where']} of {worst['image']}: {worst['found']:.6g} for {worst['expected']:.6g}"
    figure = f"{worst['snr_db']:.1f} dB (at least 150 dB)"
    board = (line.root / "LEADERBOARD.md").read_text()
    for said in (figure, where):
        assert said in found.err and said in found.out and said in board
    assert re.search(rf"^\| .*\| FAILED, {worst['snr_db']:.1f} dB +\|", board, re.MULTILINE)
    assert result(line, "onnxruntime-fp16")["accuracy"][0]["type"] == "accuracy", "the others of its cells are measured"


def test_a_figure_under_its_gate_ends_in_5_and_is_told(line: Small, zoo: Zoo) -> None:
    ap = result(line)["accuracy"][0]["figures"]["AP"]
    gates = "    gates: {coco_val2017: {AP: 0.99, AR50: 0.1}}\n"
    line.recipe((ONE, TARGETS), ("benchmark:", f"{gates}benchmark:"))
    for _ in range(2):
        found = zoo("eval", "tiny", "-t", "onnxruntime-fp32")
        assert found.code == 5 and f"AP {ap:.4f} is under the promised 0.99" in found.err
    assert f"AP {ap:.4f} is under the promised 0.99" in (line.root / "LEADERBOARD.md").read_text()
    assert zoo("eval", "tiny", "-t", "onnxruntime-fp32", "--limit", "1").code == 0, "a part promises nothing"


def test_a_recipe_is_judged_in_each_protocol_on_each_dataset_that_is_here(line: Small, zoo: Zoo) -> None:
    coco = Path(os.environ["ZOO_COCO"])
    shutil.copytree(coco / "val2017", coco / "train2017")
    shutil.copy(coco / "annotations/person_keypoints_val2017.json", coco / "annotations/person_keypoints_train2017.json")
    second = (
        "  - protocol: stretched\n    title: Stretched\n    datasets: [coco_val2017]\n    fit: {type: stretch, width: 64, height: 64}\n"
    )
    line.recipe((ONE, ONE), ("benchmark:", f"{second}benchmark:"))
    found = zoo("eval", "tiny")
    assert found.code == 0
    tables = [(cell["dataset"]["name"], cell["protocol"]["name"], cell["figures"]["AP"]) for cell in result(line)["accuracy"]]
    assert [table[:2] for table in tables] == [("coco_val2017", "original"), ("coco_train2017", "original"), ("coco_val2017", "stretched")]
    assert tables[0][2] == tables[1][2] != tables[2][2]
    assert len(re.findall(r"^## Body pose", (line.root / "LEADERBOARD.md").read_text(), re.MULTILINE)) == 3


def test_a_protocol_is_held_against_another_and_the_leaderboard_shows_by_how_much_they_differ(line: Small, zoo: Zoo) -> None:
    lazy = (
        "  - protocol: lazy\n    title: Lazy\n    datasets: [coco_val2017]\n    against: original\n"
        "    decode: {type: paf, heatmaps: stage_1_output_1_heatmaps, pafs: stage_1_output_0_pafs, resolution: lazy}\n"
    )
    line.recipe(("benchmark:", f"{lazy}benchmark:"))
    found = zoo("eval", "tiny")
    assert found.code == 0, found.err
    assert made(found)[-2:] == [f"{NETWORK}/difference/coco_val2017/lazy", f"{NETWORK}/end_to_end/lazy"]
    row = result(line)
    (told,), ap = row["differences"], {cell["protocol"]["name"]: cell["figures"]["AP"] for cell in row["accuracy"]}
    assert told["difference"] == pytest.approx(ap["lazy"] - ap["original"]) != 0
    assert (told["protocol"], told["against"], told["images"], told["apart"]) == ("lazy", "original", 3, 0)
    for text in (found.out, (line.root / "LEADERBOARD.md").read_text()):
        assert "AP against original" in text and re.search(r"[+-]\.\d{4} \([+-]\.\d{4} \.\. [+-]\.\d{4}\)", text)
    again = zoo("eval", "tiny")
    assert again.code == 0 and made(again) == [] and result(line) == row


def test_beside_a_recipe_that_is_trained_stands_what_perfect_targets_would_give(line: Small, zoo: Zoo) -> None:
    train = "train: {dataset: coco_train2017, epochs: 1, batch: 1, optimizer: {type: adam, lr: 0.001}}\n"
    judged = ("[coco_val2017, coco_train2017]", "[coco_val2017]")
    line.recipe((ONE, TARGETS), ("benchmark:", f"{train}benchmark:"), judged)
    before = result(line)
    found = zoo("eval", "tiny", "-t", "onnxruntime-fp32", "-t", "openvino-fp32")
    assert found.code == 0, found.err
    assert made(found) == ["tiny/ceiling/coco_val2017/original"], "one for all targets, and nothing else is known no more"
    for target in ("onnxruntime-fp32", "openvino-fp32"):
        (told,) = result(line, target)["ceilings"]
        assert (told["protocol"], told["dataset"]) == ("original", before["accuracy"][0]["dataset"])
    for text in (found.out, (line.root / "LEADERBOARD.md").read_text()):
        assert "AP of perfect targets" in text and "Ceiling: what the decoder makes of perfect targets" in text
    assert zoo("board", "--check", "--current", "tiny").code == 1, "the other targets were measured before it was trained"
    other = train.replace("epochs: 1", "epochs: 1, targets: {sigma: 5}")
    line.recipe((ONE, TARGETS), ("benchmark:", f"{other}benchmark:"), judged)
    told_of = states(zoo, "tiny")
    assert {id for id, state in told_of.items() if state != "known"} == {"tiny/ceiling/coco_val2017/original"}


def test_steps_at_once_give_the_same(line: Small, zoo: Zoo) -> None:
    before = {target: result(line, target) for target in ("onnxruntime-int8", "openvino-fp32")}
    shutil.rmtree(".zoo")
    said = zoo("eval", "tiny", "-t", "onnxruntime-int8", "-t", "openvino-fp32", "--jobs", "3")
    assert said.code == 0, said.err
    for target, was in before.items():
        now = result(line, target)
        for part in ("parity", "key", "definition", "size_bytes", "weights"):
            assert now[part] == was[part], f"{part} of {target} differs"
        assert now["accuracy"][0]["figures"] == was["accuracy"][0]["figures"]


def test_results_for_programs_are_json_and_nothing_else(line: Small, zoo: Zoo) -> None:
    said = zoo("eval", "tiny", "-t", "onnxruntime-fp32", "--json")
    assert [row["target"] for row in json.loads(said.out)] == ["onnxruntime-fp32"]
    said = zoo("bench", "tiny", "-t", "onnxruntime-fp32", "--json")
    assert json.loads(said.out)[0]["latency"]["type"] == "latency"


def test_the_recipe_here_has_every_target_of_a_cpu(line: Small) -> None:
    assert changed(RECIPE, (ONE, TARGETS)) == (line.root / "recipes/tiny.yaml").read_text()
    ours = set(re.findall(r"^  (\S+):", TARGETS, re.MULTILINE))
    real = open_place(str(ROOT)).declared.targets
    # a fixed target is its namesake with a batch and a shape that a recipe says
    assert ours == {name.removesuffix("-fixed") for name, target in real.items() if target.device == "cpu"}
