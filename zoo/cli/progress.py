"""Telling a run as it happens: a live line on a terminal, plain lines elsewhere, everything into a log file."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TextIO

from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from zoo.context import Progress
from zoo.engine.execute import Outcome
from zoo.errors import Bug

MARKS = {"made": "[green]made[/]", "known": "[dim]known[/]", "failed": "[red]failed[/]", "blocked": "[yellow]blocked[/]"}
PAUSE = 5.0  # seconds between two plain lines of one action


class Teller:
    """Hears the news of a run, from many threads."""

    def __init__(self, log: Path, *, verbose: bool, quiet: bool, total: int) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True, quiet=quiet)
        self._live = Live(console=self._console, transient=True, refresh_per_second=4) if self._console.is_terminal and not quiet else None
        self._path = log
        self._log: TextIO | None = None
        # the newest of an action, when that work began, and how much of it was done then
        self._news: dict[str, tuple[Progress, float, float]] = {}
        self._work: dict[str, dict[str, tuple[Progress, float, float]]] = {}  # each kind of work has a speed of its own
        self._said: dict[str, float] = {}
        self._lock = threading.Lock()
        self._verbose = verbose
        self._total = total
        self._count = 0

    def __enter__(self) -> Teller:
        if self._live:
            self._live.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live:
            self._live.__exit__(kind, error, trace)
        if self._log:
            self._log.close()

    def heard(self, news: Progress) -> None:
        """A step's report."""
        now = time.monotonic()
        with self._lock:
            work = self._work.setdefault(news.action, {})
            before, started, begun = work.get(news.what, (news, now, news.done))
            if news.done < before.done:
                started, begun = now, news.done  # the same a second time
            elif news.total is None:
                news = replace(news, total=before.total)  # whoever counts may know less than whoever hands out
            work[news.what] = self._news[news.action] = (news, started, begun)
            if self._live:
                self._live.update(self._picture())
            elif now - self._said.setdefault(news.action, now) > PAUSE:
                self._said[news.action] = now
                self._console.print(f"        {news.action}: {_words(news, now - started, begun)}", markup=False, emoji=False)

    def finished(self, outcome: Outcome) -> None:
        """An action's end."""
        with self._lock:
            self._count += 1
            self._news.pop(outcome.action.id, None)
            self._work.pop(outcome.action.id, None)
            self._note(f"{outcome.state:8}{outcome.action.id}  {outcome.seconds:.1f} s  {outcome.key}  {outcome.error or outcome.verdict}")
            if self._live:
                self._live.update(self._picture())
            if outcome.state != "known" or self._verbose or outcome.verdict:
                took = f"  [dim]{outcome.seconds:.1f} s[/]" if outcome.state == "made" else ""
                self._console.print(f"  {MARKS[outcome.state]}  {outcome.action.id}{took}")
            if outcome.verdict:
                self._console.print(f"    {outcome.verdict}", style="red", markup=False, emoji=False)
            if outcome.state == "failed" and outcome.error:
                text = str(outcome.error)
                if isinstance(outcome.error, Bug) and not self._verbose:
                    text = f"{outcome.error.message.strip().splitlines()[-1]}\n  a bug: the traceback is in {self._path}"
                self._console.print("    " + text.replace("\n", "\n    "), markup=False, emoji=False)

    def _note(self, line: str) -> None:
        if self._log is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._log = self._path.open("a", encoding="utf-8", buffering=1)  # by line: whoever is killed has said what it did
        self._log.write(f"{time.strftime('%H:%M:%S')} {line}\n")

    def _picture(self) -> RenderableType:
        now = time.monotonic()
        table = Table.grid(padding=(0, 2))
        for news, started, begun in self._news.values():
            count = Text(f"{self._count + 1}/{self._total}", style="cyan")
            # as Text: a bracket in a file's name is no markup
            table.add_row(count, Text(news.action), Text(_words(news, now - started, begun)))
        return table


def _words(news: Progress, seconds: float, begun: float = 0) -> str:
    text = news.what
    if news.total is None and news.done:
        text += f" {news.done / 1e6:.1f} MB" if news.unit == "bytes" else f" {news.done:.0f} {news.unit}"
    if news.total:
        if news.unit == "bytes":
            text += f" {news.done / 1e6:.1f} of {news.total / 1e6:.1f} MB"
        else:
            text += f" {news.done:.0f}/{news.total:.0f} {news.unit}"
        if news.done > begun and seconds > 1:
            rate = (news.done - begun) / seconds
            left = (news.total - news.done) / rate
            text += f", {rate / 1e6:.1f} MB/s" if news.unit == "bytes" else f", {rate:.1f} a second"
            text += f", {left:.0f} s left"
    return text
