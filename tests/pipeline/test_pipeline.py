"""A recipe that is made of recipes, from check to leaderboard and predictions, on tiny networks with seeded weights."""

import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from workspaces import Small, Zoo, made, picture, states

import zoo.api
from zoo.cli import run
from zoo.context import Context
from zoo.formats import native, txt
from zoo.measure.interleaved import Taken, Task, interleave
from zoo.measure.isolated import Isolated, run_isolated
from zoo.measure.latency import timed
from zoo.pipelines.estimator import PoseModel
from zoo.steps.latency import MeasureLatency
from zoo.steps.whole import MeasureWhole

pytest.importorskip("torch")

HELPERS = Path(__file__).parents[1] / "unit"
ROW = "both/onnxruntime-fp32"
COMPILED, CELL, WHOLE = f"{ROW}/compile", f"{ROW}/accuracy/coco_val2017/together", f"{ROW}/whole"
WAY = f"{ROW}/end_to_end/together"
ALONE = "tiny/onnxruntime-fp32/accuracy/coco_val2017/original"
LABELS = "coco/annotations/person_keypoints_val2017.json"
PLAN = [
    *(f"tiny/{step}" for step in ("fetch", "export", "edit", "parity", "onnxruntime-fp32/compile", "onnxruntime-fp32/parity")),
    *(f"hand/{step}" for step in ("fetch", "export", "edit", "parity", "onnxruntime-fp32/compile", "onnxruntime-fp32/parity")),
    *(COMPILED, CELL, WAY, WHOLE),
]
STAGES = ["body preparing", "body network", "body decoding", "cropping", "hand preparing", "hand network", "hand decoding"]


def at_once(tasks: Sequence[Task[Any]]) -> list[Taken[Any]]:
    """`interleave` without processes."""
    return [Taken(Isolated(task.function(*task.prepare(), context=task.context), 1)) for task in tasks]


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    """Nobody reads these timings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zoo.engine.joint.MeasureWhole", functools.partial(MeasureWhole, seconds=0.01, runs=3))
        patch.setattr("zoo.steps.whole.timed", functools.partial(timed, warmup=0.01))
        patch.setattr("zoo.steps.timing.interleave", at_once)
        patch.setattr("zoo.engine.network.MeasureLatency", functools.partial(MeasureLatency, seconds=0.01, runs=3))
        patch.setattr("zoo.steps.end_to_end.run_isolated", lambda work, *given, context: Isolated(work(*given, context=context), 1))
        patch.setenv("OMP_NUM_THREADS", "1")
        for name in ("ZOO_WORKSPACE", "ZOO_COCO"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="module")
def _joint(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """A workspace in which `both` was evaluated; half of the bodies that it finds are what it should find."""
    small = Small.make(tmp_path_factory.mktemp("joint") / "workspace")
    small.pipeline()
    small.images()
    small.weights(arms=True)
    small.weights("hand.pth")
    assert run(["eval", "both", "--limit", "3", "--workspace", str(small.root)]) == 0
    small.teach(CELL, small.root / LABELS)
    assert run(["eval", "both", "--workspace", str(small.root)]) == 0
    return small


@pytest.fixture
def joint(_joint: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    """A copy of that workspace, in the current folder."""
    root = tmp_path / "workspace"
    small = _joint.copied(root)
    monkeypatch.chdir(root)
    return small


def result(small: Small) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((small.root / "results/here" / f"{ROW}.json").read_text())
    return found


def contents(root: Path) -> dict[str, bytes]:
    """All that lies in a folder, but what a killed process had begun to write."""
    files = (path for path in root.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def row(small: Small) -> dict[str, str]:
    """Heading -> cell of the leaderboard's only row."""
    lines = [line for line in (small.root / "LEADERBOARD.md").read_text().splitlines() if line.startswith("|")]
    header, written = ([cell.strip() for cell in line.strip("|").split("|")] for line in (lines[0], lines[2]))
    assert len(lines) == 3
    return dict(zip(header, written, strict=True))


