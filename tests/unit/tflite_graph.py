"""A TensorFlow Lite graph, written slot by slot of its FlatBuffers schema: no TensorFlow is needed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

CONV_2D, DEPTHWISE_CONV_2D, DEQUANTIZE, FULLY_CONNECTED = 3, 4, 6, 9
#: operation -> (its type of options, where the fused activation stands in them)
OPTIONS = {CONV_2D: (1, 3), DEPTHWISE_CONV_2D: (2, 4), FULLY_CONNECTED: (8, 0), DEQUANTIZE: (26, None)}
RELU6 = 3


@dataclass
class Graph:
    """Tensors and operations in order; `bytes()` is the file."""

    tensors: list[tuple[str, Sequence[int], NDArray[Any] | None, bool]] = field(default_factory=list)
    operations: list[tuple[int, Sequence[int], int, int, int]] = field(default_factory=list)

    def tensor(self, name: str, shape: Sequence[int], value: NDArray[Any] | None = None) -> int:
        """A variable, or a constant of float32 or float16."""
        self.tensors.append((name, shape, value, value is not None and value.dtype == np.float16))
        return len(self.tensors) - 1

    def half(self, name: str, value: NDArray[Any]) -> int:
        """A constant that is stored in float16, and the operation that brings it to float32."""
        stored = self.tensor(name, value.shape, value.astype(np.float16))
        return self.add(DEQUANTIZE, [stored], f"{name}_dequantize", value.shape)

    def add(self, operation: int, inputs: Sequence[int], name: str, shape: Sequence[int], stride: int = 1, activation: int = 0) -> int:
        """An operation (convolutions pad as SAME); returns the tensor that it gives."""
        result = self.tensor(name, shape)
        self.operations.append((operation, inputs, result, stride, activation))
        return result

    def bytes(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """The file."""
        import flatbuffers

        builder = flatbuffers.Builder(0)

        def numbers(values: Sequence[int]) -> int:
            return int(builder.CreateNumpyVector(np.array(values, np.int32)))

        def table(*slots: tuple[str, int, Any]) -> int:
            builder.StartObject(12)
            for kind, slot, value in slots:
                getattr(builder, f"Prepend{kind}Slot")(slot, value, 0)
            return int(builder.EndObject())

        def tables(offsets: Sequence[int]) -> int:
            builder.StartVector(4, len(offsets), 4)
            for offset in reversed(offsets):
                builder.PrependUOffsetTRelative(offset)
            return int(builder.EndVector())

        buffers = [table()]
        tensors = []
        for name, shape, value, half in self.tensors:
            place = 0
            if value is not None:
                data = builder.CreateNumpyVector(np.frombuffer(value.tobytes(), np.uint8))
                buffers.append(table(("UOffsetTRelative", 0, data)))
                place = len(buffers) - 1
            sizes, text = numbers(shape), builder.CreateString(name)
            tensors.append(
                table(("UOffsetTRelative", 0, sizes), ("Int8", 1, int(half)), ("Uint32", 2, place), ("UOffsetTRelative", 3, text))
            )
        codes = sorted({operation for operation, *_ in self.operations})
        operations = []
        for operation, given, result, stride, activation in self.operations:
            kind, slot = OPTIONS[operation]
            sizes = [("Int32", 1, stride), ("Int32", 2, stride)] if operation in (CONV_2D, DEPTHWISE_CONV_2D) else []
            dilation = {CONV_2D: (4, 5), DEPTHWISE_CONV_2D: (5, 6)}.get(operation, ())
            sizes += [("Int32", where, 1) for where in dilation] + ([("Int32", 3, 1)] if operation == DEPTHWISE_CONV_2D else [])
            options = table(*sizes, *([("Int8", slot, activation)] if slot is not None else []))
            read, made = numbers(given), numbers([result])
            operations.append(
                table(
                    ("Uint32", 0, codes.index(operation)),
                    ("UOffsetTRelative", 1, read),
                    ("UOffsetTRelative", 2, made),
                    ("Uint8", 3, kind),
                    ("UOffsetTRelative", 4, options),
                )
            )
        known = tables([table(("Int8", 0, code), ("Int32", 2, 1), ("Int32", 3, code)) for code in codes])
        vectors = [tables(tensors), numbers(inputs), numbers(outputs), tables(operations)]
        graph = tables([table(*(("UOffsetTRelative", slot, vector) for slot, vector in enumerate(vectors)))])
        stored = tables(buffers)
        root = table(("Uint32", 0, 3), ("UOffsetTRelative", 1, known), ("UOffsetTRelative", 2, graph), ("UOffsetTRelative", 4, stored))
        builder.Finish(root, b"TFL3")
        return bytes(builder.Output())
