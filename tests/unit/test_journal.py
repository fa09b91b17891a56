"""What was found survives the run that found it."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from zoo.engine.store import Done, Store
from zoo.journal import Journal

VALUES = st.recursive(
    st.none() | st.integers(-(2**53), 2**53) | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(st.lists(st.tuples(st.integers(0, 9) | st.text(), VALUES), max_size=8), st.lists(st.tuples(st.integers(), VALUES), max_size=3))
def test_what_was_written_is_read_back_and_a_second_run_adds_to_it(tmp_path_factory, first, second) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path_factory.mktemp("journal") / "below" / "found.jsonl"
    for run in (first, second):
        with Journal(path) as journal:
            for name, value in run:
                journal.add(name, value)
    assert list(Journal(path)) == [*first, *second]


def test_a_run_killed_at_any_byte_leaves_whole_lines_and_the_next_one_begins_after_them(tmp_path: Path) -> None:
    path = tmp_path / "found.jsonl"
    written = [(number, "x" * number * 3) for number in range(4)]
    with Journal(path) as journal:
        for name, value in written:
            journal.add(name, value)
    whole = path.read_bytes()
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        kept = whole[:cut].count(b"\n")
        assert list(Journal(path)) == written[:kept]
        with Journal(path) as journal:
            for name, value in written[kept:]:
                journal.add(name, value)
        assert path.read_bytes() == whole


def test_a_line_longer_than_what_is_looked_at_at_once_is_found(tmp_path: Path) -> None:
    path = tmp_path / "found.jsonl"
    with Journal(path) as journal:
        journal.add(1, "first")
        journal.add(2, "x" * 200_000)
    path.write_bytes(path.read_bytes()[:-5])
    with Journal(path) as journal:
        journal.add(2, "again")
    assert list(journal) == [(1, "first"), (2, "again")]


def test_what_a_stopped_process_left_is_taken_over_by_the_next_and_goes_when_the_work_is_recorded(tmp_path: Path) -> None:
    store = Store(tmp_path)
    gone = tmp_path / "partial" / "key-999999999"
    gone.mkdir(parents=True)
    (gone / "half").write_text("half")
    (tmp_path / "partial" / "other-999999999").mkdir()
    mine = store.resumed("key")
    assert (mine / "half").read_text() == "half"
    assert not gone.exists()
    assert (store.resumed("key") / "half").read_text() == "half"
    store.record("key", Done(id="a", step={}, inputs={}, tools={}, seconds=0, artifact="0"))
    assert [path.name for path in store.partial.iterdir()] == ["other-999999999"]
    assert store.collect(["key"]) == (1, 0)
    assert not any(store.partial.iterdir())


def test_what_another_process_is_at_is_left_to_it(tmp_path: Path) -> None:
    theirs = tmp_path / "partial" / "key-1"  # process 1 is always there
    theirs.mkdir(parents=True)
    assert not Store(tmp_path).resumed("key").exists()
    assert theirs.is_dir()
