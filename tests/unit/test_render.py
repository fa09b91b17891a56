"""Drawn people as a dataset: made by an action, taken up again, judged as COCO's are."""

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import cv2
import msgspec
import pytest
from workspaces import Small, Zoo, states

import zoo
from zoo.context import Context, Progress
from zoo.datasets import Dataset, StickPeople, overlap
from zoo.engine.action import needed
from zoo.engine.execute import execute
from zoo.engine.plan import plan
from zoo.engine.store import Store
from zoo.engine.wish import Plan, Wish
from zoo.errors import Cancelled, StepFailed
from zoo.metrics import CocoOks
from zoo.pose.stick_people.drawing import VERSION, Drawing
from zoo.recipe.workspace import open_place, read_recipe
from zoo.steps import reports
from zoo.steps.render import RenderPeople

DATASET = StickPeople(scenes=8, seed=9, drawing=Drawing(crowds=0.5))
STEP = RenderPeople(scenes=DATASET.scenes, seed=DATASET.seed, drawing=DATASET.drawing, version=DATASET.version)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("drawn")
    (root / "out").mkdir()
    STEP.run({}, root / "out", Context(root=root, cache=root, partial=root / "partial"))
    return root / "out"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_it_opens_as_images_with_annotations(folder: Path, context: Context) -> None:
    images = DATASET.open(context, folder)
    assert images.ids == list(range(1, 9)) and images.annotations == folder / "annotations.json"
    for sample in images.samples:
        assert images.read(sample).shape == (256, 256, 3)
    assert {path.name for path in folder.iterdir()} == {"annotations.json", *(sample.name for sample in images.samples)}


def test_the_file_has_all_that_cocos_has(folder: Path) -> None:
    content = json.loads((folder / "annotations.json").read_text())
    (category,) = content["categories"]
    assert category["name"] == "person" and len(category["keypoints"]) == 17
    assert [15, 13] in category["skeleton"] and max(map(max, category["skeleton"])) == 17
    ids = [one["id"] for one in content["annotations"]]
    assert ids == list(range(1, len(ids) + 1))
    wanted = {"id", "image_id", "category_id", "keypoints", "num_keypoints", "area", "bbox", "segmentation", "iscrowd"}
    assert all(set(one) == wanted for one in content["annotations"])
    assert {one["iscrowd"] for one in content["annotations"]} == {0, 1}
    assert {(image["height"], image["width"]) for image in content["images"]} == {(256, 256)}


def test_people_who_are_found_exactly_have_an_ap_of_1_whatever_is_found_in_crowds(folder: Path) -> None:
    content = json.loads((folder / "annotations.json").read_text())
    crowds = [one for one in content["annotations"] if one["iscrowd"]]
    found = [
        {"image_id": one["image_id"], "category_id": 1, "score": 0.9, "keypoints": one["keypoints"]}
        for one in content["annotations"]
        if not one["iscrowd"]
    ]
    for crowd in crowds:
        x, y, width, height = crowd["bbox"]
        inside = [value for _ in range(17) for value in (x + width / 2, y + height / 2, 2)]
        found.append({"image_id": crowd["image_id"], "category_id": 1, "score": 0.99, "keypoints": inside})
    figures = CocoOks().evaluate(folder / "annotations.json", list(range(1, 9)), found, folder.parent / "matches.npz")
    assert figures["AP"] == figures["AR"] == pytest.approx(1.0)
    turned = [{**one, "keypoints": [value + (i % 3 == 0) * 25 for i, value in enumerate(one["keypoints"])]} for one in found]
    wrong = CocoOks().evaluate(folder / "annotations.json", list(range(1, 9)), turned, folder.parent / "matches.npz")
    assert (wrong["AP"] or 0) < 0.3


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # of its own
def test_pycocotools_reads_it_and_its_masks_lie_in_their_boxes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from pycocotools.coco import COCO

    read = COCO(str(folder / "annotations.json"))
    capsys.readouterr()
    for id in read.getAnnIds():
        (one,) = read.loadAnns(id)
        mask = read.annToMask(one)
        x, y, width, height = one["bbox"]
        assert mask.sum() == one["area"] == mask[y : y + height, x : x + width].sum()


def test_a_run_that_is_stopped_is_taken_up_again(folder: Path, tmp_path: Path) -> None:
    stopping = threading.Event()
    drawn = []

    def listener(news: Progress) -> None:
        assert news.total == 8 and news.unit == "images"
        drawn.append(news.done)
        if news.done == 3:
            stopping.set()

    context = Context(root=tmp_path, cache=tmp_path, partial=tmp_path / "partial", listener=listener, cancelled=stopping)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    with pytest.raises(Cancelled):
        STEP.run({}, tmp_path / "first", context)
    assert list((tmp_path / "first").iterdir()) == [] and drawn == [0, 1, 2, 3]
    # one that was cut off counts for nothing
    (tmp_path / "partial/000002.jpg").write_bytes(b"half")
    before = (tmp_path / "partial/000001.jpg").stat().st_mtime_ns
    STEP.run({}, tmp_path / "second", replace(context, cancelled=threading.Event(), listener=lambda _: None))
    assert contents(tmp_path / "second") == contents(folder)
    assert (tmp_path / "second/000001.jpg").stat().st_mtime_ns == before


