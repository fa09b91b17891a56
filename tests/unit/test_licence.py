"""Licences that are enforced: non-commercial weights, and whatever is made from them, are refused where commercial use is wanted."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import tiny_top_down
from workspaces import Small

from zoo import api
from zoo.cli import run
from zoo.context import Context
from zoo.errors import LicenceRefused
from zoo.licence import Use, words
from zoo.recipe.composite import Composite, PipelineRecipe
from zoo.recipe.model import Recipe
from zoo.recipe.origin import Origin, of_artifact, of_file, of_recipe, require
from zoo.recipe.workspace import open_place, read_recipe
from zoo.sources.local import LocalFile
from zoo.steps.fetch import FetchWeights
from zoo.steps.provenance import Provenance, together

Zoo = Callable[..., tuple[int, str, str]]
STATED = "licences: {weights: unknown, code: unknown, data: unknown}"
CONTENT = b"whatever"
PINNED = ("hash: none", f"hash: sha256:{hashlib.sha256(CONTENT).hexdigest()}")
CMU = (STATED, "licences: {weights: CMU, code: unknown, data: unknown, use: non-commercial}")
REFUSAL = "cmu may not be used commercially: cmu <- weights tiny.pth (CMU, non-commercial)"
MAKING = (("plan",), ("fetch",), ("build",), ("bench",), ("eval",), ("predict", "--save", "out", "tiny.pth"))
MAKES = pytest.mark.parametrize("words", MAKING, ids=lambda words: words[0])


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    """A workspace in the current folder: `tiny`, and `cmu`, whose weights are non-commercial. Both could be fetched."""
    small = Small.make(tmp_path)
    small.recipe(PINNED)
    small.recipe(PINNED, ("name: tiny\n", "name: cmu\n"), CMU, name="cmu")
    (tmp_path / "tiny.pth").write_bytes(CONTENT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ZOO_WORKSPACE", raising=False)
    return small


@pytest.fixture
def zoo(capfd: pytest.CaptureFixture[str]) -> Zoo:
    """`zoo(*words) -> (exit code, standard output, standard error)`."""

    def call(*words: str) -> tuple[int, str, str]:
        capfd.readouterr()
        return run(list(words)), *capfd.readouterr()

    return call


def commercially(small: Small) -> None:
    """zoo.yaml says that the models are for commercial use."""
    path = small.root / "zoo.yaml"
    path.write_text(path.read_text() + "licence: commercial\n")


def untouched(small: Small) -> bool:
    """Whether nothing was fetched, made or measured."""
    return not list((small.root / ".zoo").glob("objects/*")) and not list((small.root / ".zoo").glob("actions/*"))


@MAKES
def test_a_recipe_of_non_commercial_weights_is_refused_before_anything_is_done(small: Small, zoo: Zoo, words: tuple[str, ...]) -> None:
    code, out, err = zoo(words[0], "cmu", *words[1:], "--licence", "commercial")
    assert code == 2 and REFUSAL in err and "--weights FILE" in err and "--licence any" in err
    assert not out and untouched(small)


@MAKES
def test_zoo_yaml_may_refuse_them_for_every_command(small: Small, zoo: Zoo, words: tuple[str, ...]) -> None:
    commercially(small)
    code, out, err = zoo(words[0], "cmu", *words[1:])
    assert code == 2 and REFUSAL in err and not out and untouched(small)


def test_a_rehearsal_is_refused_as_well(small: Small, zoo: Zoo) -> None:
    (small.root / "tiny.pth").unlink()
    assert zoo("build", "cmu", "--rehearse", "--licence", "commercial")[0] == 2 and untouched(small)


def test_the_option_overrides_zoo_yaml(small: Small, zoo: Zoo) -> None:
    commercially(small)
    assert zoo("plan", "cmu", "--licence", "any")[0] == 0
    assert zoo("fetch", "tiny")[0] == 0, "a recipe that forbids nothing was refused"


def test_without_a_word_about_commercial_use_nothing_is_refused(small: Small, zoo: Zoo) -> None:
    assert zoo("plan", "cmu")[0] == 0 and zoo("plan", "--all")[0] == 0


def test_all_passes_them_over_and_says_so(small: Small, zoo: Zoo) -> None:
    code, out, err = zoo("plan", "--all", "--licence", "commercial", "--json")
    assert code == 0 and f"passed over: {REFUSAL}\n" in err
    assert {action["id"].partition("/")[0] for action in json.loads(out)} == {"tiny"}


def test_several_that_are_named_are_refused_together_if_one_is(small: Small, zoo: Zoo) -> None:
    code, _, err = zoo("fetch", "tiny", "cmu", "--licence", "commercial")
    assert code == 2 and REFUSAL in err and "tiny may not" not in err and untouched(small)


def test_all_of_nothing_but_refused_ones_is_refused(small: Small, zoo: Zoo) -> None:
    (small.root / "recipes" / "tiny.yaml").unlink()
    code, _, err = zoo("fetch", "--all", "--licence", "commercial")
    assert code == 2 and REFUSAL in err and "no recipe of this workspace may be used commercially" in err and untouched(small)


def test_weights_of_ones_own_stand_under_ones_own_terms(small: Small, zoo: Zoo) -> None:
    (small.root / "mine").mkdir()
    shutil.copy(small.root / "tiny.pth", small.root / "mine" / "my.pth")
    code, out, _ = zoo("plan", "cmu", "--weights", "mine/my.pth", "--licence", "commercial")
    assert code == 0 and "cmu/fetch" in out
    assert of_file(Path("mine/my.pth")) == Origin("own file my.pth", made_of=(Origin("weights my.pth", "own file"),))


def test_a_file_that_the_zoo_fetched_keeps_its_terms_as_a_file_of_ones_own(small: Small, zoo: Zoo) -> None:
    _, out, _ = zoo("fetch", "cmu", "--json")
    (fetched,) = json.loads(out)
    assert (fetched["licence"], fetched["use"]) == ("CMU", "non-commercial")
    handed = Path(fetched["folder"]) / "tiny.pth"
    code, _, err = zoo("plan", "tiny", "--weights", str(handed), "--licence", "commercial")
    assert code == 2
    assert "tiny may not be used commercially: tiny <- own file tiny.pth <- weights tiny.pth (CMU, non-commercial)" in err


def test_another_programs_provenance_says_nothing_of_a_file(small: Small, zoo: Zoo) -> None:
    (small.root / "provenance.json").write_text('{"by": "someone"}')
    assert zoo("plan", "cmu", "--weights", "tiny.pth", "--licence", "commercial")[0] == 0


def test_what_came_is_written_with_its_terms(small: Small, context: Context) -> None:
    source = {"type": "file", "files": [{"name": "tiny.pth", "path": str(small.root / "tiny.pth")}]}
    cases: list[tuple[dict[str, str], tuple[str, str]]] = [
        ({}, ("CMU", "non-commercial")),
        ({"licence": "own file", "use": "any"}, ("own file", "any")),
        ({"licence": "CC-BY-NC-4.0"}, ("CC-BY-NC-4.0", "non-commercial")),
    ]
    for number, (terms, expected) in enumerate(cases):
        out = small.root / str(number)
        out.mkdir()
        sources = (msgspec.convert({**source, **terms}, LocalFile),)
        FetchWeights(owner="cmu", sources=sources, licence="CMU", use="non-commercial").run({}, out, context)
        provenance = Provenance.read(out)
        assert (provenance.licence, provenance.use) == expected


def test_seeded_weights_are_nobodys(tmp_path: Path, context: Context) -> None:
    out = tmp_path / "out"
    out.mkdir()
    sources = (msgspec.convert({"type": "file", "files": [{"name": "absent.pth"}]}, LocalFile),)
    FetchWeights(owner="cmu", sources=sources, licence="CMU", use="non-commercial", rehearse=True).run({}, out, context)
    provenance = Provenance.read(out)
    assert provenance.rehearsal and provenance.use == "any" and "CMU" not in provenance.licence
    assert of_artifact("cmu/rehearsed", out).chains() == ()


def test_a_recipe_is_as_strict_as_the_strictest_of_its_sources(small: Small) -> None:
    small.recipe(
        ("    reader: {type: pth, file: tiny.pth}\n", "    reader: {type: pth, file: tiny.pth}\n"
         "  - {type: file, files: [{name: other.pth}, {name: more.pth}], reader: {type: pth, file: other.pth}, "
         "licence: CC-BY-NC-4.0, use: non-commercial}\n"),
    )  # fmt: skip
    place = open_place(str(small.root))
    assert of_recipe(read_recipe(place.find("tiny"), place), place).chains() == (
        "tiny <- weights other.pth, more.pth (CC-BY-NC-4.0, non-commercial)",
    )


def test_the_chain_of_something_made_of_recipes_names_every_link() -> None:
    free = Origin("hand", made_of=(Origin("weights hand.pth", "Apache-2.0"),))
    body = Origin("body", made_of=(Origin("weights body.pth", "CMU", "non-commercial"),))
    joint = Origin("body_hand", made_of=(body, free))
    chain = "body_hand <- body <- weights body.pth (CMU, non-commercial)"
    assert joint.chains() == (chain,)
    assert joint.refusal("any") == "" and free.refusal("commercial") == ""
    require([joint], "any")
    require([free], "commercial")
    with pytest.raises(LicenceRefused) as error:
        require([free, joint, body], "commercial")
    assert error.value.message.splitlines() == [
        f"body_hand may not be used commercially: {chain}",
        "body may not be used commercially: body <- weights body.pth (CMU, non-commercial)",
    ]
    both = Origin("both", made_of=(body, Origin("hand", "CC-BY-NC-4.0", "non-commercial")))
    assert both.refusal("commercial").count("both <- ") == 2


def test_a_pipeline_stands_on_the_recipes_of_its_parts(small: Small) -> None:
    place = open_place(str(small.root))
    parts = {role: read_recipe(place.find(name), place) for role, name in (("body", "cmu"), ("hand", "tiny"))}
    declared = {
        "format": 1, "name": "joint", "title": "Joint", "task": "body_hand_pose", "targets": {"onnxruntime-fp32": None},
        "pipeline": {"type": "body_hands", "body": "cmu", "hand": "tiny"}, "benchmark": {"dataset": "other"},
    }  # fmt: skip
    joint = Composite(msgspec.convert(declared, PipelineRecipe), {role: one for role, one in parts.items() if isinstance(one, Recipe)})
    assert of_recipe(joint, place).chains() == ("joint <- cmu <- weights tiny.pth (CMU, non-commercial)",)
    assert (joint.licences.weights, joint.licences.use) == ("body: CMU, non-commercial; hand: unknown", "non-commercial")


@pytest.fixture
def detected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    """`poser` is judged on the boxes of `finder`, whose weights are non-commercial; `top_down` is made of both."""
    small = tiny_top_down.make(tmp_path)
    small.recipe(("data: unknown}", "data: unknown, use: non-commercial}"), name="finder", text=tiny_top_down.FINDER)
    (tmp_path / "tiny.pth").write_bytes(CONTENT)  # what MAKING names to look at
    monkeypatch.chdir(tmp_path)
    return small


FOUND = "boxes of finder <- weights finder.onnx (unknown, non-commercial)"


@MAKES
def test_a_detector_on_whose_boxes_a_recipe_is_judged_is_asked_as_well(detected: Small, zoo: Zoo, words: tuple[str, ...]) -> None:
    code, out, err = zoo(words[0], "poser", *words[1:], "--licence", "commercial")
    assert code == 2 and f"poser may not be used commercially: poser <- {FOUND}" in err and not out and untouched(detected)
    assert "--licence any" in err and "--weights" not in err, "weights of one's own would not change the detector"


def test_weights_of_ones_own_do_not_take_the_place_of_the_detectors(detected: Small, zoo: Zoo) -> None:
    code, _, err = zoo("plan", "poser", "--weights", "poser.onnx", "--licence", "commercial")
    assert code == 2 and FOUND in err


def test_the_list_tells_the_terms_of_a_detector_from_those_of_the_weights(detected: Small, zoo: Zoo) -> None:
    lines = {line.split()[0]: line for line in zoo("list")[1].splitlines()}
    assert "unknown; boxes: non-commercial" in lines["poser"] and "unknown, non-commercial" in lines["finder"]
    assert {row["name"]: row["use"] for row in json.loads(zoo("list", "--json")[1])}["poser"] == "non-commercial"


def test_boxes_of_a_free_detector_refuse_nothing(detected: Small, zoo: Zoo) -> None:
    detected.recipe(name="finder", text=tiny_top_down.FINDER)
    assert zoo("plan", "poser", "--licence", "commercial")[0] == 0


def test_a_pipeline_stands_on_the_detectors_that_its_parts_name_too(detected: Small, zoo: Zoo) -> None:
    err = zoo("plan", "top_down", "--licence", "commercial")[2]
    own = "top_down <- finder <- weights finder.onnx (unknown, non-commercial)"
    assert f"top_down may not be used commercially: {own}; top_down <- poser <- {FOUND}\n" in err and "--weights" not in err
    with pytest.raises(LicenceRefused, match="poser <- boxes of finder"):
        api.load("poser", "onnxruntime-fp32", workspace=detected.root, licence="commercial")


def test_the_artifact_of_a_pipeline_names_the_part(tmp_path: Path) -> None:
    def stated(name: str, licence: str, use: Use) -> Provenance:
        return Provenance(source=name, files={name: "0" * 64}, licence=licence, use=use)

    parts = {"body": stated("body.pth", "CMU", "non-commercial"), "hand": stated("hand.pth", "Apache-2.0", "any")}
    for role, provenance in parts.items():
        (tmp_path / role).mkdir()
        provenance.write(tmp_path / role)
    whole = together(parts)
    whole.write(tmp_path)
    assert (whole.licence, whole.use) == ("body: CMU, non-commercial; hand: Apache-2.0", "non-commercial")
    assert of_artifact("joint", tmp_path).chains() == ("joint <- body <- weights body.pth (CMU, non-commercial)",)
    assert together(dict.fromkeys(parts, parts["hand"])).licence == "Apache-2.0"


def test_terms_say_non_commercial_once() -> None:
    assert words("CMU", "non-commercial") == "CMU, non-commercial"
    assert words("CMU: Non-Commercial research", "non-commercial") == "CMU: Non-Commercial research"
    assert words("Apache-2.0", "any") == "Apache-2.0"


def test_list_and_show_say_it(small: Small, zoo: Zoo) -> None:
    commercially(small)  # they look and use nothing, so they refuse nothing
    code, out, _ = zoo("list")
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert code == 0 and "CMU, non-commercial" in lines["cmu"] and "non-commercial" not in lines["tiny"]
    assert {row["name"]: row["use"] for row in json.loads(zoo("list", "--json")[1])} == {"cmu": "non-commercial", "tiny": "any"}
    assert "not allowed: cmu <- weights tiny.pth (CMU, non-commercial)" in zoo("show", "cmu")[1]
    assert "not allowed" not in zoo("show", "tiny")[1]


def test_an_unknown_use_is_a_fault_with_a_suggestion(small: Small, zoo: Zoo) -> None:
    small.recipe((STATED, STATED.replace("}", ", use: noncommercial}")))
    code, out, _ = zoo("check", "tiny")
    assert code == 2 and "licences.use" in out and "did you mean 'non-commercial'?" in out


def test_a_program_is_refused_before_anything_is_fetched(small: Small) -> None:
    with pytest.raises(LicenceRefused) as error:
        api.load("cmu", "onnxruntime-fp32", workspace=small.root, licence="commercial")
    assert error.value.message == REFUSAL and error.value.exit_code == 2
    commercially(small)
    with pytest.raises(LicenceRefused):
        api.load("cmu", "onnxruntime-fp32", workspace=small.root)
    assert untouched(small)


@pytest.fixture(scope="module")
def _built(tmp_path_factory: pytest.TempPathFactory) -> Small:
    pytest.importorskip("torch")
    small = Small.make(tmp_path_factory.mktemp("licensed"))
    small.recipe(("name: tiny\n", "name: cmu\n"), CMU, name="cmu")
    (small.root / "recipes" / "tiny.yaml").unlink()
    small.images()
    small.weights()
    copies = str(small.root / "copies")
    assert run(["eval", "cmu", "--workspace", str(small.root), "-t", "onnxruntime-fp32"]) in (0, 5)
    assert run(["build", "cmu", "--workspace", str(small.root), "-t", "onnxruntime-fp32", "--copy", copies]) == 0
    return small


@pytest.fixture
def built(_built: Small, tmp_path: Path) -> Small:
    """A workspace of one's own in which `cmu` has been built, judged and handed out under copies/."""
    shutil.copytree(_built.root, tmp_path / "built", copy_function=shutil.copy2)
    return Small(tmp_path / "built")


