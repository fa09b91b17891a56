"""What is printed is the text that was given: nothing in it is markup, and nothing is cut off."""

from pathlib import Path

import pytest
from stepping import Write

from zoo.cli.console import print_table
from zoo.cli.progress import Teller
from zoo.context import Progress
from zoo.engine.action import Action
from zoo.engine.execute import Outcome
from zoo.errors import StepFailed

#: what rich would take for a style, for the end of one, and for a smiling hand
TEXTS = ["pip install 'pose-zoo[tensorrt]'", "[/]", "[bold]x", "a[1]:hand:.jpg", "\\[red]", "[" * 30]


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "COLUMNS", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


def test_cells_headings_and_titles_of_a_table_are_printed_as_they_stand(capsys: pytest.CaptureFixture[str]) -> None:
    for text in TEXTS:
        print_table((text, "second"), [(text, text)], title=text)
        assert capsys.readouterr().out.splitlines() == [text, f"{text}  second", f"{text}  {text}"]


def test_columns_are_aligned_by_what_a_screen_shows_and_nothing_stands_behind_the_last(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "n", "note"), [("\u624b", "1", ""), ("e\u0301e", "23", "two\nlines")], right=(1,))
    assert capsys.readouterr().out.splitlines() == ["name   n  note", "\u624b     1", "e\u0301e    23  two lines"]


def test_headings_and_labels_are_bold_on_a_terminal_alone(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    print_table(("a",), [("b",)], bold=(0,))
    assert capsys.readouterr().out == "a\nb\n"
    monkeypatch.setattr("click.utils.should_strip_ansi", lambda *_: False)
    print_table(("a",), [("b",)], bold=(0,))
    assert capsys.readouterr().out == "\x1b[1ma\x1b[0m\n\x1b[1mb\x1b[0m\n"


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("terminal", [False, True])
def test_news_verdicts_and_errors_are_told_as_they_stand(
    terminal: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "200")
    for text in TEXTS:
        action = Action("tiny/x", Write(text=""), {})
        with Teller(tmp_path / "log", verbose=False, quiet=False, total=1) as teller:
            teller.heard(Progress(action.id, text, 1, 2, "images"))
            if terminal:
                teller._live.refresh()  # type: ignore[union-attr]
            teller.finished(Outcome(action, "known", verdict=f"verdict {text}"))
            teller.finished(Outcome(action, "failed", error=StepFailed(f"message {text}", f"hint {text}")))
        said = capsys.readouterr().err
        for words in (f"verdict {text}", f"message {text}", f"hint {text}", *([f"{text} 1/2 images"] if terminal else [])):
            assert words in said


@pytest.mark.usefixtures("plain")
def test_progress_keeps_the_total_that_was_said_and_each_kind_of_work_has_a_speed_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 10_000, 10))
    monkeypatch.setattr("zoo.cli.progress.time.monotonic", lambda: next(clock))
    with Teller(tmp_path / "log", verbose=False, quiet=False, total=1) as teller:
        teller.heard(Progress("x/int8", "calibrating", 0, 60, "images"))
        teller.heard(Progress("x/int8", "calibrating", 20, None, "images"))
        teller.heard(Progress("x/int8", "ranges of channels", 21, None, "images"))
        teller.heard(Progress("x/int8", "calibrating", 45, 60, "images"))
        teller.heard(Progress("x/int8", "download", 2e6, None, "bytes"))
        teller.heard(Progress("x/int8", "calibrating", 0, 60, "images"))
        teller.heard(Progress("x/int8", "calibrating", 30, 60, "images"))
        teller.heard(Progress("x/int8", "calibrating", 0, 60, "images"))
    said = [line.split(": ", 1)[1] for line in capsys.readouterr().err.splitlines()]
    assert said == [
        "calibrating 20/60 images, 2.0 a second, 20 s left",
        "ranges of channels 21 images",
        "calibrating 45/60 images, 1.5 a second, 10 s left",
        "download 2.0 MB",
        "calibrating 0/60 images",
        "calibrating 30/60 images, 3.0 a second, 10 s left",
        "calibrating 0/60 images",
    ]


def test_what_has_ended_stands_in_the_log_at_once_and_a_run_that_says_nothing_writes_none(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "run.log"
    with Teller(log, verbose=False, quiet=True, total=2) as teller:
        teller.heard(Progress("tiny/x", "drawing", 1, 2, "images"))
        assert not log.exists()
        for number in (1, 2):
            teller.finished(Outcome(Action(f"tiny/{number}", Write(text=""), {}), "made", "key", seconds=1.5))
            assert [line.split(" ", 1)[1] for line in log.read_text().splitlines()][-1] == f"made    tiny/{number}  1.5 s  key  "
            assert len(log.read_text().splitlines()) == number
