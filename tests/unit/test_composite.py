"""Recipes that are made of recipes: whether their parts fit each other and the workspace, and what of them enters a digest."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from workspaces import BOTH, RECIPE, Small, Zoo, position

from zoo.engine.code import Code
from zoo.engine.plan import declared
from zoo.errors import RecipeError, UsageError
from zoo.recipe.composite import Composite, PipelineRecipe
from zoo.recipe.schema import emit
from zoo.recipe.workspace import open_place, read_all, read_recipe

ROOT = Path(__file__).parents[2]
TARGET = "  onnxruntime-fp32:\n"
CODE = Code()  # parses what it meets once


@pytest.fixture
def small(tmp_path: Path) -> Small:
    small = Small.make(tmp_path)
    small.pipeline()
    return small


def faults(small: Small, name: str = "both") -> list[str]:
    """What is wrong with a recipe, as `file:line:column: path: message` with the file's bare name."""
    place = open_place(str(small.root))
    try:
        read_recipe(place.find(name), place)
    except RecipeError as error:
        return [str(problem).replace(f"{small.root}/recipes/", "") for problem in error.problems]
    return []


def both(small: Small) -> Composite:
    place = open_place(str(small.root))
    found = read_recipe(place.find("both"), place)
    assert isinstance(found, Composite)
    return found


def test_the_pipeline_of_these_tests_has_no_fault(small: Small) -> None:
    assert faults(small) == []
    assert {role: part.name for role, part in both(small).parts.items()} == {"body": "tiny", "hand": "hand"}


