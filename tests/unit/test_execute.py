"""The executor: what is known is not done again, what fails blocks only what needs it, what is killed leaves nothing."""

import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from stepping import Compare, Constant, Crash, Die, Fail, Full, Gather, Promise, Write

from zoo.context import Context, Progress
from zoo.engine.action import Action
from zoo.engine.code import Code
from zoo.engine.execute import execute, foresee
from zoo.engine.store import Store
from zoo.errors import Bug, Cancelled, StepFailed
from zoo.record import Record


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / ".zoo")


def chain(log: Path, *texts: str) -> list[Action]:
    """Each action reads the one before it."""
    actions: list[Action] = []
    for text in texts:
        reads = {"before": actions[-1].id} if actions else {}
        actions.append(Action(text, Write(text=text, log=str(log)), reads))
    return actions


def test_artifacts_hold_what_the_steps_wrote(store: Store, context: Context, tmp_path: Path) -> None:
    outcomes = execute(chain(tmp_path / "log", "a", "b", "c"), store, context)
    artifact = outcomes["c"].artifact
    assert artifact and (artifact.path / "text").read_text() == "abc"


def test_a_second_run_does_nothing(store: Store, context: Context, tmp_path: Path) -> None:
    actions = chain(tmp_path / "log", "a", "b")
    execute(actions, store, context)
    again = execute(actions, store, context)
    assert [outcome.state for outcome in again.values()] == ["known", "known"]
    assert (tmp_path / "log").read_text() == "a\nb\n"


