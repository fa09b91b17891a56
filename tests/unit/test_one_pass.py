"""Several protocols of one model in one pass over the images."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from zoo.backends.runner import Runner, TensorSpec
from zoo.context import Context
from zoo.datasets.images import BadImage, Images, Sample
from zoo.errors import Bug, StepFailed
from zoo.journal import Journal
from zoo.pipelines.estimator import Estimator
from zoo.pose.fits import Stretch
from zoo.pose.geometry import Affine
from zoo.pose.keypoints import Poses
from zoo.pose.preprocess import Preprocess
from zoo.steps import one_pass
from zoo.steps.one_pass import Way, find

COUNT = 6


class Sums(Runner):
    """Says how bright the image is."""

    inputs = {"data": TensorSpec((None, 3, None, None), "float32")}
    computed_in = "fp32"

    def __init__(self) -> None:
        self.outputs = {}
        self.calls = 0
        self.lock = threading.Lock()

    def _run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        with self.lock:
            self.calls += 1
        return {"sum": feeds["data"].mean(axis=(1, 2, 3))}


class Brightness:
    """One box as wide as the image is bright, or a failure at one brightness."""

    skeleton = "person"

    def __init__(self, times: float = 1.0, fails_at: int = -1) -> None:
        self.times, self.fails_at = times, fails_at

    def decode(self, outputs: Mapping[str, NDArray[Any]], affine: Affine) -> Poses:
        bright = float(outputs["sum"][0])
        if round(bright) == self.fails_at:
            raise IndexError("no such peak")
        return Poses.of_boxes(np.array([[0.0, 0.0, bright * self.times, 1.0]]), np.ones(1))


def judged(poses: Poses, skeleton: str, image_id: int) -> list[dict[str, Any]]:
    return [{"image_id": image_id, "wide": round(float(box[2]), 3)} for box in poses.boxes]


@pytest.fixture
def images(tmp_path: Path) -> Images:
    samples = []
    for id in range(COUNT):
        path = tmp_path / f"{id}.png"
        cv2.imwrite(str(path), np.full((8, 8, 3), 10 * id, np.uint8))
        samples.append(Sample(id, path, path.name))
    return Images(tuple(samples))


class Bench:
    """Ways that stand on one fake network."""

    def __init__(self, tmp_path: Path, images: Images, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.images, self.context = tmp_path, images, context
        self.runner, self.reads, self.stack = Sums(), 0, ExitStack()
        self.models: dict[int, Estimator] = {}
        monkeypatch.setattr(one_pass, "opened_all", lambda *_: {"": self.runner})
        monkeypatch.setattr(one_pass, "joined", lambda compiled, parts, *_, **__: parts[""].model)
        read = Images.read

        def counting(images: Images, sample: Sample) -> NDArray[np.uint8]:
            with self.runner.lock:
                self.reads += 1
            return read(images, sample)

        monkeypatch.setattr(Images, "read", counting)

    def way(self, name: str, decode: Brightness, size: int = 8) -> Way:
        ready = Preprocess(fit=Stretch(width=size, height=size), order="resize_then_normalize", mean=(0, 0, 0), std=(1, 1, 1))
        model = Estimator(self.runner, ready, decode)  # type: ignore[arg-type]
        part = SimpleNamespace(model=model, of_boxes=False, backend=SimpleNamespace(gpu=False))
        journal = self.stack.enter_context(Journal(self.folder / f"{name}.jsonl"))
        return Way({"": part}, None, None, judged, journal)  # type: ignore[dict-item]

    def find(self, *ways: Way, skip: bool = False) -> None:
        find(self.folder, self.images, ways, self.context, what="evaluating", skip=skip)


@pytest.fixture
def bench(tmp_path: Path, images: Images, context: Context, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    made = Bench(tmp_path, images, context, monkeypatch)
    with made.stack:
        yield made


def wides(way: Way) -> dict[int, Sequence[float] | None]:
    return {id: None if found is None else [one["wide"] for one in found] for id, found in way.journal}


def test_protocols_that_show_the_network_the_same_share_the_image_and_what_it_says(bench: Bench) -> None:
    one, two = bench.way("one", Brightness()), bench.way("two", Brightness(times=2))
    bench.find(one, two)
    assert (bench.reads, bench.runner.calls) == (COUNT, COUNT)
    assert wides(one) == {id: [10.0 * id] for id in range(COUNT)}
    assert wides(two) == {id: [20.0 * id] for id in range(COUNT)}
    assert one.computed_in == two.computed_in == "fp32" and one.error is two.error is None


def test_protocols_of_other_sizes_share_the_image_alone(bench: Bench) -> None:
    bench.find(bench.way("one", Brightness()), bench.way("two", Brightness(), size=16))
    assert (bench.reads, bench.runner.calls) == (COUNT, 2 * COUNT)


def test_one_that_fails_names_the_image_and_the_other_goes_on(bench: Bench) -> None:
    one, two = bench.way("one", Brightness(fails_at=30)), bench.way("two", Brightness())
    bench.find(one, two)
    assert isinstance(one.error, Bug) and "IndexError" in str(one.error) and "3.png: a bug: " in str(one.error)
    assert two.error is None and wides(two) == {id: [10.0 * id] for id in range(COUNT)}
    assert wides(one) == {id: [10.0 * id] for id in range(3)}, "what was found before stays for the next run"


def test_when_all_have_failed_the_pass_ends(bench: Bench) -> None:
    one = bench.way("one", Brightness(fails_at=10))
    bench.find(one)
    assert one.error is not None and bench.reads < COUNT


def test_with_skip_the_image_is_passed_over_where_it_fails_and_only_there(bench: Bench) -> None:
    one, two = bench.way("one", Brightness(fails_at=30)), bench.way("two", Brightness())
    bench.find(one, two, skip=True)
    assert one.error is None and wides(one) == {**{id: [10.0 * id] for id in range(COUNT)}, 3: None}
    assert wides(two)[3] == [30.0]


def test_an_image_that_cannot_be_read_ends_the_pass_or_is_passed_over(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "2.png").write_bytes(b"no image")
    one = bench.way("one", Brightness())
    bench.find(one)
    assert isinstance(one.error, BadImage) and one.error.name == "2.png"
    two = bench.way("two", Brightness())
    bench.find(two, skip=True)
    assert wides(two)[2] is None and wides(two)[3] == [30.0]


def test_what_one_protocol_knows_is_not_looked_at_again_for_it(bench: Bench) -> None:
    bench.find(bench.way("one", Brightness()))
    bench.reads = bench.runner.calls = 0
    one, two = bench.way("one", Brightness(times=7)), bench.way("two", Brightness())
    bench.find(one, two)
    assert (bench.reads, bench.runner.calls) == (COUNT, COUNT)
    assert wides(one) == wides(two) == {id: [10.0 * id] for id in range(COUNT)}
    bench.find(bench.way("one", Brightness()), bench.way("two", Brightness()))
    assert bench.reads == COUNT, "what both know is not read"


def test_an_error_that_says_what_to_do_still_does(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Poses:
        raise StepFailed("decodes one scale at a time", "leave `scales:` away")

    monkeypatch.setattr(Brightness, "decode", refuse)
    one = bench.way("one", Brightness())
    bench.find(one)
    assert isinstance(one.error, StepFailed) and str(one.error) == "0.png: decodes one scale at a time\n  leave `scales:` away"