def test_check_finds_it_well_and_the_plan_is_that_of_its_parts_and_then_its_own(joint: Small, zoo: Zoo) -> None:
    assert zoo("check").out == "3 recipes, all well\n"
    assert zoo("check", "both").code == 0
    shutil.rmtree(".zoo")
    told = states(zoo, "both")
    assert list(told) == PLAN
    assert {id for id, state in told.items() if state == "to do"} == {"tiny/fetch", "hand/fetch"}
    assert set(told.values()) == {"to do", "open"}


def test_show_and_list_say_its_parts(joint: Small, zoo: Zoo) -> None:
    said = zoo("show", "both").out
    for line in (
        "body: recipe +tiny, A tiny network",
        "hand: recipe +hand, Hands by landmarks",
        "licence: data +body: unknown; hand: hands",
    ):
        assert re.search(rf"^{line}$", said, re.MULTILINE), said
    assert json.loads(zoo("show", "both", "--json").out)["pipeline"]["hand"] == "hand"
    (listed,) = [one for one in json.loads(zoo("list", "--json").out) if one["name"] == "both"]
    assert (listed["task"], listed["targets"]) == ("body_hand_pose", ["onnxruntime-fp32"])


def test_the_artifact_holds_both_networks_and_what_joins_them(joint: Small) -> None:
    from zoo.steps.provenance import Provenance

    folder = joint.artifact(COMPILED)
    assert sorted(path.name for path in folder.iterdir()) == ["body", "hand", "pipeline.json", "provenance.json"]
    for role, name in (("body", "tiny"), ("hand", "hand")):
        alone = joint.artifact(f"{name}/onnxruntime-fp32/compile")
        assert contents(folder / role) == contents(alone)
    assert json.loads((folder / "pipeline.json").read_text()) == {
        "type": "body_hands", "body": "tiny", "hand": "hand", "crops": {"shift": 0.33, "side": 1.5, "upper_arm": 0.9, "least": 4},
    }  # fmt: skip
    assert set(Provenance.read(folder).files) == {"body/tiny.pth", "hand/hand.pth"}


def test_a_copy_is_complete_without_the_store(joint: Small, zoo: Zoo) -> None:
    from zoo.engine.joint import open_on
    from zoo.recipe.workspace import open_place, read_recipe

    said = zoo("build", "both", "--copy", "out")
    known = re.search(r"^both +onnxruntime-fp32 +known +body: ok, \S+; hand: ok, ", said.out, re.MULTILINE)
    assert said.code == 0 and made(said) == [] and known
    image = picture_of(joint)
    with zoo_api(joint) as model:
        wanted = model(image)
    place = open_place(str(joint.root))
    recipe = read_recipe(place.find("both"), place)
    shutil.rmtree(".zoo")
    copied = joint.root / "out" / ROW
    assert copied.stat().st_mode & 0o200, "a copy is the user's own"
    with open_on(recipe, "onnxruntime-fp32", place.declared, copied, Context(root=joint.root, cache=joint.root)) as model:
        np.testing.assert_array_equal(model(image).keypoints, wanted.keypoints)


def picture_of(small: Small) -> Any:
    import cv2

    return cv2.imread(str(small.root / "coco/val2017/000000000001.jpg"))


def zoo_api(small: Small, **options: Any) -> PoseModel:
    return zoo.api.load("both", "onnxruntime-fp32", workspace=small.root, offline=True, **options)


