"""The store: published whole, checked by digest, collected by need."""

from pathlib import Path

import pytest

from zoo.engine.store import Done, Store
from zoo.errors import StepFailed


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / ".zoo")


def put(store: Store, key: str, text: str) -> str:
    """Publish a folder with one file under `key`; its digest."""
    with store.workplace() as place:
        made = place / "out"
        made.mkdir()
        (made / "text").write_text(text)
        artifact = store.publish(made)
    store.record(key, Done(id=key, step={}, inputs={}, tools={}, seconds=1.0, artifact=artifact.digest))
    return artifact.digest


def test_what_was_recorded_is_found(store: Store) -> None:
    digest = put(store, "k", "hello")
    found = store.find("k")
    assert found and found[1].digest == digest and (found[1].path / "text").read_text() == "hello"


def test_an_action_whose_object_is_gone_is_not_known(store: Store) -> None:
    digest = put(store, "k", "hello")
    store.discard(store.objects / digest)
    assert store.find("k") is None


def test_an_empty_artifact_is_refused(store: Store) -> None:
    with store.workplace() as place, pytest.raises(StepFailed):
        (place / "out").mkdir()
        store.publish(place / "out")


def test_a_lost_rename_race_leaves_one_sound_object(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.workplace() as mine, store.workplace() as theirs:
        for place in (mine, theirs):
            (place / "out").mkdir()
            (place / "out" / "text").write_text("same")
        real = Path.rename

        def late(self: Path, target: Path) -> Path:
            # the other process publishes between our look and our rename
            monkeypatch.setattr(Path, "rename", real)
            store.publish(theirs / "out")
            return real(self, target)

        monkeypatch.setattr(Path, "rename", late)
        artifact = store.publish(mine / "out")
    assert (artifact.path / "text").read_text() == "same"
    assert not list(store.verify())
    assert [path.name for path in store.objects.iterdir()] == [artifact.digest]


def test_verify_names_a_changed_object_and_a_lost_one(store: Store) -> None:
    changed, lost = put(store, "a", "one"), put(store, "b", "two")
    path = store.objects / changed / "text"
    path.chmod(0o644)
    path.write_text("ONE")
    store.discard(store.objects / lost)
    faults = {where.name: fault for where, fault in store.verify()}
    assert set(faults) == {changed, "a.json", "b.json"}


def test_taking_out_all_that_verify_names_leaves_a_sound_store(store: Store) -> None:
    changed = put(store, "a", "one")
    put(store, "b", "two")
    path = store.objects / changed / "text"
    path.chmod(0o644)
    path.write_text("ONE")
    for where, _ in list(store.verify()):
        store.discard(where)
    assert list(store.verify()) == [] and store.find("b") and not store.find("a")


def test_verify_names_an_action_that_is_no_record(store: Store) -> None:
    put(store, "a", "one")
    (store.actions / "a.json").write_text("{")
    assert [path.name for path, _ in store.verify()] == ["a.json"]
    assert store.find("a") is None


def test_collect_keeps_what_is_needed_and_nothing_else(store: Store) -> None:
    kept, gone = put(store, "a", "one"), put(store, "b", "two")
    put(store, "c", "one")  # another action with the same artifact
    assert store.collect({"a"}, dry=True)[0] == 3 and store.find("b")
    store.collect({"a"})
    assert store.find("a") and not store.find("b") and not store.find("c")
    assert (store.objects / kept).is_dir() and not (store.objects / gone).exists()


def test_the_workplaces_of_living_processes_are_not_swept(store: Store) -> None:
    with store.workplace() as place:
        store.sweep()
        assert place.is_dir()
    (store.working / "999999999-x").mkdir()
    store.sweep()
    assert not (store.working / "999999999-x").exists()
