"""The parts of a training, each by itself: order, rates, groups of parameters, loss, running mean, weights to begin with."""

from collections import Counter
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from tiny_training import Tiny

from zoo.errors import StepFailed
from zoo.models import LightweightOpenPose
from zoo.training.ema import Ema
from zoo.training.initial import initial_state
from zoo.training.loss import stage_losses
from zoo.training.optimizers import Adam, AdamW, Momentum, parameter_groups
from zoo.training.order import Order
from zoo.training.schedules import Constant, Cosine, Schedule, Steps
from zoo.training.train import Initial, Train


@pytest.mark.parametrize(("processes", "accumulate"), [(1, 1), (2, 1), (1, 3), (2, 3)])
def test_processes_and_parts_share_the_same_batches(processes: int, accumulate: int) -> None:
    order = Order(examples=40, batch=12, accumulate=accumulate, seed=3, processes=processes)
    assert order.per_epoch == 3
    streams = [list(order.parts(process, 0, 6)) for process in range(processes)]
    for step in range(6):
        mine = [key for stream in streams for part in stream[step * accumulate : (step + 1) * accumulate] for key in part]
        assert {epoch for epoch, _ in mine} == {step // 3}
        assert sorted(index for _, index in mine) == sorted(order.indices(step))
        assert len(set(mine)) == 12


def test_each_epoch_has_an_order_of_its_own_and_shows_nobody_twice() -> None:
    order = Order(examples=40, batch=12, accumulate=1, seed=3)
    epochs = [[index for step in range(3 * epoch, 3 * epoch + 3) for index in order.indices(step)] for epoch in range(20)]
    assert all(len(set(epoch)) == 36 for epoch in epochs)
    assert epochs[0] != epochs[1]
    assert set(Counter(index for epoch in epochs for index in epoch)) == set(range(40))  # who is left out changes
    assert Order(examples=40, batch=12, accumulate=1, seed=4).indices(0) != order.indices(0)


def test_an_order_that_is_gone_on_with_is_the_same() -> None:
    order = Order(examples=40, batch=12, accumulate=2, seed=3, processes=2)
    assert list(order.parts(1, 4, 9)) == list(order.parts(1, 0, 9))[8:]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Constant(), [1, 1, 1, 1, 1, 1, 1, 1]),
        (Constant(warmup=3), [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]),
        (Steps(at=(2, 5)), [1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01]),
        (Steps(at=(1, 3), unit="epochs", factor=0.5), [1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25]),
        (Cosine(least=0.2), [0.2 + 0.4 * (1 + np.cos(np.pi * step / 8)) for step in range(8)]),
    ],
)
def test_the_rate_follows_its_schedule(schedule: Schedule, expected: list[float]) -> None:
    assert [schedule.multiplier(step, 2, 8) for step in range(8)] == pytest.approx(expected)


def test_steps_that_do_not_rise_are_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="at: has to rise"):
        msgspec.convert({"type": "steps", "at": [5, 2]}, Schedule)  # type: ignore[arg-type]


def test_only_kernels_decay_and_rates_have_their_multipliers() -> None:
    network = Tiny(norm=True).module()
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    groups = parameter_groups(network, Adam(lr=0.1, weight_decay=0.5), {r"features\..*": 0.0, r".*\.bias": 2.0}, {})
    told = {names[id(parameter)]: (group["lr"], group["weight_decay"]) for group in groups for parameter in group["params"]}
    assert told == {"first.weight": (0.1, 0.5), "first.bias": (0.2, 0), "second.weight": (0.1, 0.5), "second.bias": (0.2, 0)}
    assert not any(parameter.requires_grad for parameter in network.features.parameters())
    with pytest.raises(StepFailed, match=r"'third\.\*' matches no parameter"):
        parameter_groups(network, Adam(lr=0.1), {"third.*": 2.0}, {})
    with pytest.raises(StepFailed, match=r"frozen: 'third\.\*' matches no parameter"):
        parameter_groups(network, Adam(lr=0.1), {}, {"third.*": 2})


@pytest.mark.parametrize("optimizer", [Adam(lr=1e-4, weight_decay=0.01), AdamW(lr=1e-4), Momentum(lr=1e-4, nesterov=True)])
def test_every_optimizer_is_built_and_takes_a_step_downhill(optimizer: Any) -> None:
    network = Tiny().module()
    built = optimizer.build(parameter_groups(network, optimizer, {}, {}))
    image = torch.ones(1, 3, 32, 32)
    before = network(image)[0].square().sum()
    before.backward()
    built.step()
    assert network(image)[0].square().sum().item() < before.item()


def test_a_pattern_that_is_none_is_refused_where_it_stands() -> None:
    plain = {"dataset": "d", "optimizer": {"type": "adam", "lr": 1e-3}, "epochs": 1, "batch": 1, "multipliers": {"a(": 1}}
    with pytest.raises(msgspec.ValidationError, match=r"multipliers: 'a\(' is no regular expression"):
        msgspec.convert(plain, Train)


