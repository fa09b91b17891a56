"""The machine's own roof: how fast it multiplies matrices, by precision, and how fast it copies.

A product of matrices is the fastest thing that a runtime does with numbers; what a network reaches of it is its share of the
roof. It is run through the same backends as the networks, so that it is as precise as they are (the runner says what it really
computed in), and through NumPy, whose libraries are others. Of several runs the best counts: a neighbour can only make it slower.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta

from zoo.backends import Backend
from zoo.context import Context
from zoo.errors import ZooError
from zoo.files import write_bytes
from zoo.machine import describe, versions
from zoo.measure.isolated import run_isolated
from zoo.record import Record, fingerprint

METHOD = 2
"""Counted up when another way is gone: a roof that was found without it is not this one."""
SECONDS = 0.25
"""How long each way is run."""
FEWEST = 5
"""Calls of each way, however long they take."""
SIZES = {False: (768, 4), True: (4096, 16)}
"""Whether it is for a GPU -> the side of the matrices, and how many products follow each other in one call."""
COPIED = (1 << 18, 1 << 26)
"""Bytes of the arrays that are copied: one that stays in the caches, one that does not."""
#: The number of threads of the libraries behind NumPy, which read it when they are loaded.
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class Peak(Record, frozen=True, kw_only=True):
    """How fast products were computed in one way."""

    way: Annotated[str, Meta(description="the library or backend, and what it was asked for; or `as stated`")]
    precision: Annotated[str, Meta(description="what it computed in, by its own account")]
    flops_per_second: float
    milliseconds: Annotated[tuple[float, ...], Meta(description="of each call, as measured")] = ()


class Copy(Record, frozen=True, kw_only=True):
    """How fast bytes were read and written."""

    size: Annotated[int, Meta(description="bytes of the array; 0 where it was stated")] = 0
    bytes_per_second: Annotated[float, Meta(description="read and written bytes together, of all threads")]
    milliseconds: Annotated[tuple[float, ...], Meta(description="of each call, as measured")] = ()


class Roof(Record, frozen=True, kw_only=True):
    """What a machine computes and moves at most, and how that is known."""

    measured: bool
    threads: Annotated[int, Meta(description="0 where it was stated")] = 0
    peaks: Annotated[tuple[Peak, ...], Meta(min_length=1)]
    copies: tuple[Copy, ...] = ()
    versions: dict[str, str] = {}

    def flops_per_second(self, precision: str) -> float:
        """The best in `precision`; where nothing is known of it, the best in any."""
        known = [peak for peak in self.peaks if peak.precision == precision] or self.peaks
        return max(peak.flops_per_second for peak in known)

    @property
    def bytes_per_second(self) -> float | None:
        """The fastest copy, of an array in the caches where that was measured: what a network reads may lie there too."""
        return max((copy.bytes_per_second for copy in self.copies), default=None)

    def best(self) -> Roof:
        """The best of each precision and the fastest copy, without the single calls: what a report repeats."""
        peaks = {peak.precision: peak for peak in sorted(self.peaks, key=lambda peak: peak.flops_per_second)}
        copies = sorted(self.copies, key=lambda copy: copy.bytes_per_second)[-1:]
        return msgspec.structs.replace(
            self,
            peaks=tuple(msgspec.structs.replace(peak, milliseconds=()) for peak in peaks.values()),
            copies=tuple(msgspec.structs.replace(copy, milliseconds=()) for copy in copies),
        )

    def way(self, precision: str) -> str:
        """How the best in `precision` was measured."""
        known = [peak for peak in self.peaks if peak.precision == precision] or self.peaks
        return max(known, key=lambda peak: peak.flops_per_second).way


def stated(precision: str, tflops: float, gigabytes: float | None = None) -> Roof:
    """The roof that somebody states for a machine: TFLOPS in `precision`, GB/s of its memory."""
    copies = (Copy(bytes_per_second=gigabytes * 1e9),) if gigabytes else ()
    return Roof(measured=False, peaks=(Peak(way="as stated", precision=precision, flops_per_second=tflops * 1e12),), copies=copies)


def find(backend: Backend, precision: str, context: Context, *, again: bool = False) -> Roof:
    """The roof of this machine for what `backend` computes in fp32 and in `precision` on `context.threads`, known or measured now.

    It is remembered in the cache of the store by machine, threads and versions. `again` measures once more, and the best of both
    is kept. A way that cannot be gone (a precision that the backend does not build) is left out."""
    tools = ("numpy", *backend.tools)
    key = fingerprint([METHOD, describe(), context.threads, backend, precision, versions(tools)])
    file = context.cache / "roofs" / f"{key}.json"
    known = _read(file)
    if known and not again:
        return known
    environment = dict.fromkeys(THREADS, str(context.threads))
    roof = run_isolated(measure_roof, backend, precision, context=context, environment=environment).value
    if known:
        roof = msgspec.structs.replace(roof, peaks=known.peaks + roof.peaks, copies=known.copies + roof.copies)
    write_bytes(file, msgspec.json.format(msgspec.json.encode(roof), indent=2))
    return roof


def measure_roof(backend: Backend, precision: str, *, context: Context) -> Roof:
    """Measure now, in this process, whose NumPy has to be limited to `context.threads` already."""
    context.report("measuring the machine's roof")
    peaks = [] if backend.gpu else [_numpy()]
    for asked in dict.fromkeys(("fp32", precision)):
        try:
            peaks += _through(backend, asked, context)
        except ZooError:
            if asked == precision and not peaks:
                raise
    # what a GPU's memory does no array of NumPy's tells
    copies = () if backend.gpu else tuple(_copy(size, context.threads) for size in COPIED)
    used = versions(("numpy", *backend.tools))
    return Roof(measured=True, threads=context.threads, peaks=tuple(peaks), copies=copies, versions=dict(used))


def _read(file: Path) -> Roof | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Roof)
    except (OSError, msgspec.MsgspecError):  # never measured, or by another version
        return None


def _best(call: Callable[[], object]) -> tuple[float, ...]:
    """Milliseconds of each call, after one that is not counted."""
    call()
    times: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(times) < FEWEST or time.perf_counter() < end:
        start = time.perf_counter_ns()
        call()
        times.append((time.perf_counter_ns() - start) / 1e6)
    return tuple(times)


def _numpy() -> Peak:
    side, _ = SIZES[False]
    one, two = np.random.default_rng(0).standard_normal((2, side, side), dtype=np.float32)
    out = np.empty_like(one)
    times = _best(lambda: np.matmul(one, two, out=out))
    return Peak(way="numpy fp32", precision="fp32", flops_per_second=2 * side**3 / min(times) * 1e3, milliseconds=times)


def _through(backend: Backend, precision: str, context: Context) -> list[Peak]:
    """Products of square matrices one after the other, by a backend, on all threads and on each of them. Raises ZooError where it
    does not build that."""
    side, products = SIZES[backend.gpu]
    with tempfile.TemporaryDirectory() as folder:
        source, compiled = Path(folder) / "source", Path(folder) / "compiled"
        source.mkdir()
        compiled.mkdir()
        column = np.random.default_rng(1).standard_normal((side, 1), dtype=np.float32)
        _write(source, side, products, precision, backend.scheme, column, context)
        shape = (side, 1)
        backend.compile(source, compiled, precision=precision, shapes={"x": (shape, shape, shape)}, context=context)
        # many threads get more out of a product each than out of one together; on a GPU calls take turns
        streams = (1,) if backend.gpu or context.threads == 1 else (1, context.threads)
        return [_products(backend, compiled, precision, column, each, context) for each in streams]


def _products(backend: Backend, compiled: Path, precision: str, column: np.ndarray, streams: int, context: Context) -> Peak:
    """What was compiled, called by `streams` at once."""
    asked = [{"x": column}] * streams
    with backend.open(compiled, threads=context.threads, streams=streams) as runner, ThreadPoolExecutor(streams) as pool:
        times = _best(lambda: list(pool.map(runner, asked)))
        done = runner.computed_in
    side, products = SIZES[backend.gpu]
    way = f"{type(backend).__struct_config__.tag} {precision}" + (f", {streams} streams" if streams > 1 else "")
    flops = streams * 2 * side**3 * products
    return Peak(way=way, precision=done.split()[0], flops_per_second=flops / min(times) * 1e3, milliseconds=times)


def _write(
    folder: Path, side: int, products: int, precision: str, scheme: Literal["u8s8", "s8s8"], column: np.ndarray, context: Context
) -> None:
    """`model.onnx`: a column times a row is the first matrix, so that next to nothing has to be brought to a GPU; as networks are
    made FP16 and INT8, so is this."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(2)
    constants = [numpy_helper.from_array(random.standard_normal((1, side), dtype=np.float32), "row")]
    nodes = [helper.make_node("Mul", ["x", "row"], ["m0"])]
    for index in range(products):
        weights = random.standard_normal((side, side), dtype=np.float32) / np.float32(side**0.5)
        constants.append(numpy_helper.from_array(weights, f"w{index}"))
        nodes.append(helper.make_node("MatMul", [f"m{index}", f"w{index}"], [f"m{index + 1}"], name=f"product{index}"))
    nodes.append(helper.make_node("ReduceMax", [f"m{products}"], ["y"], axes=[1], keepdims=1))
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, [side, 1])] for name in "xy"]
    graph = helper.make_graph(nodes, "products", *ends, initializer=constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    path = folder / "model.onnx"
    if precision == "fp16":
        from zoo.edits.half import half

        model = half(model)
    onnx.save(model, path)
    if precision == "int8":
        from zoo.calibrators.minmax import MinMax
        from zoo.calibrators.quantize import quantize

        plain = path.rename(folder / "plain.onnx")
        quantize(plain, path, [{"x": column}], calibrator=MinMax(), scheme=scheme, context=context)


def _copy(size: int, threads: int) -> Copy:
    """Every thread copies an array of its own of `size` bytes; each byte is read once and written once."""
    arrays = [np.ones(size, np.uint8) for _ in range(threads)]
    targets = [np.empty_like(array) for array in arrays]
    rounds = max(1, (1 << 24) // size)  # so that starting the threads is not what is timed

    def work(thread: int) -> None:
        for _ in range(rounds):
            np.copyto(targets[thread], arrays[thread])

    with ThreadPoolExecutor(threads) as pool:
        times = _best(lambda: list(pool.map(work, range(threads))))
    return Copy(size=size, bytes_per_second=2 * size * rounds * threads / min(times) * 1e3, milliseconds=times)
