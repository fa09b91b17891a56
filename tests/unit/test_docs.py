"""Documentation that cannot go stale: its commands, paths, recipes and tables are held against the code."""

import ast
import importlib.util
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import click
import cv2
import msgspec
import pytest

from zoo import api, errors
from zoo.boxes import Boxes, DetectorBoxes
from zoo.cli import COMMANDS, cli, reference, run
from zoo.document import parse, read
from zoo.metrics import Metric
from zoo.models import OnnxGraph
from zoo.pipelines import Pipeline
from zoo.pose.augment import Augment, Colour
from zoo.pose.decoders import Decoder
from zoo.pose.people import People
from zoo.recipe.check import problems
from zoo.recipe.composite import PipelineRecipe
from zoo.recipe.composite import problems as misfits
from zoo.recipe.model import DETECTION, Recipe, Workspace, sources
from zoo.recipe.vdsp import resolved
from zoo.recipe.workspace import open_place, read_recipe
from zoo.training.labels import Labels
from zoo.training.masks import Ignore
from zoo.training.optimizers import Optimizer
from zoo.training.schedules import Schedule
from zoo.training.targets import Targets
from zoo.training.train import Initial, Train, Validation

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
ARCHITECTURE = ROOT / "docs/architecture.md"
TRAINING = ROOT / "docs/training.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
#: named in the pages, and made by a command where they are not committed
MADE = (".zoo/", "recipes/weights.lock")

page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)


def fences(path: Path) -> Iterator[tuple[str, str]]:
    """(language, text) of every fenced block."""
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", path.read_text(encoding="utf-8"), re.M | re.S):
        yield match[1], match[2]