#: what is changed, the word in the changed file that the fault stands at, its path and message
CASES = {
    "a protocol that is held against none that there is": (
        ("datasets: [coco_val2017]\n", "datasets: [coco_val2017]\n    against: original\n"), "original",
        "evaluate[0].against: there is no other protocol of this recipe 'original'; there is none",
    ),
    "a metric that keeps nothing to be held against another": (
        (
            "datasets: [coco_val2017]\n",
            "datasets: [coco_val2017]\n    metric: {type: coco_wholebody_hands}\n    against: again\n"
            "  - {protocol: again, title: Again, datasets: [coco_val2017], metric: {type: coco_wholebody_hands}}\n",
        ),
        "again\n", "evaluate[0].against: only figures of coco_oks, coco_oks_people and coco_bbox are held against each other",
    ),
    "an unknown recipe": (
        ("body: tiny,", "body: tinny,"), "tinny", "pipeline.body: there is no recipe tinny; did you mean tiny?",
    ),
    "a recipe of which nothing is near": (
        ("hand: hand,", "hand: xyz,"), "xyz", "pipeline.hand: there is no recipe xyz; recipes here: both, hand, tiny",
    ),
    "a part that is the pipeline itself": (
        ("body: tiny,", "body: both,"), "both, hand", "pipeline.body: both is a pipeline itself; name a recipe of one network",
    ),
    "a body where a hand is wanted": (
        ("hand: hand,", "hand: tiny,"), "tiny, crops", "pipeline.hand: tiny gives poses of openpose_18, this part is to give hand_21",
    ),
    "a hand where a body is wanted": (
        ("body: tiny,", "body: hand,"), "hand, hand", "pipeline.body: hand gives poses of hand_21, this part is to give openpose_18",
    ),
    "a target that the workspace lacks": (
        (TARGET, "  onnxruntime-fp23:\n"), "onnxruntime-fp23",
        "targets.onnxruntime-fp23: there is no target 'onnxruntime-fp23'; did you mean onnxruntime-fp32?",
    ),
    "a target that one part lacks": (
        (TARGET, "  openvino-fp32:\n"), "openvino-fp32",
        "targets.openvino-fp32: tiny, the body: there is no target 'openvino-fp32'; there is onnxruntime-fp32",
    ),
    "a part's other target that it lacks": (
        (TARGET, "  onnxruntime-fp32: {parts: {hand: onnxruntime-fp16}}\n"), "onnxruntime-fp16",
        "targets.onnxruntime-fp32.parts.hand: hand, the hand: there is no target 'onnxruntime-fp16'; did you mean onnxruntime-fp32?",
    ),
    "a role that there is not": (
        (TARGET, "  onnxruntime-fp32: {parts: {hands: openvino-fp32}}\n"), "openvino-fp32}",
        "targets.onnxruntime-fp32.parts.hands: there is no part 'hands'; did you mean hand?",
    ),
    "a dataset of the evaluation that there is not": (
        ("[coco_val2017]", "[coco_vel2017]"), "coco_vel2017",
        "evaluate[0].datasets[0]: there is no dataset 'coco_vel2017'; did you mean coco_val2017?",
    ),
    "a dataset to time it on that there is not": (
        ("{dataset: coco_val2017,", "{dataset: others,"), "others", "benchmark.dataset: there is no dataset 'others'; did you mean other?",
    ),
    "a gate on another dataset": (
        ("    datasets: [coco_val2017]\n", "    datasets: [coco_val2017]\n    gates: {other: {AP: 0.1}}\n"), "other: {AP",
        "evaluate[0].gates.other: there is no dataset of this protocol 'other'; there is coco_val2017",
    ),
    "a name that is not the file's": (
        ("name: both\n", "name: bath\n"), "bath", "name: the file is called both: name and file must agree",
    ),
    "an unknown key": (
        ("benchmark: {", "bencmark: 1\nbenchmark: {"), "bencmark",
        "bencmark: unknown key; did you mean 'benchmark'? (allowed: format, name, ",
    ),
    "an unknown key of the crops": (
        ("{least: 4}", "{leest: 4}"), "leest",
        "pipeline.crops.leest: unknown key; did you mean 'least'? (allowed: shift, side, upper_arm, least)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_fault_is_reported_at_its_line_and_column_with_what_to_do(small: Small, name: str) -> None:
    change, word, said = CASES[name]
    text = small.pipeline(change)
    (found,) = faults(small)
    assert found.startswith(f"both.yaml:{position(text, word)}: {said}")


def test_all_faults_are_reported_at_once_in_the_order_of_their_lines(small: Small) -> None:
    small.pipeline(("body: tiny,", "body: tinny,"), (TARGET, "  onnxruntime-fp23:\n"), ("{dataset: coco_val2017,", "{dataset: others,"))
    found = faults(small)
    assert [one.split(": ")[1] for one in found] == ["pipeline.body", "targets.onnxruntime-fp23", "benchmark.dataset"]


def test_faults_of_a_part_are_shown_in_its_own_file_and_nothing_is_made_up_about_it(small: Small) -> None:
    text = small.recipe(("images: 2, method", "images: 0, method"))
    # of a part that cannot be read it is not said that it lacks a role or a target
    small.pipeline((TARGET, "  onnxruntime-fp32: {parts: {body: openvino-fp32}}\n"))
    (found,) = faults(small)
    assert found.startswith(f"tiny.yaml:{position(text, '0, method')}: calibration.images: ")


def test_a_part_of_several_pipelines_tells_its_faults_once(small: Small) -> None:
    small.recipe(("images: 2, method", "images: 0, method"))
    place = open_place(str(small.root))
    with pytest.raises(RecipeError) as error:
        read_all(place.files(), place)
    assert len(error.value.problems) == 1
    small.pipeline(("hand: hand,", "hand: tiny,"))
    assert len([one for one in faults(small) if one.startswith("tiny.yaml")]) == 1, "and one that is a part twice"


def test_a_fault_is_told_once_however_its_file_was_named(small: Small, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    small.recipe(("  onnxruntime-fp32:\n", "  onnxruntime-fp31:\n"))
    monkeypatch.chdir(small.root / "recipes")
    expected = f"tiny.yaml:{position((small.root / 'recipes/tiny.yaml').read_text(), 'onnxruntime-fp31:')}: "
    for names in (
        ("tiny.yaml", "both"),
        ("both", str(small.root / "recipes/tiny.yaml")),
        ("./tiny.yaml",),
        ("../recipes/both.yaml", "tiny"),
    ):
        code, out, _ = zoo("check", *names)
        (fault,) = [line for line in out.splitlines() if "fp31" in line]
        assert code == 2 and fault.startswith(expected)


def test_parts_are_recipes_of_the_workspace_wherever_one_stands(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    # what `zoo build --copy .` and others leave behind: a folder and a file of a recipe's name
    (elsewhere / "tiny" / "onnxruntime-fp32").mkdir(parents=True)
    (elsewhere / "hand").write_text("not a recipe")
    monkeypatch.chdir(elsewhere)
    assert faults(small) == []
    place = open_place(str(small.root))
    assert place.find("tiny") == small.root / "recipes" / "tiny.yaml"
    with pytest.raises(UsageError, match="there is no recipe elsewhere"):
        place.find("elsewhere")


def test_licences_are_said_once_where_all_agree_and_by_role_where_they_differ(small: Small) -> None:
    licences = both(small).licences
    assert (licences.weights, licences.code) == ("unknown", "unknown")
    assert licences.data == "body: unknown; hand: hands"


def digests(small: Small) -> dict[str, str]:
    place = open_place(str(small.root))
    return declared(both(small), place, place.context(offline=True), CODE)


CHANGES = {
    "the hand's decoder": ("hand", ("threshold: 0}", "threshold: 0.5}")),
    "the hand's preprocessing": ("hand", ("std: [255, 255, 255]", "std: [128, 128, 128]")),
    "the hand's weights": ("hand", ("path: hand.pth,", "path: other.pth,")),
    "the hand's licence": ("hand", ("data: hands", "data: others")),
    "the body's edits": ("tiny", ("edits:\n  - type: onnxsim\n", "")),
    "the body's parity gate": ("tiny", (TARGET, "  onnxruntime-fp32: {parity: {relative: 1e-5}}\n")),
    "the crops": ("both", ("least: 4", "least: 5")),
    "the protocol": ("both", ("title: Body and hands", "title: Bodies and hands")),
    "the title": ("both", ("title: A tiny body", "title: A small body")),
    "the images that it is timed on": ("both", ("images: 2}", "images: 1}")),
    "the target of a part": ("both", (TARGET, "  onnxruntime-fp32: {parts: {hand: openvino-fp32}}\n")),
}


def change(small: Small, name: str, *changes: tuple[str, str]) -> None:
    if name == "tiny":
        small.recipe(*changes)
    elif name == "hand":
        small.pipeline(hand=changes)
    else:
        small.pipeline(*changes)


@pytest.mark.parametrize("what", CHANGES)
def test_the_digest_of_a_row_changes_with_all_that_it_stands_on(small: Small, what: str) -> None:
    before = digests(small)
    assert set(before) == {"both/onnxruntime-fp32"}
    change(small, *CHANGES[what])  # type: ignore[arg-type]
    after = digests(small)
    assert set(after) == set(before) and after != before


UNRELATED = {
    "a protocol of the body alone": ("tiny", ("title: The original's evaluation", "title: Another title")),
    "another target of the hand": ("hand", ("  openvino-fp32:\n", "")),
    "at which size the hand alone is timed": ("hand", ("{height: 224, width: 224}\n", "{height: 224, width: 224, batch: 2}\n")),
    "the paper": ("both", ("task: body_hand_pose\n", "task: body_hand_pose\npaper: https://arxiv.org\n")),
}


@pytest.mark.parametrize("what", UNRELATED)
def test_the_digest_of_a_row_stays_where_it_does_not_stand_on_the_change(small: Small, what: str) -> None:
    before = digests(small)
    change(small, *UNRELATED[what])  # type: ignore[arg-type]
    assert digests(small) == before


def test_the_digest_of_a_row_stays_where_another_recipe_changes(small: Small) -> None:
    small.recipe(("name: tiny\n", "name: other\n"), name="other", text=RECIPE)
    before = digests(small)
    small.recipe(("name: tiny\n", "name: other\n"), ("images: 2,", "images: 1,"), name="other", text=RECIPE)
    assert digests(small) == before


def test_the_schema_of_pipelines_is_current_and_accepts_what_the_reader_accepts(small: Small) -> None:
    from zoo.document import parse, read

    text = (ROOT / "docs/schema/pipeline.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    assert schema == json.loads(json.dumps(emit(PipelineRecipe, "A recipe that is made of others"))), "run `zoo schema`"
    validator = Draft202012Validator(schema)
    Draft202012Validator.check_schema(schema)
    paths = [path for path in sorted((ROOT / "recipes").glob("*.yaml")) if "\npipeline:" in path.read_text(encoding="utf-8")]
    assert "openpose_mobilenet_landmark" in {path.stem for path in paths}
    for path in paths:
        validator.validate(read(path).data)
        assert path.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=../docs/schema/pipeline.json\n")
    validator.validate(parse(BOTH).data)
    for wrong in ("bencmark: 1\n" + BOTH, BOTH.replace("body: tiny", "bdy: tiny"), BOTH.replace("least: 4", "least: -4")):
        assert not validator.is_valid(parse(wrong).data)
