"""The loop: what it learns, what it leaves behind, how it goes on, and how it ends."""

import re
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
import torch
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tiny_training import Fakes, Tiny, job, killed, norms, task

from zoo.context import Context, Progress
from zoo.errors import Cancelled, StepFailed, UsageError
from zoo.models import OpenPoseHand
from zoo.training import checkpoint, processes
from zoo.training.fit import FixedScaler, Job, fit
from zoo.training.history import Epoch
from zoo.training.logs import Logs
from zoo.training.loop import train


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(root=tmp_path, cache=tmp_path / "cache")


def left(done: Job) -> dict[str, Any]:
    """The checkpoint that a job left."""
    content = checkpoint.load(done.folder, checkpoint.identity(done.model, done.task, len(done.examples)))
    assert content is not None
    return content


def told(content: dict[str, Any]) -> list[Any]:
    """What the history says, without what the clock says."""
    epochs = msgspec.convert(content["history"], list[Epoch])
    return [(epoch.epoch, epoch.step, epoch.loss, epoch.stages, epoch.rate, epoch.validation) for epoch in epochs]


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_a_network_learns_and_its_weights_are_given(tmp_path: Path, context: Context) -> None:
    news: list[Progress] = []
    context = replace(context, listener=news.append, action="tiny/train")
    done = train(Tiny(norm=True), task(ema=0.9), Fakes(), folder=tmp_path / "run", context=context, validate=norms)
    assert done is not None
    assert [epoch.epoch for epoch in done.history] == [1, 2, 3] and [epoch.step for epoch in done.history] == [4, 8, 12]
    assert done.history[2].loss < done.history[0].loss
    for epoch in done.history:
        assert epoch.loss == pytest.approx(sum(map(sum, epoch.stages))) and len(epoch.stages) == 2
        assert epoch.images_per_second > 0 and 0 <= epoch.waiting <= 1
    assert [epoch.validation for epoch in done.history[:2]] == [{}, {}]  # none was asked for before the end
    network = Tiny(norm=True).module()
    network.load_state_dict(done.state)
    with torch.no_grad():
        assert norms(network, 3, context) == pytest.approx(done.history[2].validation, abs=1e-6)  # what was judged is what is published
    assert not torch.equal(network.features[1].running_mean, torch.zeros(8))  # it was trained with the batches' own statistics
    steps = [one for one in news if one.what.startswith("epoch ")]
    assert [one.done for one in steps] == list(range(1, 13)) and {one.total for one in steps} == {12}
    assert steps[-1].what.startswith("epoch 3 of 3, loss ") and steps[-1].what.endswith(" images/s")
    (events,) = (tmp_path / "run/tensorboard").iterdir()
    logged = events.read_bytes()
    assert all(word in logged for word in (b"step/loss", b"stage_1/pafs", b"epoch/waiting", b"validation/said", b"\x89PNG"))


def test_first_weights_follow_from_the_seed_alone(tmp_path: Path, context: Context) -> None:
    first, again, other = (job(tmp_path / name, task(seed=seed, epochs=1)) for name, seed in (("a", 5), ("b", 5), ("c", 6)))
    for number, one in enumerate((first, again, other)):
        torch.manual_seed(number)
        fit(one, context=context)
    assert same(left(first)["network"], left(again)["network"]) and told(left(first)) == told(left(again))
    assert not same(left(first)["network"], left(other)["network"])


def test_training_begins_with_the_weights_that_it_is_given(tmp_path: Path, context: Context) -> None:
    given = {key: torch.full_like(value, 0.01) for key, value in Tiny().module().state_dict().items() if key.startswith("first")}
    one = job(tmp_path / "a", task(epochs=1, multipliers={"first.*": 0}), initial={key: value.numpy() for key, value in given.items()})
    fit(one, context=context)
    network = left(one)["network"]
    assert all(torch.equal(network[key], value) for key, value in given.items())
    assert not torch.equal(network["second.bias"], torch.full((57,), 0.01))


