import os
import platform
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from zoo.large import give_back, read_large

linux = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads Linux' own account of a process")


@pytest.mark.parametrize("content", [b"", b"x", b"[1, 2]" * 100_000])
def test_what_is_read_is_what_the_file_holds(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert bytes(read_large(path)) == content


def test_a_file_that_does_not_know_its_size_is_read() -> None:
    assert bytes(read_large(Path("/proc/self/stat"))).startswith(str(os.getpid()).encode())


def test_what_is_not_there_raises_what_opening_it_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_large(tmp_path / "nothing")


def test_raw_pieces_outlive_the_reading(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(msgspec.json.encode([{"id": number} for number in range(1000)]))
    pieces = msgspec.json.decode(read_large(path), type=list[msgspec.Raw])
    assert [msgspec.json.decode(one)["id"] for one in pieces] == [*range(1000)]


@linux
def test_its_memory_goes_back_to_the_system(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * (20 << 12))
    script = """
import sys
from pathlib import Path
from zoo.large import read_large
resident = lambda: int(Path("/proc/self/statm").read_text().split()[1]) * 4096
read_large(Path(sys.argv[1]))
before = resident()
for _ in range(3):
    kept = read_large(Path(sys.argv[1]))
    assert resident() > before + (19 << 20)
    del kept
assert resident() < before + (2 << 20), resident() - before
"""
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)


@linux
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator's affair")
def test_what_was_freed_below_a_block_in_use_is_given_back() -> None:
    script = """
from pathlib import Path
from zoo.large import give_back
resident = lambda: int(Path("/proc/self/statm").read_text().split()[1]) * 4096
blocks = [b"x" * 60_000 for _ in range(1000)]
held = resident()
del blocks[:-1]
assert resident() > held - (10 << 20)
give_back()
assert resident() < held - (40 << 20), held - resident()
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_giving_back_does_nothing_where_there_is_no_such_allocator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    give_back()