KILLED = """
import os, signal, sys
from pathlib import Path
from test_render import STEP
from zoo.context import Context
from zoo.journal import Journal
add, written = Journal.add, []
def wrapped(self, name, value):
    add(self, name, value)
    written.append(name)
    print(name, flush=True)
    if len(written) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
Journal.add = wrapped
root = Path(sys.argv[1])
STEP.run({}, root / "out", Context(root=root, cache=root, partial=root / "partial"))
"""


def test_a_run_that_is_killed_goes_on_with_the_scenes_that_are_left(folder: Path, tmp_path: Path) -> None:
    def run(most: int) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(zoo.__file__).parents[1]), str(Path(__file__).parent)])}
        command = [sys.executable, "-c", KILLED, str(tmp_path), str(most)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    (tmp_path / "out").mkdir()
    killed = run(5)
    assert killed.returncode == -signal.SIGKILL and killed.stdout.split() == ["1", "2", "3", "4", "5"]
    ended = run(-1)
    assert ended.returncode == 0 and ended.stdout.split() == ["6", "7", "8"], ended.stderr
    assert contents(tmp_path / "out") == contents(folder)


def test_images_are_hardly_changed_by_being_written(folder: Path) -> None:
    from zoo.pose.stick_people.scene import draw

    image = cv2.imread(str(folder / "000001.jpg"))
    assert cv2.PSNR(image, draw(9, 1, DATASET.drawing).image) > 33


# the dataset


def test_its_digest_is_that_of_version_seed_count_and_drawing(context: Context) -> None:
    def changed(**fields: object) -> str:
        return msgspec.structs.replace(DATASET, **fields).digest(context)

    ours = DATASET.digest(context)
    assert changed(title="another", licence="x") == ours
    others = [changed(seed=8), changed(scenes=9), changed(drawing=Drawing())]
    assert len({ours, *others}) == 4
    assert DATASET.said() == {"generator": "stick_people", "version": VERSION, **msgspec.to_builtins(DATASET.drawing)}


def test_another_version_than_this_zoos_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match=f"version {VERSION + 1} is not what this zoo draws"):
        msgspec.convert({"type": "stick_people", "scenes": 1, "seed": 1, "version": VERSION + 1}, Dataset)


def test_datasets_of_one_seed_share_scenes_and_those_of_others_none(context: Context) -> None:
    more, other = msgspec.structs.replace(DATASET, scenes=12), msgspec.structs.replace(DATASET, seed=10)
    assert len(overlap(more, DATASET, context)) == 8
    assert overlap(other, DATASET, context) == []


def test_what_was_not_drawn_cannot_be_opened(context: Context) -> None:
    assert DATASET.absent(context) == ""
    with pytest.raises(StepFailed, match="not been drawn"):
        DATASET.open(context)


DECLARED = """  stick:
    type: stick_people
    title: three drawn scenes
    scenes: 3
    seed: 1
  drawn_calibration:
    type: stick_people
    scenes: 2
    seed: 2
targets:
"""


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    small = Small.entered(tmp_path / "workspace", monkeypatch)
    text = (small.root / "zoo.yaml").read_text()
    (small.root / "zoo.yaml").write_text(text.replace("targets:\n", DECLARED, 1))
    small.recipe(
        ("datasets: [coco_val2017, coco_train2017]", "datasets: [stick]"),
        ("dataset: other", "dataset: drawn_calibration"),
        ("  onnxruntime-fp32:\n", "  onnxruntime-fp32:\n  onnxruntime-int8: {parity: {snr: 5, reason: eight bits}}\n"),
    )
    return small


def test_an_action_draws_a_dataset_once_for_all_that_read_it(small: Small) -> None:
    story = Plan(open_place(str(small.root)))
    known = story.workspace.datasets
    assert story.photos(known["stick"]) == story.photos(known["stick"]) == {"photos": "photos/stick/render"}
    assert story.photos(known["coco_val2017"]) == {}
    (action,) = story.actions.values()
    assert action.step == RenderPeople(scenes=3, seed=1, drawing=Drawing(), version=VERSION)


def test_a_plan_draws_nothing(small: Small, zoo: Zoo) -> None:
    before = states(zoo, "tiny")
    assert before["photos/stick/render"] == before["photos/drawn_calibration/render"] == "to do"
    assert zoo("check").code == 0 and zoo("list").code == 0 and zoo("doctor").code == 0
    assert not (small.root / ".zoo/objects").exists()


def test_a_network_is_calibrated_and_judged_on_drawn_people_and_the_report_says_who_drew_them(small: Small) -> None:
    pytest.importorskip("torch")
    small.weights()
    place = open_place(str(small.root))
    context = place.context()
    actions = plan(read_recipe(place.find("tiny"), place), place, context, Wish(targets=("onnxruntime-int8",), accuracy=True))
    accuracy = "tiny/onnxruntime-int8/accuracy/stick/original"
    outcome = execute(needed(actions, accuracy), Store(place.store), context)[accuracy]
    assert outcome.artifact, outcome.error
    report = reports.read(outcome.artifact.path)
    assert isinstance(report, reports.Accuracy)
    assert report.protocol["images"]["generator"] == "stick_people" and report.protocol["images"]["version"] == VERSION
    assert report.dataset.drawn and report.images == 3
