"""The command line: every command in a small workspace, and every exit code of zoo/errors.py."""

import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_top_down
from workspaces import Small, Zoo, position

from zoo.cli import COMMANDS, run
from zoo.cli.new import KINDS
from zoo.document import parse
from zoo.errors import Bug
from zoo.steps.export import ExportOnnx
from zoo.steps.fetch import FetchWeights

RECIPE_CHANGE = ("  onnxruntime-fp32:\n", "  onnxruntime-fp32:\n  tensorrt-fp32:\n")


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    """A workspace in the current folder, with a recipe and nothing else."""
    small = Small.make(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ZOO_WORKSPACE", raising=False)
    return small


@pytest.fixture(scope="module")
def _built(tmp_path_factory: pytest.TempPathFactory) -> Small:
    pytest.importorskip("torch")
    small = Small.make(tmp_path_factory.mktemp("built"))
    small.recipe(RECIPE_CHANGE)
    small.images()
    small.weights()
    assert run(["build", "tiny", "--workspace", str(small.root)]) == 0
    return small


@pytest.fixture
def built(_built: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Small]:
    """The current folder is a workspace of one's own in which `tiny` has been built."""
    root = tmp_path / "workspace"
    shutil.copytree(_built.root, root, copy_function=shutil.copy2)
    monkeypatch.chdir(root)
    monkeypatch.delenv("ZOO_WORKSPACE", raising=False)
    yield Small(root)


@pytest.mark.parametrize("kind", [[], *(["--kind", kind] for kind in KINDS)], ids=lambda kind: kind[-1] if kind else "default")
def test_a_new_recipe_passes_the_check_as_it_stands(small: Small, zoo: Zoo, kind: list[str]) -> None:
    assert zoo("new", "mine", *kind) == (0, "wrote recipes/mine.yaml; next: zoo check mine\n", "")
    assert zoo("check", "mine") == (0, "1 recipe, all well\n", "")
    assert parse((small.root / "recipes/mine.yaml").read_text()).data["preprocess"]["fit"]["type"] == (
        "box" if kind[-1:] == ["top-down"] else "height"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_in_the_comments_of_a_new_recipe_is_right_too(tmp_path: Path, zoo: Zoo, kind: str) -> None:
    root = Path(__file__).parents[2]
    shutil.copy(root / "zoo.yaml", tmp_path)
    shutil.copytree(root / "recipes", tmp_path / "recipes")
    assert zoo("new", "mine", "--kind", kind, "--workspace", str(tmp_path)).code == 0
    path = tmp_path / "recipes/mine.yaml"
    first, _, rest = path.read_text().partition("\n")
    said, count = re.subn(r"^( *)# ( *(?:- )?[\w-]+:.*)$", r"\1\2", rest, flags=re.M)
    assert count >= 5
    path.write_text(f"{first}\n{said}")
    assert zoo("check", "mine", "--workspace", str(tmp_path)) == (0, "1 recipe, all well\n", "")


@pytest.mark.parametrize("name", ["tiny", "Capital", "../up", ""])
def test_a_new_recipe_needs_a_free_and_plain_name(small: Small, zoo: Zoo, name: str) -> None:
    before = (small.root / "recipes" / "tiny.yaml").read_text()
    assert zoo("new", name).code == 2
    assert [path.name for path in small.root.rglob("*.yaml")] == ["zoo.yaml", "tiny.yaml"]
    assert (small.root / "recipes" / "tiny.yaml").read_text() == before


def test_check_names_every_fault_of_every_recipe_and_ends_in_2(small: Small, zoo: Zoo) -> None:
    small.recipe(("name: tiny\n", "name: teeny\n"))
    small.recipe(("name: tiny\n", "name: other\n"), ("task: body_pose", "task: body"), name="other")
    found = zoo("check")
    assert found.code == 2
    assert re.findall(r"recipes/(\w+)\.yaml:\d+:\d+: (\w+): ", found.out) == [("other", "task"), ("tiny", "name")]
    assert found.out.endswith("2 recipes, 2 problems\n")
    as_json = json.loads(zoo("check", "--json").out)
    assert [(Path(fault["file"]).name, fault["path"]) for fault in as_json] == [("other.yaml", "task"), ("tiny.yaml", "name")]


def test_check_compares_calibration_and_evaluation_by_content(small: Small, zoo: Zoo) -> None:
    images = small.images()
    assert zoo("check").code == 0
    shutil.copy(images[0], "other/renamed.jpg")
    found = zoo("check")
    assert found.code == 2 and "in coco_val2017, which the recipe is evaluated on: renamed.jpg" in found.out


def test_check_reports_the_workspace_too(small: Small, zoo: Zoo) -> None:
    path = small.root / "zoo.yaml"
    path.write_text(path.read_text().replace("machine: here", "machine: Here\nmirors: []"))
    found = zoo("check")
    assert found.code == 2 and "did you mean 'mirrors'?" in found.out and "machine" in found.out
    assert zoo("list").code == 2


def test_list_and_show_tell_what_there_is(small: Small, zoo: Zoo) -> None:
    listed = zoo("list")
    assert listed.code == 0 and re.search(r"^tiny +A tiny network +body_pose +unknown +1$", listed.out, re.MULTILINE)
    assert json.loads(zoo("list", "--json").out)[0]["targets"] == ["onnxruntime-fp32"]
    shown = zoo("show", "tiny")
    assert shown.code == 0
    for said in (
        "A tiny network",
        "tiny.pth",
        "18 keypoints, stride 8",
        "onnxruntime-fp32",
        "original: The original's evaluation",
        "on coco_val2017 - not here",
    ):
        assert said in shown.out
    assert json.loads(zoo("show", "recipes/tiny.yaml", "--json").out)["benchmark"] == {"batch": 1, "batches": [], "height": 64, "width": 64}


def test_show_says_what_a_protocol_is_held_against(small: Small, zoo: Zoo) -> None:
    last = "    datasets: [coco_val2017, coco_train2017]\n"
    small.recipe((last, f"{last}  - {{protocol: second, title: Second, datasets: [coco_val2017], against: original}}\n"))
    judged = [line.strip() for line in zoo("show", "tiny").out.splitlines() if "judged by" in line]
    assert judged == ["judged by coco_oks", "judged by coco_oks, held against original"]


def states(zoo: Zoo, *words: str) -> dict[str, str]:
    """What `zoo plan` says, by action."""
    return {action["id"]: action["state"] for action in json.loads(zoo("plan", *words, "--json").out)}


def test_plan_marks_what_is_to_do_and_what_is_open(small: Small, zoo: Zoo) -> None:
    small.images()
    small.weights()
    told = states(zoo, "tiny")
    assert told.pop("tiny/fetch") == "to do"
    assert set(told.values()) == {"open"} and "tiny/onnxruntime-fp32/accuracy/coco_val2017/original" in told
    assert "coco_train2017" not in str(told), "a dataset that is not here is planned for"
    assert "1 to do (will be done)" in zoo("plan", "tiny").out
    assert not (small.root / ".zoo" / "actions").exists(), "a plan did something"


def test_plan_marks_what_is_known(built: Small, zoo: Zoo) -> None:
    told = states(zoo, "tiny")
    assert {id for id, state in told.items() if state == "known"} == {
        "tiny/fetch", "tiny/export", "tiny/edit", "tiny/parity", "tiny/onnxruntime-fp32/compile", "tiny/onnxruntime-fp32/parity",
    }  # fmt: skip
    assert {id for id, state in told.items() if state == "to do"} == {
        "tiny/onnxruntime-fp32/accuracy/coco_val2017/original", "tiny/onnxruntime-fp32/end_to_end/original",
        "tiny/onnxruntime-fp32/latency",
    }  # fmt: skip


def test_a_changed_edit_opens_only_what_comes_after_it(built: Small, zoo: Zoo) -> None:
    built.recipe(("  - type: onnxsim\n", "  - type: fold_constants\n"))
    told = states(zoo, "tiny")
    assert (told["tiny/export"], told["tiny/edit"], told["tiny/onnxruntime-fp32/compile"]) == ("known", "to do", "open")


def test_build_tells_what_became_of_each_target_and_copies_models(built: Small, zoo: Zoo) -> None:
    found = zoo("build", "tiny", "--copy", "out")
    assert found.code == 0 and re.search(r"^tiny +onnxruntime-fp32 +known +ok, equal +\.zoo/objects/[0-9a-f]{64}$", found.out, re.MULTILINE)
    assert (built.root / "out/tiny/onnxruntime-fp32/model.onnx").stat().st_size > 1e6
    (row,) = json.loads(zoo("build", "tiny", "--json").out)
    assert (row["target"], row["state"], row["parity"]) == ("onnxruntime-fp32", "known", "ok, equal")
    assert (built.root / row["folder"] / "preprocess.json").is_file()
    assert not (built.root / row["folder"] / "vdsp_params.json").exists(), "vdsp cannot say a width that follows the image"


def test_torchscript_is_exported_held_against_pytorch_and_copied(built: Small, zoo: Zoo) -> None:
    built.recipe(("  shape: [1, 3, 64, 64]\n", "  shape: [1, 3, 64, 64]\n  torchscript: tiny.pt\n"))
    found = zoo("build", "tiny", "--copy", "out")
    assert found.code == 0 and {path.name for path in Path("out/tiny").iterdir()} == {"onnxruntime-fp32", "tiny.pt"}
    done = [json.loads(path.read_text()) for path in Path(".zoo/actions").glob("*.json")]
    reports = [json.loads(Path(".zoo/objects", one["artifact"], "report.json").read_text()) for one in done if one["id"] == "tiny/parity"]
    assert any("TorchScript" in {one["candidate"] for one in report["comparisons"]} for report in reports)


def test_build_says_that_nothing_was_compared_where_there_are_no_images(built: Small, zoo: Zoo) -> None:
    shutil.rmtree("coco")
    shutil.rmtree("other")
    found = zoo("build", "tiny")
    assert found.code == 0 and "no images here to compare on" in found.out


def test_again_makes_everything_anew_and_gives_the_same(built: Small, zoo: Zoo) -> None:
    before = sorted(path.name for path in (built.root / ".zoo/objects").iterdir())
    found = zoo("build", "tiny", "--again")
    assert found.code == 0 and "made  tiny/export" in found.err
    models = [path for path in (built.root / ".zoo/objects").iterdir() if (path / "model.onnx").exists()]
    assert {path.name for path in models} <= set(before), "the same recipe gave another model"


def test_gc_keeps_what_recipes_need_and_removes_the_rest(built: Small, zoo: Zoo) -> None:
    assert "removed 0 actions and artifacts" in zoo("gc").out
    built.recipe(("  - type: onnxsim\n", "  - type: fold_constants\n"))
    dry = zoo("gc", "--dry-run")
    assert dry.code == 0 and re.search(r"would remove [1-9]\d* actions and artifacts, \d+\.\d MB", dry.out)
    assert zoo("fsck").out == "the store is sound\n"
    assert zoo("gc").out.removeprefix("removed") == dry.out.removeprefix("would remove")
    assert states(zoo, "tiny")["tiny/export"] == "known", "gc took what a recipe needs"
    assert zoo("fsck").code == 0


def test_fsck_finds_a_corrupted_object_and_repair_lets_it_be_made_again(built: Small, zoo: Zoo) -> None:
    (row,) = json.loads(zoo("build", "tiny", "--json").out)
    model = built.root / row["folder"] / "model.onnx"
    right = model.read_bytes()
    model.chmod(0o644)
    model.write_bytes(right[:-1] + b"\0")
    found = zoo("fsck")
    assert found.code == 1 and f"{row['folder']}: its content differs from its digest" in found.out
    assert zoo("fsck", "--repair").code == 0
    assert zoo("fsck") == (0, "the store is sound\n", "")
    assert zoo("build", "tiny").code == 0 and model.read_bytes() == right


def test_fetch_says_where_weights_came_from_and_pins_them(built: Small, zoo: Zoo) -> None:
    (row,) = json.loads(zoo("fetch", "tiny", "--json").out)
    assert row["source"] == "tiny.pth"
    assert "pinned tiny/tiny.pth" in zoo("fetch", "tiny", "--pin").err
    assert f"{row['files']['tiny.pth']}  tiny/tiny.pth" in (built.root / "recipes/weights.lock").read_text()
    with (built.root / "tiny.pth").open("ab") as file:
        file.write(b"\0")
    changed = zoo("build", "tiny")
    assert changed.code == 4 and "tiny.pth" in changed.err and "refused" in changed.err


def test_doctor_says_what_runs_here_and_what_is_missing(small: Small, zoo: Zoo) -> None:
    told = zoo("doctor")
    assert told.code == 0
    assert re.search(r"onnxruntime-fp32 +yes", told.out) and re.search(r"coco_val2017 +no folder .*coco/val2017", told.out)
    assert re.search(r"^INT8 +(no )?VNNI", told.out, re.MULTILINE)
    report = json.loads(zoo("doctor", "--json").out)
    assert report["targets"]["onnxruntime-fp32"] == "" and report["machine"]["cores"] >= 1


def test_the_schemas_are_written_and_checked(small: Small, zoo: Zoo) -> None:
    assert zoo("schema", "--check").code == 1
    assert zoo("schema").code == 0 and zoo("schema", "--check") == (0, "", "")
    assert "targets" in json.loads((small.root / "docs/schema/recipe.json").read_text())["$defs"]["Recipe"]["properties"]
    (small.root / "docs/schema/recipe.json").write_text("{}")
    found = zoo("schema", "--check")
    assert found.code == 1 and "recipe.json is stale: run `zoo schema`" in found.out


def test_a_stale_board_is_a_finding(small: Small, zoo: Zoo) -> None:
    assert zoo("board", "--check").code == 1
    assert zoo("board").code == 0 and zoo("board", "--check").code == 0
    with (small.root / "LEADERBOARD.md").open("a") as file:
        file.write("| a row of one's own |\n")
    found = zoo("board", "--check")
    assert found.code == 1 and "LEADERBOARD.md is stale: run `zoo board`" in found.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(zoo: Zoo, command: str) -> None:
    told = zoo(command, "--help")
    assert told.code == 0 and told.out.startswith(f"Usage: zoo {command}") and len(told.out.splitlines()) > 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["buidl"], "did you mean build?"),
        (["show", "tinny"], "did you mean tiny?"),
        (["build", "recipes/tinny.yaml"], "did you mean tiny?"),
        (["build"], "which recipe?"),
        (["build", "tiny", "--target", "onnx-*"], "its targets: onnxruntime-fp32"),
        (["build", "tiny", "--jobs", "0"], "--jobs"),
        (["build", "tiny", "--frobnicate"], "--frobnicate"),
        (["eval", "tiny", "--images", "."], "--images and --labels belong together"),
        (["eval", "tiny", "--weights", "none.pth"], "none.pth"),
        (["eval", "tiny", "--limit", "0"], "--limit"),
        (["eval", "tiny", "--dataset", "coco_test"], "judged on coco_train2017, coco_val2017"),
        (["build", "tiny", "--weights", "zoo.yaml", "tiny2"], "no recipe tiny2"),
        (["list", "--workspace", "nowhere"], "there is no workspace in nowhere"),
    ],
)
def test_a_command_line_that_cannot_be_followed_ends_in_2_and_says_what_to_do(small: Small, zoo: Zoo, words: list[str], said: str) -> None:
    found = zoo(*words)
    assert found.code == 2 and said in found.err and "Traceback" not in found.err