def test_the_result_holds_parity_of_both_accuracy_of_the_whole_and_time_by_stage(joint: Small, zoo: Zoo) -> None:
    found = result(joint)
    (accuracy,) = found["accuracy"]
    assert accuracy["figures"]["AP"] and 0 < accuracy["figures"]["AP"] < 1, "the test proves nothing"
    assert {"body", "hand", "pipeline"} <= set(accuracy["protocol"]), accuracy["protocol"]
    assert found["task"] == "body_hand_pose" and found["computed_in"] == "body fp32; hand fp32"
    outputs = {one["output"] for one in found["parity"]["comparisons"]}
    assert {"body stage_1_output_1_heatmaps", "hand landmarks", "hand presence"} <= outputs and found["parity"]["type"] == "parity"
    assert {"body/compiled", "hand/compiled"} <= set(found["parity"]["digests"])
    latency = found["latency"]
    assert [stage["name"] for stage in latency["stages"]] == [*STAGES] and latency["shapes"] == {"image": [96, 128, 3]}
    assert sum(stage["median_ms"] for stage in latency["stages"]) < 3 * latency["timing"]["median_ms"]
    asked = {(one["role"], *one["shape"]): one["calls"] for one in latency["asked"]}
    assert {role for role, *_ in asked} == {"body", "hand"} and sum(calls for (role, *_), calls in asked.items() if role == "body") == 1
    assert 0 < latency["claim"]["share"] < 1, "held against the roof by the calls of its networks"
    assert all(stage["median_ms"] >= 0 for stage in latency["stages"]) and latency["stages"][1]["median_ms"] > 0
    assert found["weights"]["title"] == "body: official; hand: official" and not found["weights"]["rehearsal"]
    assert set(found["weights"]["sha256s"]) == {"body/tiny.pth", "hand/hand.pth"}
    assert found["size_bytes"] == sum(path.stat().st_size for path in joint.artifact(COMPILED).rglob("*.onnx"))


def test_hands_leave_the_bodies_accuracy_as_it_was(joint: Small, zoo: Zoo) -> None:
    assert zoo("eval", "tiny").code == 0
    alone, together = (json.loads((joint.artifact(id) / "detections.json").read_text()) for id in (ALONE, CELL))
    assert [person["keypoints"] for person in together] == [person["keypoints"] for person in alone] and len(alone) > 3


def test_the_leaderboard_has_its_table_the_stages_and_no_speed_of_a_network_alone(joint: Small) -> None:
    text = (joint.root / "LEADERBOARD.md").read_text()
    assert re.findall(r"^## Body.*", text, re.MULTILINE) == ["## Body and hand pose: COCO val2017 (Body and hands)"]
    cells = row(joint)
    assert cells["model"] == "A tiny body and its hands" and cells["weights"] == "body: official; hand: official"
    assert cells["AP"] == f"{result(joint)['accuracy'][0]['figures']['AP']:.4f}".removeprefix("0")
    assert cells["images/s, network alone, one call after another"] == "–", "a whole pipeline is no network"
    assert (
        float(cells["images/s, whole way from files to poses"]) > 0
        and float(cells["p50 of a call, ms"]) > 0
        and cells["parity"].startswith("ok, ")
    )
    (line,) = re.findall(r"^\* A tiny body and its hands on .*milliseconds by stage, the median: (.*)\.$", text, re.MULTILINE)
    assert {part.rpartition(" ")[0] for part in line.split(", ")} == set(STAGES)


def test_a_second_run_knows_everything_and_writes_the_same(joint: Small, zoo: Zoo) -> None:
    before = joint.published()
    again = zoo("eval", "both")
    assert again.code == 0 and made(again) == [] and joint.published() == before
    assert set(states(zoo, "both").values()) == {"known"}
    assert zoo("board", "--check", "--current", "both").code == 0