def spans(path: Path) -> list[str]:
    """Every inline code span."""
    prose = re.sub(r"^```\w*\n.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    return re.findall(r"`([^`\n]+)`", prose)


def shell_lines(path: Path) -> list[str]:
    """Every command line of a page: in blocks of the shell, in spans, and in the help texts of docs/cli.md."""
    lines = [line for language, text in fences(path) if language == "sh" for line in text.splitlines()]
    helped = [re.split(r"\s{2,}", line.strip())[0] for language, text in fences(path) if language == "text" for line in text.splitlines()]
    helped += [span for language, text in fences(path) if language == "text" for span in re.findall(r"`([^`\n]+)`", text)]
    return [line for line in [*lines, *spans(path), *helped] if line.strip()]


def rows(path: Path, heading: str) -> list[list[str]]:
    """The body of the table whose first column is headed so."""
    table = path.read_text(encoding="utf-8").partition(f"\n| {heading} |")[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def slugs(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@page
def test_every_zoo_command_line_is_one_that_the_program_takes(page: Path) -> None:
    group = click.Context(cli, info_name="zoo", **cli.context_settings)
    for line in shell_lines(page):
        if not line.startswith("zoo "):
            continue
        name, *words = shlex.split(line, comments=True)[1:]
        if name.startswith("--"):
            continue  # `zoo --help`
        assert name in COMMANDS, f"{page.name}: `{line}`: no command {name}"
        command = cli.get_command(group, name)
        assert command is not None
        # only options and their number of values: a page may name files that its reader has
        command.make_parser(click.Context(command, info_name=name, parent=group)).parse_args(words)


@page
def test_every_recipe_of_a_command_line_exists_or_is_plainly_the_readers_own(page: Path) -> None:
    known = {path.stem for path in (ROOT / "recipes").glob("*.yaml")} | {"my_model", "RECIPE", "NAME"}
    for line in shell_lines(page):
        match = re.match(r"zoo (?:show|plan|fetch|build|eval|bench|predict|new|check) ([\w/.]+)", line)
        assert match is None or match[1] in known or (ROOT / match[1]).is_file(), f"{page.name}: `{line}`"


@page
def test_every_module_that_is_run_exists(page: Path) -> None:
    for line in shell_lines(page):
        for module in re.findall(r"python -m ([\w.]+)", line):
            assert importlib.util.find_spec(module), f"{page.name}: `{line}`"


@page
def test_every_path_exists(page: Path) -> None:
    tops = {path.name for path in ROOT.iterdir()} | {"LICENSE", "LEADERBOARD.md", "ci", "results", ".github"}
    words = {word.rstrip(".,:;)'\"").lstrip("('\"") for line in shell_lines(page) for word in line.split()}
    for word in sorted(words):
        if not re.fullmatch(r"[\w./-]+", word) or word.partition("/")[0] not in tops or word.startswith((*MADE, ".venv")):
            continue
        if "/" not in word and not Path(word).suffix:
            continue  # a word of the prose that is also a folder's name
        if any(part.isupper() or "_THING" in part for part in Path(word).with_suffix("").parts if part not in ("README", "LEADERBOARD")):
            continue  # a placeholder
        assert (ROOT / word).exists(), f"{page.name}: {word}"


@page
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        assert path.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in slugs(path), f"{page.name}: {target}"


def test_the_reference_of_the_command_line_is_current() -> None:
    assert (ROOT / "docs/cli.md").read_text(encoding="utf-8") == reference.page(), "run `python -m zoo.cli.reference`"


def test_the_schemas_are_current(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert run(["schema", "--check"]) == 0


@pytest.mark.parametrize("path", [ROOT / "zoo.yaml", *sorted((ROOT / "recipes").glob("*.yaml"))], ids=lambda path: path.name)
def test_an_editor_finds_the_schema_from_the_first_line(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    named = first.removeprefix("# yaml-language-server: $schema=")
    assert named != first
    kind = "workspace" if path.name == "zoo.yaml" else "pipeline" if "pipeline" in read(path).data else "recipe"
    assert (path.parent / named).resolve() == ROOT / f"docs/schema/{kind}.json"


def base() -> dict[str, Any]:
    """A recipe to lay fragments over: without what refers to its other parts."""
    whole = read(ROOT / "recipes/human_pose_estimation_0001.yaml").data
    return {**whole, "evaluate": [], "targets": {"onnxruntime-fp32": None}}


FRAGMENTS = [
    pytest.param(text, id=f"{path.name}-{next(iter(parse(text).data))}")
    for path in (README, ROOT / "docs/recipes.md")
    for language, text in fences(path)
    if language == "yaml"
]


@pytest.mark.parametrize("text", FRAGMENTS)
def test_every_piece_of_yaml_is_one_that_the_zoo_takes(text: str) -> None:
    fragment = parse(text).data
    declared = read(ROOT / "zoo.yaml").data
    # what both have (format, targets) stands in zoo.yaml where a machine is named
    if "pipeline" in fragment:
        place = open_place(str(ROOT))
        pipeline = msgspec.convert(fragment, PipelineRecipe)
        parts = {role: read_recipe(place.find(name), place) for role, name in pipeline.pipeline.parts.items()}
        assert misfits(parse(text, f"{pipeline.name}.yaml"), pipeline, parts, place.declared) == []  # type: ignore[arg-type]
    elif "machine" in fragment or not set(fragment) <= set(Recipe.__struct_fields__):
        msgspec.convert({**declared, **fragment}, Workspace)
    else:
        whole = {**base(), **fragment}
        document, faults = resolved(parse(json.dumps(whole), str(ROOT / f"recipes/{whole['name']}.yaml")))
        recipe = msgspec.convert(document.data, Recipe)
        assert faults + problems(document, recipe, msgspec.convert(declared, Workspace)) == []
        for boxes in (one for _, one in sources(recipe) if isinstance(one, DetectorBoxes)):
            detector = open_place(str(ROOT)).network(boxes.recipe)
            protocols = [None, *(one.protocol for one in detector.evaluate)]
            assert detector.task == DETECTION and boxes.target in detector.targets and boxes.protocol in protocols


def within(part: Any, whole: Any) -> bool:
    """Whether `part` is `whole` with things left out."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and within(value, whole[key]) for key, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        return all(any(within(one, other) for other in whole) for one in part)
    return bool(part == whole)


def test_the_readmes_recipe_is_the_recipe_with_things_left_out() -> None:
    (text,) = [text for language, text in fences(README) if language == "yaml"]
    assert within(parse(text).data, read(ROOT / "recipes/openpose_mobilenet.yaml").data)


def test_the_readme_names_every_recipe_once() -> None:
    named = [name for row in rows(README, "kind") for name in re.findall(r"`(\w+)`", row[1])]
    assert sorted(named) == sorted(path.stem for path in (ROOT / "recipes").glob("*.yaml"))


def test_the_readmes_python_calls_what_exists() -> None:
    (text,) = [text for language, text in fences(README) if language == "python"]
    called = {node.attr for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "zoo.api"}
    assert called == {"load"} and callable(api.load)


def test_the_exit_codes_are_those_of_the_errors() -> None:
    coded: dict[int, set[str]] = {0: set()}
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.ZooError) and kind is not errors.ZooError:
            coded.setdefault(kind.exit_code, set()).add(name)
    assert {int(row[0]): set(re.findall(r"`(\w+)`", row[1])) for row in rows(README, "code")} == coded
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", errors.__doc__ or "", re.M)} == set(coded)
    told = re.sub(r"\s+", " ", cli.help or "").partition("Exit codes: ")[2]
    assert {int(code) for code in re.findall(r"(?:^|, )(\d+) ", told)} == set(coded)


def test_the_table_of_decoders_is_the_union() -> None:
    named = [row[0].strip("`") for row in rows(ROOT / "docs/recipes.md", "`type`")]
    assert sorted(named) == sorted(decoder.__struct_config__.tag for decoder in get_args(Decoder))


def test_the_table_of_metrics_is_the_union_with_the_figures_of_each() -> None:
    told = {row[0].split("`")[1]: re.sub(r" \(.*?\)", "", row[2]).split(", ") for row in rows(ROOT / "docs/recipes.md", "metric")}
    assert told == {metric.__struct_config__.tag: list(metric.figures) for metric in get_args(Metric)}


def test_every_source_of_boxes_and_every_pipeline_is_told() -> None:
    named = [row[0].strip("`") for row in rows(ROOT / "docs/recipes.md", "`boxes`")]
    assert sorted(named) == sorted(source.__struct_config__.tag for source in get_args(Boxes))
    shown = {parse(text).data["pipeline"]["type"] for _, text in fences(ROOT / "docs/recipes.md") if "\npipeline:" in text}
    assert shown == {pipeline.__struct_config__.tag for pipeline in get_args(Pipeline)}


def test_the_fields_of_people_are_told_with_their_defaults() -> None:
    told = {row[0].strip("`"): row[1].strip("`") for row in rows(ROOT / "docs/recipes.md", "people")}
    assert told == {name: str(value) for name, value in msgspec.structs.asdict(People()).items()}


def test_the_training_that_is_shown_is_the_recipes_with_things_left_out() -> None:
    (text,) = [text for language, text in fences(TRAINING) if language == "yaml"]
    assert within(parse(text).data, read(ROOT / "recipes/openpose_vgg19.yaml").data)


TRAINED = {
    "train": Train, "labels": Labels, "ignore": Ignore, "targets": Targets, "augment": Augment, "colour": Colour,
    "initial": Initial, "validation": Validation,
}  # fmt: skip


@pytest.mark.parametrize("name", TRAINED)
def test_every_field_of_a_training_is_told_with_its_default(name: str) -> None:
    told = {row[0].strip("`"): row[1].strip("`") for row in rows(TRAINING, f"field of `{name}`")}
    assert told == {field.name: default(field) for field in msgspec.structs.fields(TRAINED[name])}


def default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "needed"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if isinstance(value, msgspec.Struct):
        return f"{{type: {value.__struct_config__.tag}}}" if value.__struct_config__.tag else "below"
    if isinstance(value, tuple) and value:
        return f"[{', '.join(f'{one:g}' for one in value)}]"
    return "none" if value in (None, "", (), {}) else f"{value:g}" if isinstance(value, float) else str(value)


def test_every_optimizer_and_every_schedule_is_told_with_its_fields() -> None:
    for name, union in (("optimizer", Optimizer), ("schedule", Schedule)):
        told = {row[0].strip("`"): re.findall(r"`(\w+)`", row[1]) for row in rows(TRAINING, f"`type` of `{name}`")}
        assert told == {one.__struct_config__.tag: list(one.__struct_fields__) for one in get_args(union)}


def test_the_readme_names_every_command_and_every_extra() -> None:
    named = {name for row in rows(README, "command") for name in re.findall(r"`zoo (\w+)", row[0])}
    assert named == set(COMMANDS)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {row[0].strip("`") for row in rows(README, "extra")} == set(project["optional-dependencies"])


def test_every_noun_is_defined_in_the_file_that_is_named_for_it() -> None:
    for names, _, where in rows(ARCHITECTURE, "noun"):
        code = "".join((ROOT / file).read_text(encoding="utf-8") for file in re.findall(r"`(zoo/[\w/]+\.py)`", where))
        for name in names.split(", "):
            assert re.search(rf"^(class {name}\b|{name} = )", code, re.M), f"{name} is not in {where}"


def test_the_fields_of_a_model_that_is_an_onnx_file_are_all_told() -> None:
    told = [row[0].strip("`") for row in rows(ROOT / "docs/recipes.md", "field of `model`")]
    assert told == list(OnnxGraph.__struct_fields__)


def test_the_layers_are_those_that_are_enforced() -> None:
    (contract,) = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    section = ARCHITECTURE.read_text(encoding="utf-8").partition("## Layers")[2]
    # brackets: a layer whose package does not exist yet
    enforced = [re.sub(r"[()]", "", layer) for layer in contract["layers"]]
    assert re.search(r"```text\n(.*?)```", section, re.S)[1].splitlines() == enforced  # type: ignore[index]


def test_the_picture_is_small_enough_for_a_readme() -> None:
    path = ROOT / "docs/astronaut.png"
    assert path.stat().st_size < 400_000
    assert cv2.imread(str(path)).shape[2] == 3


def test_the_steps_of_the_walk_are_numbered_through() -> None:
    walk = ARCHITECTURE.read_text(encoding="utf-8").partition("## Where a line of code lives")[2]
    numbers = [int(number) for number in re.findall(r"^(\d+)\. ", walk, re.M)]
    assert numbers[0] == 1 and all(after == before + 1 for before, after in pairwise(numbers))