def test_weights_of_ones_own_are_for_one_recipe(small: Small, zoo: Zoo) -> None:
    small.recipe(("name: tiny\n", "name: other\n"), name="other")
    found = zoo("build", "--all", "--weights", "zoo.yaml")
    assert found.code == 2 and "--weights is one model's file" in found.err


def test_without_a_workspace_it_is_said_how_to_name_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zoo: Zoo) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ZOO_WORKSPACE", raising=False)
    monkeypatch.setattr("zoo.recipe.workspace.CARRIED", tmp_path / "none")
    found = zoo("list")
    assert found.code == 2 and "--workspace FOLDER" in found.err


def test_a_workspace_is_found_from_a_folder_inside_it_and_by_variable(small: Small, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(small.root / "recipes")
    assert "tiny" in zoo("list").out
    monkeypatch.chdir("/")
    monkeypatch.setenv("ZOO_WORKSPACE", str(small.root))
    assert "tiny" in zoo("list").out


def test_a_backend_that_is_not_installed_ends_in_3_and_the_others_go_on(built: Small, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.backends.tensorrt.require", missing)
    found = zoo("build", "tiny", "-t", "*-fp32")
    assert found.code == 3
    assert re.search(r"pip install .*pose-zoo\[tensorrt\]", found.err)
    assert re.search(r"^tiny +onnxruntime-fp32 +known", found.out, re.MULTILINE)
    assert re.search(r"^tiny +tensorrt-fp32 +failed", found.out, re.MULTILINE)


def missing(module: str) -> None:
    from zoo import optional

    optional.require("tensorrt.that_is_not_there")


def test_unreachable_weights_end_in_4_and_name_address_reason_and_ways_on(small: Small, zoo: Zoo) -> None:
    small.recipe(
        (
            "  - type: file\n    files:\n      - name: tiny.pth\n        path: tiny.pth\n        hash: none\n",
            "  - type: url\n    files:\n      - name: tiny.pth\n        url: https://example.org/models/tiny.pth\n        hash: none\n",
        )
    )
    found = zoo("build", "tiny", "--offline")
    assert found.code == 4
    for said in ("https://example.org/models/tiny.pth", "offline", "--weights FILE", "--rehearse", "mirrors"):
        assert said in found.err
    assert not (small.root / ".zoo/objects").exists()
    assert re.search(r"^tiny +onnxruntime-fp32 +blocked", found.out, re.MULTILINE)


def test_a_failed_parity_ends_in_5_now_and_again(built: Small, zoo: Zoo) -> None:
    built.recipe(("  onnxruntime-fp32:\n", "  onnxruntime-fp16: {parity: {snr: 150}}\n"))
    for _ in range(2):
        found = zoo("build", "tiny")
        assert found.code == 5
        assert re.search(r"FAILED: edited ONNX -> target: \d+\.\d dB \(at least 150 dB\); farthest apart at stage_\d_\w+\[", found.err)
        assert re.search(r"^tiny +onnxruntime-fp16 +\w+ +FAILED, ", found.out, re.MULTILINE)


def test_a_bug_in_a_command_ends_in_70_with_its_traceback(small: Small, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise IndexError("who would have thought")

    monkeypatch.setattr("zoo.cli.session.execute", broken)
    found = zoo("build", "tiny")
    assert found.code == Bug.exit_code == 70 and "Traceback" in found.err and "who would have thought" in found.err


def test_a_bug_in_a_step_ends_in_70_and_its_traceback_is_in_the_log(small: Small, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise IndexError("who would have thought")

    monkeypatch.setattr(FetchWeights, "run", broken)
    found = zoo("build", "tiny")
    assert found.code == 70 and "IndexError: who would have thought" in found.err
    (log,) = (small.root / ".zoo/logs").iterdir()
    assert str(log) in found.err and "Traceback" in log.read_text()
    assert "Traceback" in zoo("build", "tiny", "--verbose").err


def test_control_c_ends_in_130_and_leaves_no_trace(built: Small, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(self: ExportOnnx, given: object, out: Path, context: object) -> None:
        (out / "half").write_text("half")
        os.kill(os.getpid(), signal.SIGINT)
        context.report("still here")  # type: ignore[attr-defined]
        raise AssertionError("the step was not stopped")

    monkeypatch.setattr(ExportOnnx, "run", stopped)
    before = sorted((built.root / ".zoo/objects").iterdir())
    handler = signal.getsignal(signal.SIGINT)
    found = zoo("build", "tiny", "--again")
    assert found.code == 130 and "stopp" in found.err
    assert signal.getsignal(signal.SIGINT) is handler
    assert not list((built.root / ".zoo/working").iterdir()) and sorted((built.root / ".zoo/objects").iterdir()) == before
    assert zoo("fsck").code == 0


def test_a_reader_that_leaves_early_is_no_error(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("click.echo", gone)
    assert run(["list", "--json"]) == 0


def test_a_faulty_recipe_hides_no_other_from_the_list(small: Small, zoo: Zoo) -> None:
    text = small.recipe(("name: tiny\n", "name: worse\n"), ("  onnxruntime-fp32:\n", "  onnxruntime-fp31:\n"), name="worse")
    small.recipe(name="broken", text="a: [1\n")
    found = zoo("list")
    assert found.code == 0 and re.search(r"^tiny +A tiny network", found.out, re.MULTILINE)
    assert re.search(r"^worse +cannot be used: 1 fault$", found.out, re.MULTILINE)
    assert f"worse.yaml:{position(text, 'onnxruntime-fp31')}: targets.onnxruntime-fp31: " in found.out
    assert re.search(r"^recipes/broken\.yaml:2:1: ", found.out, re.MULTILINE)
    rows = {row["name"]: row for row in json.loads(zoo("list", "--json").out)}
    assert rows["tiny"]["faults"] == [] and len(rows["worse"]["faults"]) == 1 and rows["worse"]["targets"] == []


def test_show_says_what_each_protocol_of_crops_looks_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zoo: Zoo) -> None:
    small = tiny_top_down.make(tmp_path)
    flipped = ("    boxes: {type: annotations}\n", "    boxes: {type: annotations}\n    flip: true\n    people: {score: bbox, nms: none}\n")
    tiny_top_down.poser(small, flipped)
    monkeypatch.chdir(tmp_path)
    lines = [line.strip() for line in zoo("show", "poser").out.splitlines()]
    for said in (
        "input             1 x 3 x 32 x 24; box (width 24, height 32), bgr, resize_then_normalize",
        "boxes annotations; flip test; people scored by bbox, doubles stay",
        "boxes detector (recipe finder, most 3); no flip; people scored by bbox_keypoint, doubles dropped over OKS 0.9",
        "judged by coco_oks",
    ):
        assert said in lines
    shown = zoo("show", "finder").out
    assert "people as boxes" in shown and "judged by coco_bbox" in shown and "no flip" not in shown
    assert "top_down (detector finder, pose poser, most 3)" in zoo("show", "top_down").out


def test_show_says_why_a_dataset_has_no_boxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zoo: Zoo) -> None:
    small = tiny_top_down.make(tmp_path)
    tiny_top_down.poser(small, ("{type: annotations}", "{type: detections, name: theirs}"))
    path = tmp_path / "zoo.yaml"
    named = "person_keypoints_val2017.json\n"
    path.write_text(path.read_text().replace(named, f"{named}    detections: {{theirs: theirs.json}}\n", 1))
    monkeypatch.chdir(tmp_path)
    assert re.search(r"on coco_val2017 - not here: no file .*theirs\.json", zoo("show", "poser").out)
    assert re.search(r"coco_val2017 +present, but not its detections theirs: no file .*theirs\.json", zoo("doctor").out)