@pytest.mark.parametrize("kind", ["sum", "mean"])
def test_the_loss_is_the_one_of_its_authors_computed_cell_by_cell(kind: Any) -> None:
    draw = np.random.default_rng(0)
    wanted = [draw.normal(size=(2, channels, 3, 4)) for channels in (19, 38)]
    said = [[draw.normal(size=maps.shape) for maps in wanted] for _ in range(3)]
    mask = draw.integers(0, 2, (2, 3, 4)).astype(float)
    expected = np.zeros((3, 2))
    for stage in range(3):
        for branch in range(2):
            for example, row, column in np.ndindex(2, 3, 4):
                for channel in range(wanted[branch].shape[1]):
                    at = (example, channel, row, column)
                    error = (said[stage][branch][at] - wanted[branch][at]) ** 2 * mask[example, row, column]
                    expected[stage, branch] += error / 2 / 2 if kind == "sum" else error / wanted[branch].size
    found = stage_losses(
        [(torch.tensor(a), torch.tensor(b)) for a, b in said], torch.tensor(wanted[0]), torch.tensor(wanted[1]), torch.tensor(mask), kind
    )
    assert found.numpy() == pytest.approx(expected, rel=1e-5)


def test_maps_of_another_shape_than_their_targets_are_told_with_both() -> None:
    stages = [(torch.zeros(1, 19, 4, 4), torch.zeros(1, 38, 4, 4))]
    with pytest.raises(StepFailed, match=r"maps are of \(19, 4, 4\) and targets of \(19, 2, 2\)"):
        stage_losses(stages, torch.zeros(1, 19, 2, 2), torch.zeros(1, 38, 2, 2), torch.ones(1, 2, 2), "sum")


def test_the_running_mean_is_that_of_weights_and_statistics() -> None:
    network = Tiny(norm=True).module().train()
    ema, expected = Ema(network, 0.9), {name: value.clone() for name, value in network.state_dict().items()}
    for step in range(1, 200):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter))
        network(torch.randn(4, 3, 32, 32))  # moves the statistics
        decay = min(0.9, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            expected[name] = decay * expected[name] + (1 - decay) * value if value.is_floating_point() else value.clone()
        ema.update(step)
    found = ema.network.state_dict()
    assert not ema.network.training
    assert float((found["features.1.running_mean"] - network.state_dict()["features.1.running_mean"]).abs().max()) > 0
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5)


def state() -> dict[str, Any]:
    return dict(Tiny(norm=True).module().state_dict())


def test_weights_to_begin_with_are_renamed_and_what_may_be_fresh_is_left_out() -> None:
    file = {f"module.{key}": value for key, value in state().items() if key.startswith("features.") and "tracked" not in key}
    file["module.classifier.weight"] = torch.zeros(5)
    names = {r"module\.(features\..*)": r"\1"}
    found = initial_state(Tiny(norm=True), Initial(names=names, fresh=("(first|second)\\..*",)), file)
    assert set(found) == {key for key in state() if key.startswith("features.") and "tracked" not in key}
    assert found["features.0.weight"] is file["module.features.0.weight"]


def test_everything_that_is_not_fresh_must_be_found_with_its_shape() -> None:
    model, whole = Tiny(norm=True), state()
    assert initial_state(model, Initial(), whole).keys() == whole.keys()
    without = {key: value for key, value in whole.items() if key != "first.bias"}
    with pytest.raises(StepFailed, match=r"1 keys missing: first\.bias"):
        initial_state(model, Initial(), without)
    misshapen = {**whole, "first.bias": torch.zeros(3)}
    with pytest.raises(StepFailed, match=r"of another shape: first\.bias \(3,\) instead of \(57,\)"):
        initial_state(model, Initial(), misshapen)
    assert "first.bias" not in initial_state(model, Initial(fresh=("first.*",)), misshapen)
    with pytest.raises(StepFailed, match=r"of no use to the network: third"):
        initial_state(model, Initial(), {**whole, "third": torch.zeros(3)})
    with pytest.raises(StepFailed, match=r"there twice: first\.bias \(from first\.bias\)"):
        initial_state(model, Initial(names={"first.*": "first.bias"}), whole)
    with pytest.raises(StepFailed, match="cannot be made of"):
        initial_state(model, Initial(names={"first.*": r"\7"}), whole)


def test_later_stages_of_a_file_are_left_out_as_when_it_is_loaded() -> None:
    file = dict(LightweightOpenPose(refinement_stages=2, channels=8).module().state_dict())
    found = initial_state(LightweightOpenPose(refinement_stages=1, channels=8), Initial(), file)
    assert found and not any(key.startswith("refinement_stages.1.") for key in found)
