"""A recipe whose preprocessing is a vdsp JSON."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from workspaces import RECIPE, WORKSPACE

from zoo.cli import run
from zoo.engine.code import Code
from zoo.engine.plan import declared
from zoo.errors import RecipeError
from zoo.pose.fits import Stretch
from zoo.pose.preprocess import Preprocess
from zoo.recipe.model import Recipe
from zoo.recipe.schema import emit
from zoo.recipe.workspace import Place, open_place, read_recipe

ROOT = Path(__file__).parent.parent.parent
GOOD = (ROOT / "recipes/vdsp/openpose_body.json").read_text(encoding="utf-8")
PREPROCESS = re.search(r"^preprocess:\n(?:  .*\n)+", RECIPE, re.M)[0]  # type: ignore[index]

Write = Callable[..., Path]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "zoo.yaml").write_text(WORKSPACE)
    return open_place(str(tmp_path))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a recipe with this `preprocess:`, and the JSON beside it; gives the recipe's path."""

    def written(params: str | None = GOOD, preprocess: str = "{vdsp: vdsp/body.json}", change: tuple[str, str] = ("", "")) -> Path:
        (tmp_path / "recipes/vdsp").mkdir(parents=True, exist_ok=True)
        if params is not None:
            (tmp_path / "recipes/vdsp/body.json").write_text(params)
        path = tmp_path / "recipes/tiny.yaml"
        path.write_text(RECIPE.replace(PREPROCESS, f"preprocess: {preprocess}\n").replace(*change))
        return path

    return written


def problems(path: Path, place: Place) -> list[str]:
    """`file:line:column: path: message`, with the file's name alone."""
    with pytest.raises(RecipeError) as error:
        read_recipe(path, place)
    return [re.sub(r"^\S*/", "", str(problem)) for problem in error.value.problems]


def test_the_recipe_is_what_its_file_says(write: Write, place: Place) -> None:
    assert read_recipe(write(), place).preprocess == Preprocess(
        fit=Stretch(width=184, height=184), colour="bgr", mean=(128, 128, 128), std=(256, 256, 256)
    )


@pytest.mark.parametrize("side, name", [(184, "openpose_body"), (368, "openpose_hand")])
def test_openposes_files_are_read(write: Write, place: Place, side: int, name: str) -> None:
    recipe = read_recipe(write((ROOT / f"recipes/vdsp/{name}.json").read_text()), place)
    assert recipe.preprocess.fit == Stretch(width=side, height=side)


def test_a_changed_file_changes_the_definitions(write: Write, place: Place) -> None:
    def definitions() -> dict[str, str]:
        return declared(read_recipe(tmp, place), place, place.context(), Code())

    tmp = write()
    before = definitions()
    tmp = write(GOOD.replace("256, 256, 256", "255, 256, 256"))
    assert set(before.values()).isdisjoint(definitions().values())
    tmp = write(json.dumps(json.loads(GOOD)))
    assert definitions() == before, "the same preprocessing in other spaces is the same recipe"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"NormaType"', '"NormType"', "body.json:13:5: OpConfig.NormType: unknown key; did you mean 'NormaType'?"),
        ('"RGB2BGR"', '"RGB2BRG"', "body.json:14:21: OpConfig.ColorCvtCode: 'RGB2BRG' is not known; did you mean 'RGB2BGR'?"),
        ("[128, 128, 128]", "[128, true, 128]", "body.json:11:19: OpConfig.Mean[1]: expected a number, found true"),
        ('"BILINEAR_CV"', '"BILINEAR_PILLOW"', "body.json:15:19: OpConfig.ResizeType: BILINEAR_PILLOW smooths"),
        ('"OimageWidth": 184,', "", "body.json:3:15: OpConfig: missing key 'OimageWidth'"),
        ('"OimageWidth": 184,', '"OimageWidth": 184, "OimageWidth": 184,', "body.json:7:25: OpConfig.OimageWidth: this key already stands"),
        ("256],", "256,],", "body.json:12:27: no JSON: "),
        ("[128, 128, 128]", "[128, NaN, 128]", "body.json:1:1: no JSON: NaN is no number"),
        ("[128, 128, 128]", "[128, 128, 128", "body.json:"),
        ("184", "180", "tiny.yaml:17:13: preprocess.fit: the network takes heights and widths that are multiples of 8, not 180x180"),
    ],
)
def test_every_fault_of_the_file_stands_at_its_own_line(write: Write, place: Place, old: str, new: str, said: str) -> None:
    assert any(one.startswith(said) for one in problems(write(GOOD.replace(old, new)), place))


def test_faults_of_the_file_and_of_the_recipe_come_together(write: Write, place: Place) -> None:
    path = write(
        GOOD.replace('"RGB2BGR"', "7").replace("EQUAL", "").replace('"Std": [256', '"Std": ["256"'),
        change=("stage_1_output_0_pafs", "pafs"),
    )
    found = problems(path, place)
    assert [one.split(":")[0] for one in found] == ["tiny.yaml", "body.json", "body.json"]
    assert "decode.pafs: there is no output 'pafs'" in found[0]


@pytest.mark.parametrize(
    ("preprocess", "said"),
    [
        ("{vdsp: vdsp/bdy.json}", "tiny.yaml:17:20: preprocess.vdsp: vdsp/bdy.json: no such file; paths start at the recipe's folder"),
        ("{vdsp: vdsp}", "tiny.yaml:17:20: preprocess.vdsp: vdsp: a folder, not a file"),
        ("{vdsp: 3}", "tiny.yaml:17:20: preprocess.vdsp: expected text, found the number 3"),
        ("{vdsp: }", "tiny.yaml:17:20: preprocess.vdsp: expected text, found nothing (null)"),
        ("{vdps: vdsp/body.json}", "tiny.yaml:17:14: preprocess.vdps: unknown key; did you mean 'vdsp'?"),
        (
            "{vdsp: vdsp/body.json, colour: rgb}",
            "tiny.yaml:17:36: preprocess.colour: beside `vdsp:` nothing else can stand: the file says it all",
        ),
    ],
)
def test_a_name_of_no_file_is_the_recipes_one_fault(write: Write, place: Place, preprocess: str, said: str) -> None:
    assert problems(write(preprocess=preprocess), place) == [said]


def test_check_and_show_see_what_the_file_says(write: Write, place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    write()
    assert run(["check", "--workspace", str(place.root)]) == 0
    capsys.readouterr()
    assert run(["show", "tiny", "--json", "--workspace", str(place.root)]) == 0
    assert json.loads(capsys.readouterr().out)["preprocess"]["fit"]["width"] == 184
    write(GOOD.replace("RGB2BGR", "RGB2BRG"))
    assert run(["check", "--workspace", str(place.root)]) == 2
    out = capsys.readouterr()
    assert "body.json:14:21" in out.out + out.err


def test_an_editor_is_offered_both_forms() -> None:
    parts = emit(Recipe, "")["$defs"]
    schema = Draft202012Validator({**parts["Recipe"]["properties"]["preprocess"], "$defs": parts})

    def takes(value: Any) -> bool:
        return bool(schema.is_valid(value))

    own = msgspec.to_builtins(Preprocess(fit=Stretch(width=8, height=8)))
    assert takes({"vdsp": "a.json"}) and takes(json.loads(json.dumps(own)))
    assert not takes({"vdsp": "a.json", "colour": "rgb"})
    assert not takes({"vdsp": 3}) and not takes({}) and not takes({"fit": {"type": "stretch"}})