def test_what_is_frozen_stays_for_its_first_steps_and_learns_then(tmp_path: Path, context: Context) -> None:
    one = job(tmp_path / "a", task(epochs=2, frozen={"first.*": 4}))
    torch.manual_seed(one.task.seed)
    before = Tiny().module().state_dict()
    fit(replace(one, until=4), context=context)
    frozen = left(one)["network"]
    assert torch.equal(frozen["first.weight"], before["first.weight"]) and not torch.equal(frozen["second.weight"], before["second.weight"])
    fit(one, context=context)
    assert not torch.equal(left(one)["network"]["first.weight"], before["first.weight"])


@pytest.mark.parametrize("moment", ["step", "writing", "validation"])
def test_a_training_that_was_killed_goes_on_as_if_nothing_had_been(moment: str, tmp_path: Path, context: Context) -> None:
    # dropout: the states of the generators are gone on with as well
    wanted = task(ema=0.5, clip=0.5, schedule={"type": "cosine"}, validation={"dataset": "d", "protocol": "p"})
    whole = job(tmp_path / "whole", wanted, Tiny(norm=True, dropout=0.5), validate=norms)
    fit(whole, context=context)
    broken = replace(whole, folder=tmp_path / "broken")
    assert killed(broken, moment) == -signal.SIGKILL
    before = left(broken)
    assert before["step"] == {"step": 6, "writing": 4, "validation": 8}[moment]
    fit(broken, context=context)
    assert told(left(broken)) == told(left(whole))
    assert len(told(left(whole))) == 3
    for part in ("network", "ema"):
        assert same(left(broken)[part], left(whole)[part])


def test_a_training_that_was_stopped_within_an_epoch_is_judged_and_can_go_on(tmp_path: Path, context: Context) -> None:
    whole, stopped = (job(tmp_path / name, task(), validate=norms) for name in ("whole", "stopped"))
    fit(whole, context=context)
    fit(replace(stopped, until=6), context=context)
    content = left(stopped)
    assert content["step"] == 6 and len(content["history"]) == 1
    unfinished = msgspec.convert(content["unfinished"], Epoch)
    assert unfinished.epoch == 2 and "said" in unfinished.validation
    fit(stopped, context=context)
    assert left(stopped)["unfinished"] is None
    assert [one[2:4] for one in told(left(stopped))] == [one[2:4] for one in told(left(whole))]