def test_bench_times_it_in_a_process_of_its_own_and_nothing_else(joint: Small, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    assert result(joint)["latency"]["peak_memory_bytes"] == 1
    monkeypatch.setattr("zoo.steps.timing.interleave", interleave)
    before = joint.published()
    again = zoo("bench", "both", "--again")
    assert again.code == 0 and made(again) == [WHOLE], again.err
    said = zoo("bench", "both", "--json")
    (found,) = json.loads(said.out)
    assert said.code == 0 and found["accuracy"] == [] and joint.published() == before
    assert found["latency"]["peak_memory_bytes"] > 1e7
    assert [stage["name"] for stage in found["latency"]["stages"]] == [*STAGES]


def test_the_whole_way_from_files_is_timed_and_held_against_no_network_alone(
    joint: Small, zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    (way,) = result(joint)["end_to_end"]
    assert (way["type"], way["protocols"], way["dataset"], way["images"]) == ("end_to_end", ["together"], "coco_val2017", 2)
    assert way["share"] is None and way["network_images_per_second"] is None and way["computed_in"] == "body fp32; hand fp32"
    assert "whole way / network alone" not in "".join(row(joint))
    monkeypatch.setattr("zoo.steps.end_to_end.run_isolated", run_isolated)
    again = zoo("bench", "both", "--again", "--end-to-end")
    assert again.code == 0 and made(again) == [WAY, WHOLE], again.err
    assert "images/s, whole way from files to poses" in again.out


def test_bench_times_it_at_other_batches_and_shows_a_line_of_each(joint: Small, zoo: Zoo) -> None:
    said = zoo("bench", "both", "--batch", "1,4")
    assert said.code == 0 and made(said) == [f"{WHOLE}/4"], "at one image a call it was timed before"
    lines = [re.split(r" {2,}", line.strip()) for line in said.out.splitlines() if line.startswith(("model", "A tiny body and its hands "))]
    header, *cells = lines[:3]
    assert [dict(zip(header, line, strict=True))["batch"] for line in cells] == ["1", "4"]
    assert all(
        float(dict(zip(header, line, strict=True))["images/s, pipeline from decoded images to poses, one call after another"]) > 0
        for line in cells
    )
    (found,) = json.loads(zoo("bench", "both", "--batch", "1,4", "--json").out)
    (other,) = found["batches"]
    assert other["timing"]["batch"] == 4 and other["timing"]["images"] == 4 * other["timing"]["runs"]
    assert [stage["name"] for stage in other["stages"]] == [*STAGES]


def test_batches_of_the_recipe_have_a_table_of_the_leaderboard(joint: Small, zoo: Zoo) -> None:
    joint.pipeline(("{dataset: coco_val2017, images: 2}", "{dataset: coco_val2017, images: 2, batches: [4]}"))
    assert zoo("eval", "both").code == 0
    text = (joint.root / "LEADERBOARD.md").read_text()
    _, found, table = text.partition("## Body and hand pose: pipeline from decoded images to poses by batch\n\n")
    assert found and "images/s at 1 | images/s at 4 | 4 against 1 |" in " ".join(table.split())
    assert "the way from 4 decoded images to poses; milliseconds by stage" in table
    assert zoo("board", "--check", "--current", "both").code == 0
    assert json.loads(zoo("board", "--json").out)[-1]["rows"][0]["cells"]["gain@4"] > 0


def test_gc_keeps_what_it_needs(joint: Small, zoo: Zoo) -> None:
    said = zoo("gc")
    # what was measured before there were people in the labels goes
    assert said.code == 0 and re.match("removed [1-9]", said.out)
    assert set(states(zoo, "both").values()) == {"known"} and zoo("fsck").code == 0
    for name in ("both", "hand"):
        (joint.root / "recipes" / f"{name}.yaml").unlink()
    assert zoo("gc").code == 0 and not list((joint.root / ".zoo/objects").rglob("pipeline.json"))


def test_other_crops_are_assembled_judged_and_timed_again_and_nothing_is_compiled(joint: Small, zoo: Zoo) -> None:
    before = result(joint)
    joint.pipeline(("least: 4", "least: 30"))
    outdated = zoo("board", "--current", "both")
    assert outdated.code == 1 and f"{ROW} is outdated" in outdated.out
    said = zoo("eval", "both")
    assert said.code == 0 and sorted(made(said)) == sorted([COMPILED, CELL, WAY, WHOLE])
    after = result(joint)
    assert after["accuracy"][0]["fingerprint"] != before["accuracy"][0]["fingerprint"], "another protocol"
    assert after["accuracy"][0]["figures"] == before["accuracy"][0]["figures"], "of the same bodies"
    assert after["definition"] != before["definition"]


def test_another_decoder_of_a_part_judges_and_times_again_and_assembles_nothing(joint: Small, zoo: Zoo) -> None:
    joint.pipeline(hand=(("threshold: 0}", "threshold: 1}"),))
    said = zoo("eval", "both")
    assert said.code == 0 and sorted(made(said)) == sorted([CELL, WAY, WHOLE])
    with zoo_api(joint) as model:
        assert not model(picture_of(joint)).present[:, 18:].any(), "presence is never so sure"


def test_a_part_may_run_on_another_target(joint: Small, zoo: Zoo) -> None:
    pytest.importorskip("openvino")
    joint.pipeline(("  onnxruntime-fp32:\n", "  onnxruntime-fp32: {parts: {hand: openvino-fp32}}\n"))
    with zoo_api(joint) as model:
        mixed = model(picture_of(joint))
    assert {path.suffix for path in (joint.artifact(COMPILED) / "hand").iterdir()} == {".xml", ".bin", ".json"}
    joint.pipeline()
    with zoo_api(joint) as model:
        same = model(picture_of(joint))
    np.testing.assert_array_equal(mixed.present, same.present)
    np.testing.assert_allclose(mixed.keypoints, same.keypoints, atol=0.01)


def test_loaded_in_a_program_it_finds_bodies_with_hands_and_batches_give_the_same(joint: Small) -> None:
    import cv2

    picture(joint.root / "coco/val2017/1.png", 5, 128, 96)
    images = [cv2.imread(str(path)) for path in sorted((joint.root / "coco/val2017").iterdir())]
    assert [image.shape[:2] for image in images] == [(96, 128), (96, 128), (96, 128), (128, 96)]
    with zoo_api(joint, batch=8) as model:
        assert model.skeleton.name == "openpose_18_hands" and model.computed_in == "body fp32; hand fp32"
        together = model.many(images)
        alone = [model(image) for image in images]
    assert sum(poses.present[:, 18:].any(axis=1).sum() for poses in together) >= 3, "the test proves nothing"
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one.present, other.present)
        np.testing.assert_allclose(one.keypoints, other.keypoints, atol=0.01)


def test_one_part_of_seeded_weights_makes_the_whole_a_rehearsal(joint: Small, zoo: Zoo) -> None:
    (joint.root / "hand.pth").unlink()
    joint.recipe(("path: hand.pth,", "path: gone.pth,"), name="hand", text=(joint.root / "recipes/hand.yaml").read_text())
    refused = zoo("eval", "both", "--results", "elsewhere")
    assert refused.code == 4 and "--rehearse" in refused.err, "seeded weights are never the default"
    said = zoo("eval", "both", "--rehearse")
    assert said.code == 0
    found = result(joint)
    assert found["weights"]["rehearsal"] and found["parity"]["type"] == "parity" and found["latency"]["type"] == "latency"
    assert [(cell["type"], cell["word"]) for cell in found["accuracy"]] == [("failure", "rehearsal")]
    cells = row(joint)
    assert cells["accuracy"] == "rehearsal" and "AP" not in cells
    told = zoo("predict", "both", "coco/val2017", "--save", "out", "--rehearse")
    assert told.code == 0 and "a rehearsal: the weights are seeded" in told.err


def test_what_seeded_bodies_lead_to_is_not_timed(joint: Small, zoo: Zoo) -> None:
    (joint.root / "tiny.pth").unlink()
    joint.recipe(("path: tiny.pth\n", "path: gone.pth\n"), name="tiny", text=(joint.root / "recipes/tiny.yaml").read_text())
    assert zoo("bench", "both", "--rehearse").code == 0
    said = zoo("eval", "both", "--rehearse")
    assert said.code == 0
    latency = result(joint)["latency"]
    assert (latency["type"], latency["word"]) == ("failure", "rehearsal") and "its weights are seeded" in latency["message"]


def test_weights_that_cannot_be_had_of_one_part_fail_the_whole_and_leave_the_other(joint: Small, zoo: Zoo) -> None:
    shutil.rmtree(".zoo")
    (joint.root / "hand.pth").unlink()
    said = zoo("eval", "both")
    assert said.code == 4 and "tiny/onnxruntime-fp32/compile" in made(said) and COMPILED not in made(said)
    found = result(joint)
    assert {found["parity"]["word"], found["latency"]["word"], *(cell["word"] for cell in found["accuracy"])} == {"no weights"}


def test_weights_of_ones_own_are_those_of_one_network(joint: Small, zoo: Zoo) -> None:
    said = zoo("eval", "both", "--weights", "tiny.pth")
    assert said.code == 2 and "name tiny or hand" in said.err


def test_predict_writes_bodies_and_hands_in_every_format(joint: Small, zoo: Zoo) -> None:
    formats = [word for name in ("txt", "json", "coco", "openpose") for word in ("--format", name)]
    said = zoo("predict", "both", "coco/val2017", "--save", "out", "--draw", *formats)
    assert said.code == 0 and "people in 3 images by both on onnxruntime-fp32: out (predictions.txt," in said.out
    people = int(said.out.split()[0])
    poses = txt.parse(Path("out/predictions.txt").read_text(), "openpose_18_hands")
    assert sum(map(len, poses.values())) == people > 0
    assert sum(one.present[:, 18:].any() for one in poses.values()) > 0, "the test proves nothing"
    read = {path.stem: native.parse(path.read_text()) for path in sorted(Path("out/json").iterdir())}
    for name, one in poses.items():
        np.testing.assert_allclose(read[Path(name).stem].poses.keypoints, one.keypoints, atol=6e-4)
    results = json.loads(Path("out/predictions.json").read_text())
    assert len(results) == people and {"lefthand_kpts", "righthand_kpts"} <= set(results[0]) and results[0]["image_id"] == 1
    hands = [json.loads(path.read_text())["people"][0]["hand_left_keypoints_2d"] for path in Path("out/openpose").iterdir()]
    assert {len(hand) for hand in hands} == {63}


KILLED = """
import os, sys
from pathlib import Path
from killing import killed
from zoo.cli import predictions, run
nth, written = int(sys.argv[1]), predictions.write_bytes
count = 0
def write(path, data):
    global count
    count += 1
    if count == nth:
        # the file's bytes are there under another name, and that is all
        os.fsync = killed(os.fsync, 1)
    written(path, data)
predictions.write_bytes = write
run(sys.argv[2:])
"""


@pytest.mark.parametrize("nth", [3, 7, 10])
def test_a_killed_predict_leaves_whole_files_only_and_the_next_one_writes_the_rest(joint: Small, zoo: Zoo, nth: int) -> None:
    import cv2

    import zoo as package

    words = ["predict", "both", "coco/val2017", "--draw", "--batch", "1", "--format", "json", "--format", "openpose", "--format", "txt"]
    assert zoo(*words, "--save", "whole").code == 0
    paths = os.pathsep.join([str(Path(package.__file__).parents[1]), str(HELPERS)])
    command = [sys.executable, "-c", KILLED, str(nth), *words, "--save", "out"]
    ended = subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    found, whole = contents(Path("out")), contents(Path("whole"))
    # a picture after every two texts, and a text at the end
    assert len(found) == nth - 1
    assert found.items() <= whole.items()
    for name in found:
        assert not name.endswith(".jpg") or cv2.imread(f"out/{name}").shape == (96, 128, 3)
    assert zoo(*words, "--save", "out").code == 0
    assert contents(Path("out")) == whole and len(whole) == 10
