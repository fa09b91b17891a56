"""Steps for tests of the engine: each writes a text, or fails, or kills its process."""

import os
import signal
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path

from zoo.context import Context
from zoo.errors import StepFailed
from zoo.steps.step import Run, Step


class Write(Step, frozen=True, kw_only=True, tag="write"):
    """Writes `text` after everything that it was given; says so in `log` (a file outside the store)."""

    text: str
    log: str = ""

    def run(self, given: Mapping[str, Path], out: Path, context: Context) -> None:
        context.report("writing")
        before = "".join((folder / "text").read_text() for folder in given.values())
        (out / "text").write_text(before + self.text)
        if self.log:
            with Path(self.log).open("a") as file:
                file.write(f"{self.text}\n")


class Constant(Write, frozen=True, kw_only=True, tag="constant"):
    """Writes `text` whatever it was given."""

    def run(self, given: Mapping[str, Path], out: Path, context: Context) -> None:
        super().run({}, out, context)


class Fail(Step, frozen=True, kw_only=True, tag="fail"):
    """Writes half of something and fails."""

    def run(self, given: Mapping[str, Path], out: Path, context: Context) -> None:
        (out / "text").write_text("half")
        raise StepFailed("no luck", "try again")


class Crash(Step, frozen=True, kw_only=True, tag="crash"):
    """Raises what nobody foresaw."""

    def run(self, given: Mapping[str, Path], out: Path, context: Context) -> None:
        raise IndexError("who would have thought")


class Die(Write, frozen=True, kw_only=True, tag="die"):
    """Is killed in the middle of its work where the file `alive` does not exist."""

    alive: str

    def run(self, given: Mapping[str, Path], out: Path, context: Context) -> None:
        (out / "text").write_text("half")
        if not Path(self.alive).exists():
            os.kill(os.getpid(), signal.SIGKILL)
        super().run(given, out, context)


class Full(Step, frozen=True, kw_only=True, tag="full"):
    """Meets a full disk."""

    def run(self, given: Mapping[str, Path], out: Path, context: Context) -> None:
        (out / "text").write_text("half")
        raise OSError(28, "No space left on device", str(out / "text"))


class Promise(Write, frozen=True, kw_only=True, tag="promise"):
    """Keeps less than it promises."""

    def verdict(self, artifact: Path) -> str:
        return "under the gate"


class Gather(Write, frozen=True, kw_only=True, tag="gather"):
    """Is run with its like; fails by itself for the text `no`, and takes all with it for `crash`."""

    def company(self, reads: Mapping[str, str]) -> Hashable:
        return reads["a"]

    @classmethod
    def run_together(cls, runs: Sequence[Run]) -> list[Exception | None]:
        steps = [one.step for one in runs if isinstance(one.step, Gather)]
        texts = [step.text for step in steps]
        if "crash" in texts:
            raise IndexError("who would have thought")
        for one, text in zip(runs, texts, strict=True):
            (one.out / "text").write_text((one.given["a"] / "text").read_text() + text)
        with Path(steps[0].log).open("a") as file:
            file.write(" ".join(texts) + "\n")
        return [StepFailed("no luck") if text == "no" else None for text in texts]


class Compare(Gather, frozen=True, kw_only=True, tag="compare"):
    """Is run with its like, whatever they read."""

    def company(self, reads: Mapping[str, str]) -> Hashable:
        return "all"