def test_a_model_that_leaves_the_store_says_its_terms(built: Small) -> None:
    import onnx

    folder = built.root / "copies" / "cmu" / "onnxruntime-fp32"
    record = json.loads((folder / "provenance.json").read_text())
    stated = {one.key: one.value for one in onnx.load(folder / "model.onnx").metadata_props}
    for terms in (record, json.loads(stated["zoo.weights"])):
        assert (terms["licence"], terms["use"]) == ("CMU", "non-commercial")
    chain = "model.onnx <- weights tiny.pth (CMU, non-commercial)"
    assert of_artifact("model.onnx", folder).chains() == (chain,)


def test_the_leaderboard_says_it(built: Small) -> None:
    (row,) = [line for line in (built.root / "LEADERBOARD.md").read_text().splitlines() if "CMU" in line]
    assert "CMU, non-commercial" in row


def test_an_artifact_is_asked_as_well_as_the_recipe(built: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "of_recipe", lambda recipe, place: Origin(recipe.name))
    with pytest.raises(LicenceRefused, match=r"cmu/onnxruntime-fp32 <- weights tiny\.pth \(CMU, non-commercial\)"):
        api.load("cmu", "onnxruntime-fp32", workspace=built.root, licence="commercial")
    with api.load("cmu", "onnxruntime-fp32", workspace=built.root) as model:
        assert model.skeleton.name == "openpose_18"