def test_parts_of_a_batch_are_as_good_as_the_whole(tmp_path: Path, context: Context) -> None:
    whole, parts = job(tmp_path / "whole", task(clip=0.1)), job(tmp_path / "parts", task(clip=0.1, accumulate=4))
    for one in (whole, parts):
        fit(one, context=context)
    losses = [[epoch[2] for epoch in told(left(one))] for one in (whole, parts)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.enable_socket
def test_two_processes_learn_what_one_does(tmp_path: Path, context: Context) -> None:
    alone = job(tmp_path / "alone", task(), validate=norms)
    fit(alone, context=context)
    two = train(Tiny(), task(accumulate=2), Fakes(), folder=tmp_path / "two", context=context, devices=2, validate=norms)
    assert two is not None
    one = msgspec.convert(left(alone)["history"], list[Epoch])
    assert [epoch.loss for epoch in one] == pytest.approx([epoch.loss for epoch in two.history], rel=1e-4)
    assert one[-1].validation == pytest.approx(two.history[-1].validation, rel=1e-3)
    assert all(torch.allclose(value, two.state[key], atol=1e-4) for key, value in left(alone)["network"].items())


@pytest.mark.enable_socket
def test_a_process_that_dies_ends_the_others(tmp_path: Path, context: Context) -> None:
    wanted = task()
    last = job(tmp_path, wanted).order.indices(6)[-1]
    with pytest.raises(StepFailed, match="was ended by SIGKILL"), patience(60):
        train(Tiny(), wanted, Fakes(at=(1, last), what="kill"), folder=tmp_path / "run", context=context, devices=2)
    assert re.fullmatch("the checkpoint of step [246] stays", checkpoint.kept(tmp_path / "run"))


@pytest.mark.enable_socket
@pytest.mark.parametrize("hangs", [False, True])
def test_a_run_that_is_cancelled_leaves_its_last_step_and_ends(
    hangs: bool, tmp_path: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    if hangs:
        monkeypatch.setattr(processes, "GRACE", 0.5)

    def listen(news: Progress) -> None:
        if news.done == 5:
            context.cancelled.set()

    wanted = task(epochs=10**6)
    slow = Fakes(at=(1, job(tmp_path, wanted).order.indices(5)[0]), what="slow") if hangs else Fakes()
    context = replace(context, listener=listen)
    with pytest.raises(Cancelled), patience(30):
        train(Tiny(), wanted, slow, folder=tmp_path / "run", context=context, devices=2)
    step = left(job(tmp_path / "run", wanted))["step"]
    assert step == 4 if hangs else step > 4


@contextmanager
def patience(seconds: int) -> Iterator[None]:
    """What takes longer hangs."""

    def hung(number: int, frame: object) -> None:
        raise AssertionError(f"it hangs: nothing after {seconds} s")

    before = signal.signal(signal.SIGALRM, hung)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_a_loss_that_is_not_finite_stops_with_the_names_of_its_images(tmp_path: Path, context: Context) -> None:
    wanted = task()
    indices = job(tmp_path, wanted).order.indices(5)
    one = job(tmp_path / "run", wanted, examples=Fakes(at=(1, indices[1]), what="nan"))
    with pytest.raises(StepFailed) as caught:
        fit(one, context=context)
    names = ", ".join(f"{index:03d}.jpg" for index in indices)
    assert caught.value.message == f"the loss is nan in epoch 2, step 2 of 4 (step 6 in all), on {names}"
    assert "the checkpoint of step 4 stays" in caught.value.hint
    assert left(one)["step"] == 4


def test_weights_that_are_not_finite_are_not_written(tmp_path: Path, context: Context) -> None:
    one = job(tmp_path / "run", task(optimizer={"type": "momentum", "lr": 1e38}, checkpoint=1))
    with pytest.raises(StepFailed, match=r"the weights \S+ are not finite|the loss is (nan|inf)"):
        fit(one, context=context)


def test_an_example_that_cannot_be_read_is_told_as_it_is(tmp_path: Path, context: Context) -> None:
    wanted = task()
    index = job(tmp_path, wanted).order.indices(5)[1]
    with pytest.raises(StepFailed) as caught:
        fit(job(tmp_path / "run", wanted, examples=Fakes(at=(1, index), what="raise")), context=context)
    assert (caught.value.message, caught.value.hint) == (f"{index:03d}.jpg cannot be read", "take another")


def test_a_network_without_stages_is_refused(tmp_path: Path, context: Context) -> None:
    with pytest.raises(StepFailed, match="OpenPoseHand cannot be trained"):
        fit(replace(job(tmp_path, task()), model=OpenPoseHand(stages=1)), context=context)


@contextmanager
def room(size: int) -> Iterator[None]:
    """No file may become larger, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_checkpoint_that_was_there(tmp_path: Path, context: Context) -> None:
    one = job(tmp_path / "run", task(epochs=1))
    fit(one, context=context)
    before = (one.folder / checkpoint.NAME).read_bytes()
    content = left(one)
    for more in (0, 1 << 20):  # what is small fails when the file is closed, what is large within torch
        with pytest.raises(StepFailed, match=r"the checkpoint cannot be written: File too large") as caught, room(len(before) // 2):
            checkpoint.save(one.folder, {**content, "step": 99, "more": torch.zeros(more)})
        assert "is the disk full? the checkpoint of step 4 stays" in caught.value.hint
    assert (one.folder / checkpoint.NAME).read_bytes() == before
    assert sorted(path.name for path in one.folder.iterdir()) == [checkpoint.NAME, "tensorboard"]


def test_a_full_disk_ends_the_log_with_an_error_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    with (
        pytest.raises(StepFailed, match="TensorBoard's log cannot be written: File too large"),
        patience(20),
        Logs(tmp_path, 0) as logs,
        room(99),
    ):
        for step in range(1000):
            logs.step(step, 1.0, 0.1)


def test_what_was_logged_can_be_read_and_what_is_done_again_is_hidden(tmp_path: Path) -> None:
    with Logs(tmp_path, 0) as logs:
        logs.step(1, 0.5, 0.1)
    with Logs(tmp_path, 7) as logs:
        logs.picture("heatmaps", np.zeros((2, 4, 6)), np.ones((2, 4, 6)), 7)
    first, second = (list(events(path)) for path in sorted(tmp_path.iterdir(), key=lambda path: path.suffixes[-2]))
    assert [event.session_log.status for event in first[1:2]] == [SessionLog.START] and [event.step for event in second[1:]] == [8, 7]
    assert [(value.tag, value.simple_value) for value in first[2].summary.value] == [("step/loss", 0.5), ("step/rate", pytest.approx(0.1))]
    picture = cv2.imdecode(np.frombuffer(second[2].summary.value[0].image.encoded_image_string, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture.shape == (16, 48) and not picture[:, :24].any() and (picture[:, 24:] == 255).all()


def events(path: Path) -> Iterator[Any]:
    """TensorFlow's records: a length of 8 bytes, its checksum of 4, the event, its checksum of 4."""
    data = path.read_bytes()
    while data:
        length = int.from_bytes(data[:8], "little")
        yield Event.FromString(data[12 : 12 + length])
        data = data[16 + length :]


def test_a_checkpoint_of_another_training_is_refused_with_what_differs(tmp_path: Path, context: Context) -> None:
    one = job(tmp_path / "run", task(epochs=1))
    fit(one, context=context)
    others = {
        "model.width was 8 and is 4": replace(one, model=Tiny(width=4)),
        "train.optimizer.lr was 0.01 and is 0.5": replace(one, task=task(epochs=1, optimizer={"type": "adam", "lr": 0.5})),
    }
    for words, other in others.items():
        with pytest.raises(StepFailed, match="is a checkpoint of another training") as caught:
            fit(other, context=context)
        assert caught.value.message.endswith(words)
    with pytest.raises(StepFailed, match="examples was 16 and is 20"):
        fit(job(one.folder, one.task, examples=Fakes(20)), context=context)
    fit(replace(one, task=task(epochs=1, checkpoint=7, accumulate=2)), context=context)  # these change no weight
    (one.folder / checkpoint.NAME).write_bytes(b"PK")
    with pytest.raises(StepFailed, match=r"checkpoint\.pth: is not a checkpoint"):
        fit(one, context=context)


@pytest.mark.parametrize(("precision", "scale"), [("bf16", None), ("fp16", 256.0), ("fp16", None)])
def test_shorter_floats_learn_the_same_and_weights_stay_whole(
    precision: str, scale: float | None, tmp_path: Path, context: Context
) -> None:
    whole, short = job(tmp_path / "a", task()), job(tmp_path / "b", task(precision=precision, loss_scale=scale, clip=1000))
    for one in (whole, short):
        fit(one, context=context)
    a, b = ([epoch[2] for epoch in told(left(one))] for one in (whole, short))
    assert a != b and b[2] < b[0]
    assert {value.dtype for value in left(short)["network"].values()} == {torch.float32}
    kept = left(short)["scaler"].get("scale")
    if precision == "fp16" and scale is None:
        assert kept < 65536  # gradients overflowed: it was lowered, and these steps were left out
    else:
        assert kept == scale and a == pytest.approx(b, rel=0.02)


def test_a_fixed_scale_stays_when_gradients_overflow() -> None:
    scaler, weight = FixedScaler("cpu", 512.0), torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    scaler.scale(weight * float("inf")).sum().backward()
    scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == 512.0 and weight.item() == 1  # the step was left out


def test_numbers_that_do_not_go_together_are_told_before_anything_starts(tmp_path: Path, context: Context) -> None:
    def refused(words: str, *, examples: int = 16, devices: int = 1, nodes: int = 1, **changed: Any) -> None:
        with pytest.raises(UsageError, match=words):
            train(
                Tiny(), task(**changed), Fakes(examples), folder=tmp_path / "run", context=context, devices=devices, nodes=nodes,
                accelerator="cpu",
            )  # fmt: skip

    refused("a batch of 4 cannot be shared by 3 devices in 1 parts", devices=3)
    refused("a batch of 4 cannot be shared by 2 devices in 4 parts", devices=2, accumulate=4)
    refused("there are 3 examples, and a batch has 4", examples=3)
    refused("2 machines are wanted", nodes=2)
    refused("targets of stride 4 on crops of 32x32, and the network's stride is 8", targets={"stride": 4})
    refused("on crops of 30x32", size=[30, 32])
    assert not (tmp_path / "run").exists()