def test_what_is_known_starts_no_thread(store: Store, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    actions = chain(tmp_path / "log", "a", "b")
    execute(actions, store, context)
    monkeypatch.setattr(threading.Thread, "start", None)
    assert [outcome.state for outcome in execute(actions, store, context).values()] == ["known", "known"]
    with pytest.raises(TypeError):
        execute(chain(tmp_path / "log", "c"), store, context)


def test_code_is_read_in_one_thread(store: Store, context: Context) -> None:
    """Also that of an action whose key has to wait for what it reads."""
    first: dict[type[Record], threading.Thread] = {}

    class Watched(Code):
        def digest(self, step: Record) -> str:
            first.setdefault(type(step), threading.current_thread())
            return super().digest(step)

    execute([Action("a", Write(text="a")), Action("b", Constant(text="b"), {"before": "a"})], store, context, jobs=2, code=Watched())
    assert first == {Write: threading.main_thread(), Constant: threading.main_thread()}


def test_outcomes_stand_in_the_order_of_the_plan_whatever_was_known(store: Store, context: Context, tmp_path: Path) -> None:
    first, second = Action("first", Write(text="1")), Action("second", Write(text="2"))
    execute([second], store, context)
    outcomes = execute([first, second], store, context)
    assert {id: outcome.state for id, outcome in outcomes.items()} == {"first": "made", "second": "known"}
    assert list(outcomes) == ["first", "second"]


def test_fail_fast_starts_nothing_after_a_broken_promise_that_is_known(store: Store, context: Context, tmp_path: Path) -> None:
    kept, broken = Action("other", Write(text="x", log=str(tmp_path / "log"))), Action("broken", Promise(text="a"))
    execute([broken], store, context)
    assert list(execute([broken, kept], store, context, fail_fast=True)) == ["broken"]
    assert not (tmp_path / "log").exists()


def test_again_runs_what_is_asked_for(store: Store, context: Context, tmp_path: Path) -> None:
    actions = chain(tmp_path / "log", "a", "b")
    execute(actions, store, context)
    execute(actions, store, context, again=lambda action: action.id == "b")
    assert (tmp_path / "log").read_text() == "a\nb\nb\n"


def test_an_equal_artifact_stops_the_rebuilding(store: Store, context: Context, tmp_path: Path) -> None:
    log = str(tmp_path / "log")

    def actions(first: str) -> list[Action]:
        return [
            Action("first", Write(text=first)),
            Action("same", Constant(text="x", log=log), {"before": "first"}),
            Action("last", Write(text="y", log=log), {"before": "same"}),
        ]

    execute(actions("a"), store, context)
    outcomes = execute(actions("b"), store, context)
    assert outcomes["same"].state == "made" and outcomes["last"].state == "known"
    assert (tmp_path / "log").read_text() == "x\ny\nx\n"


def test_a_failure_blocks_only_what_reads_it(store: Store, context: Context) -> None:
    actions = [Action("bad", Fail()), Action("after", Write(text="x"), {"before": "bad"}), Action("other", Write(text="y"))]
    outcomes = execute(actions, store, context)
    assert {id: outcome.state for id, outcome in outcomes.items()} == {"bad": "failed", "after": "blocked", "other": "made"}
    assert outcomes["after"].error is outcomes["bad"].error
    assert not list(store.working.iterdir()), "half of the work is left behind"


def test_fail_fast_starts_nothing_more(store: Store, context: Context) -> None:
    outcomes = execute([Action("bad", Fail()), Action("other", Write(text="y"))], store, context, fail_fast=True)
    assert list(outcomes) == ["bad"]


def test_an_unforeseen_exception_is_a_bug_with_its_traceback_and_the_rest_goes_on(store: Store, context: Context) -> None:
    outcomes = execute([Action("bad", Crash()), Action("other", Write(text="y"))], store, context)
    error = outcomes["bad"].error
    assert isinstance(error, Bug) and "who would have thought" in error.message
    assert outcomes["other"].state == "made"


def test_a_full_disk_is_a_clear_failure_that_publishes_nothing(store: Store, context: Context) -> None:
    outcome = execute([Action("full", Full())], store, context)["full"]
    assert isinstance(outcome.error, StepFailed) and "No space left" in outcome.error.message
    assert not store.objects.exists() or not list(store.objects.iterdir())


def test_a_broken_promise_is_told_again_when_it_is_known(store: Store, context: Context) -> None:
    actions = [Action("gate", Promise(text="x"))]
    assert execute(actions, store, context)["gate"].verdict == "under the gate"
    known = execute(actions, store, context)["gate"]
    assert (known.state, known.verdict) == ("known", "under the gate")


def test_jobs_run_at_once_and_give_the_same(store: Store, context: Context, tmp_path: Path) -> None:
    actions = [Action(f"a{i}", Write(text=f"{i}")) for i in range(8)]
    actions.append(Action("all", Write(text="!"), {f"r{i}": f"a{i}" for i in range(8)}))
    alone = execute(actions, Store(tmp_path / "other"), context)
    together = execute(actions, store, context, jobs=4)
    assert {id: o.artifact.digest for id, o in alone.items() if o.artifact} == {
        id: o.artifact.digest for id, o in together.items() if o.artifact
    }


def test_cancelling_stops_between_two_reports_and_leaves_no_trace(store: Store, tmp_path: Path) -> None:
    cancelled = threading.Event()

    def listen(news: Progress) -> None:
        if news.action == "b":
            cancelled.set()

    context = Context(root=tmp_path, cache=tmp_path / "cache", listener=listen, cancelled=cancelled)
    actions = [Action("a", Write(text="a")), Action("b", Write(text="b"), {"before": "a"}), Action("c", Write(text="c"), {"before": "b"})]
    with pytest.raises(Cancelled):
        execute(actions, store, context)
    assert not list(store.working.iterdir())
    fresh = Context(root=tmp_path, cache=tmp_path / "cache")
    assert [outcome.state for outcome in execute(actions, store, fresh).values()] == ["known", "made", "made"]


def test_foresee_says_what_is_known_to_do_and_open(store: Store, context: Context, tmp_path: Path) -> None:
    actions = chain(tmp_path / "log", "a", "b", "c")
    assert list(foresee(actions, store, context, Code()).values()) == ["to do", "open", "open"]
    execute(actions[:1], store, context)
    assert list(foresee(actions, store, context, Code()).values()) == ["known", "to do", "open"]


@pytest.mark.parametrize("victim", ["first", "second", "third"])
def test_a_run_that_is_killed_at_any_step_is_carried_on_by_the_next(victim: str, store: Store, context: Context, tmp_path: Path) -> None:
    alive = tmp_path / "alive"

    def actions() -> list[Action]:
        made: list[Action] = []
        for name in ("first", "second", "third"):
            step = Die(text=name, alive=str(alive)) if name == victim else Write(text=name)
            made.append(Action(name, step, {"before": made[-1].id} if made else {}))
        return made

    program = textwrap.dedent(
        f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        from stepping import Die, Write
        from zoo.context import Context
        from zoo.engine.action import Action
        from zoo.engine.execute import execute
        from zoo.engine.store import Store
        actions = []
        for name in ("first", "second", "third"):
            step = Die(text=name, alive={str(alive)!r}) if name == {victim!r} else Write(text=name)
            actions.append(Action(name, step, {{"before": actions[-1].id}} if actions else {{}}))
        root = Path({str(tmp_path)!r})
        execute(actions, Store(root / ".zoo"), Context(root=root, cache=root / "cache"))
        """
    )
    killed = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert killed.returncode == -9, killed.stderr.decode()
    assert not list(store.verify()), "a half-made artifact is in the store"
    alive.touch()
    outcomes = execute(actions(), store, context)
    done = ["first", "second", "third"].index(victim)
    assert [outcome.state for outcome in outcomes.values()] == ["known"] * done + ["made"] * (3 - done)
    artifact = outcomes["third"].artifact
    assert artifact and (artifact.path / "text").read_text() == "firstsecondthird"
    assert not list(store.working.iterdir()), "the dead process's work is still there"


def company(log: Path, *texts: str, read: str = "a") -> list[Action]:
    first = Action("a", Write(text="a"))
    return [first, *(Action(text, Gather(text=text, log=str(log)), {"a": read}) for text in texts)]


def test_steps_of_one_company_are_run_in_one_pass_and_each_is_published(store: Store, context: Context, tmp_path: Path) -> None:
    log = tmp_path / "log"
    outcomes = execute(company(log, "b", "c", "d"), store, context)
    assert log.read_text() == "b c d\n"
    assert [outcome.state for outcome in outcomes.values()] == ["made"] * 4
    assert {id: (found.artifact.path / "text").read_text() for id, found in outcomes.items() if found.artifact} == {
        "a": "a", "b": "ab", "c": "ac", "d": "ad",
    }  # fmt: skip
    assert {outcome.state for outcome in execute(company(log, "b", "c", "d"), store, context).values()} == {"known"}
    assert log.read_text() == "b c d\n"


def line(log: Path, *texts: str) -> list[Action]:
    """Each of a company reads an action of its own, as the timings of targets do: made, measured, the next one made ..."""
    found: list[Action] = []
    for text in texts:
        found += [
            Action(f"make {text}", Write(text=text, log=str(log))),
            Action(text, Compare(text=text, log=str(log)), {"a": f"make {text}"}),
        ]
    return found


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_company_waits_until_all_of_it_are_ready(jobs: int, store: Store, context: Context, tmp_path: Path) -> None:
    log = tmp_path / "log"
    outcomes = execute(line(log, "b", "c", "d"), store, context, jobs=jobs)
    assert {outcome.state for outcome in outcomes.values()} == {"made"}
    assert sorted(log.read_text().splitlines()[:3]) == ["b", "c", "d"] and log.read_text().splitlines()[3:] == ["b c d"]


def test_a_company_does_not_wait_for_what_was_blocked(store: Store, context: Context, tmp_path: Path) -> None:
    log = tmp_path / "log"
    actions = line(log, "b", "c", "d")
    actions[2] = Action("make c", Fail())
    outcomes = execute(actions, store, context)
    assert (outcomes["c"].state, outcomes["b"].state, outcomes["d"].state) == ("blocked", "made", "made")
    assert log.read_text().splitlines()[-1] == "b d"


def test_of_a_company_whose_one_needs_the_other_neither_waits_for_ever(store: Store, context: Context, tmp_path: Path) -> None:
    log = tmp_path / "log"
    actions = line(log, "b")
    actions += [Action("between", Write(text="x"), {"b": "b"}), Action("c", Compare(text="c", log=str(log)), {"a": "between"})]
    outcomes = execute(actions, store, context)
    assert {outcome.state for outcome in outcomes.values()} == {"made"} and log.read_text().splitlines() == ["b", "b", "c"]


def test_what_is_known_of_a_company_is_not_run_again(store: Store, context: Context, tmp_path: Path) -> None:
    log = tmp_path / "log"
    execute(company(log, "b"), store, context)
    outcomes = execute(company(log, "b", "c", "d"), store, context)
    assert log.read_text() == "b\nc d\n"
    assert [outcome.state for outcome in outcomes.values()] == ["known", "known", "made", "made"]


def test_a_failure_in_a_company_is_no_failure_of_the_others(store: Store, context: Context, tmp_path: Path) -> None:
    outcomes = execute(company(tmp_path / "log", "b", "no", "d"), store, context)
    assert {id: outcome.state for id, outcome in outcomes.items()} == {"a": "made", "b": "made", "no": "failed", "d": "made"}
    assert isinstance(outcomes["no"].error, StepFailed)


def test_a_pass_that_fails_fails_for_all_and_leaves_nothing(store: Store, context: Context, tmp_path: Path) -> None:
    outcomes = execute(company(tmp_path / "log", "b", "crash", "d"), store, context)
    assert {id: outcome.state for id, outcome in outcomes.items()} == {"a": "made", "b": "failed", "crash": "failed", "d": "failed"}
    assert isinstance(outcomes["b"].error, Bug) and not list(store.working.iterdir())
