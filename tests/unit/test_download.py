"""Downloads, against a server on the loopback interface that misbehaves as asked."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any

import pytest

from zoo.context import Context, Progress
from zoo.errors import Cancelled, HashMismatch, StepFailed, WeightsUnreachable
from zoo.sources import HuggingFace, Pypi, Url
from zoo.sources import download as module
from zoo.sources.base import Unreachable
from zoo.sources.download import download
from zoo.sources.fetch import fetch
from zoo.sources.huggingface import HuggingFaceFile
from zoo.sources.url import UrlFile

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])
BODY = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(BODY).hexdigest()


@dataclass
class Site:
    """What the server does, and what it was asked."""

    url: str = ""
    bodies: dict[str, bytes] = field(default_factory=lambda: {"/weights.bin": BODY})
    etag: str = '"one"'
    statuses: list[int] = field(default_factory=list)
    """Answers before the real one."""
    cuts: list[int] = field(default_factory=list)
    """After how many bytes of the body each connection is dropped."""
    hold: threading.Event | None = None
    """Half of the body is sent, the rest when this is set."""
    asked: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            return

        def do_GET(self) -> None:
            site.asked.append({"path": self.path, **dict(self.headers.items())})
            body = site.bodies.get(self.path)
            status = site.statuses.pop(0) if site.statuses else 200 if body is not None else 404
            if status != 200 or body is None:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start = 0
            ranged = self.headers.get("Range")
            if ranged and self.headers.get("If-Range") == site.etag:
                start = int(ranged.removeprefix("bytes=").removesuffix("-"))
                if start >= len(body):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(body)}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            else:
                self.send_response(200)
            self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/octet-stream")
            self.send_header("Content-Length", str(len(body) - start))
            if site.etag:
                self.send_header("ETag", site.etag)
            self.end_headers()
            rest = body[start:]
            if site.cuts:
                self.wfile.write(rest[: site.cuts.pop(0)])
                self.close_connection = True
            elif site.hold is not None:
                self.wfile.write(rest[: len(rest) // 2])
                site.hold.wait(30)
                with contextlib.suppress(ConnectionError):  # a killed client
                    self.wfile.write(rest[len(rest) // 2 :])
            else:
                self.wfile.write(rest)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(module, "PAUSES", (0.01, 0.01, 0.01))
    yield site
    if site.hold:
        site.hold.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def online(context: Context) -> Context:
    return replace(context, offline=False, environment={"PIP_CONFIG_FILE": os.devnull})


def parts(context: Context) -> list[Path]:
    return sorted((context.cache / "downloads").glob("*.part"))


def ranges(site: Site) -> list[str]:
    return [asked.get("Range", "") for asked in site.asked]


def source(site: Site, **fields: Any) -> Url:
    return Url(files=(UrlFile(name="weights.bin", url=f"{site.url}/weights.bin", **fields),))


def test_a_download_arrives_whole_and_reports_its_bytes(site: Site, online: Context, tmp_path: Path) -> None:
    news: list[Progress] = []
    origin = download(f"{site.url}/weights.bin", tmp_path / "out.bin", replace(online, listener=news.append), size=len(BODY))
    assert (tmp_path / "out.bin").read_bytes() == BODY
    assert origin == f"{site.url}/weights.bin"
    assert (news[-1].done, news[-1].total, news[-1].unit) == (len(BODY), len(BODY), "bytes")
    assert parts(online) == []


def test_a_dropped_connection_is_resumed_where_it_stopped(site: Site, online: Context, tmp_path: Path) -> None:
    site.cuts = [600_000, 300_000]
    download(f"{site.url}/weights.bin", tmp_path / "out.bin", online)
    assert (tmp_path / "out.bin").read_bytes() == BODY
    assert ranges(site)[0] == "" and all(value.startswith("bytes=") for value in ranges(site)[1:])


def test_a_file_that_changed_meanwhile_is_not_glued_to_its_past(site: Site, online: Context, tmp_path: Path) -> None:
    site.bodies["/weights.bin"] = b"\xff" * len(BODY)
    site.cuts = [600_000] + [0] * 8
    with pytest.raises(Unreachable):
        download(f"{site.url}/weights.bin", tmp_path / "out.bin", online)
    assert parts(online)[0].stat().st_size > 0
    site.cuts, site.etag, site.bodies["/weights.bin"] = [], '"two"', BODY
    download(f"{site.url}/weights.bin", tmp_path / "out.bin", online)
    assert ranges(site)[-1] != ""  # it asked to go on, and was given the whole
    assert (tmp_path / "out.bin").read_bytes() == BODY


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_without_a_strong_validator_a_download_starts_again(etag: str, site: Site, online: Context, tmp_path: Path) -> None:
    site.cuts, site.etag = [600_000], etag
    download(f"{site.url}/weights.bin", tmp_path / "out.bin", online)
    assert ranges(site) == ["", ""]
    assert (tmp_path / "out.bin").read_bytes() == BODY


def test_a_part_that_was_complete_is_published_without_another_byte(site: Site, online: Context, tmp_path: Path) -> None:
    site.cuts = [600_000] + [0] * 8
    with pytest.raises(Unreachable):
        download(f"{site.url}/weights.bin", tmp_path / "out.bin", online)
    parts(online)[0].write_bytes(BODY)
    site.cuts = []
    download(f"{site.url}/weights.bin", tmp_path / "out.bin", online)
    assert ranges(site)[-1] == f"bytes={len(BODY)}-"
    assert (tmp_path / "out.bin").read_bytes() == BODY


def test_a_truncated_download_is_not_published(site: Site, online: Context, tmp_path: Path) -> None:
    site.cuts = [1000] * 20
    site.etag = ""
    with pytest.raises(WeightsUnreachable, match=r"weights\.bin"):
        fetch((source(site),), tmp_path / "out", online, {})
    assert list((tmp_path / "out").iterdir()) == []


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(site: Site, online: Context, tmp_path: Path) -> None:
    site.statuses = [503, 429]
    download(f"{site.url}/weights.bin", tmp_path / "out.bin", online)
    assert len(site.asked) == 3
    with pytest.raises(Unreachable, match="HTTP 404"):
        download(f"{site.url}/other.bin", tmp_path / "other.bin", online)
    assert len(site.asked) == 4


def test_a_server_that_stays_busy_is_given_up(site: Site, online: Context, tmp_path: Path) -> None:
    site.statuses = [503] * 50
    with pytest.raises(Unreachable, match="HTTP 503"):
        download(f"{site.url}/weights.bin", tmp_path / "out.bin", online)
    assert len(site.asked) == 1 + len(module.PAUSES)


def test_an_announced_size_that_differs_is_refused_before_downloading(site: Site, online: Context, tmp_path: Path) -> None:
    with pytest.raises(HashMismatch, match=f"expected 7 bytes, the server announces {len(BODY)}"):
        download(f"{site.url}/weights.bin", tmp_path / "out.bin", online, size=7)
    assert parts(online) == []


def test_other_bytes_than_declared_stop_the_fetch_before_any_substitute(site: Site, online: Context, tmp_path: Path) -> None:
    site.bodies["/substitute.bin"] = b"substitute"
    substitute = Url(files=(UrlFile(name="substitute.bin", url=f"{site.url}/substitute.bin"),), substitute="converted")
    with pytest.raises(HashMismatch) as caught:
        fetch((source(site, hash=f"sha256:{'0' * 64}"), substitute), tmp_path / "out", online, {})
    assert "weights.bin" in caught.value.message and "0" * 64 in caught.value.message and SHA256 in caught.value.message
    assert list((tmp_path / "out").iterdir()) == []
    assert [asked["path"] for asked in site.asked] == ["/weights.bin"]


def test_an_unreachable_source_gives_way_to_its_substitute(site: Site, online: Context, tmp_path: Path) -> None:
    site.bodies = {"/substitute.bin": b"substitute"}
    substitute = Url(files=(UrlFile(name="substitute.bin", url=f"{site.url}/substitute.bin"),), substitute="converted")
    fetched = fetch((source(site), substitute), tmp_path / "out", online, {})
    assert (fetched.index, fetched.substitute, fetched.unpinned) == (1, "converted", ("substitute.bin",))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["substitute.bin"]


def test_one_file_of_two_is_not_published(site: Site, online: Context, tmp_path: Path) -> None:
    both = Url(files=(UrlFile(name="weights.bin", url=f"{site.url}/weights.bin"), UrlFile(name="b.bin", url=f"{site.url}/b.bin")))
    with pytest.raises(WeightsUnreachable, match=r"b\.bin: .*HTTP 404"):
        fetch((both,), tmp_path / "out", online, {})
    assert list((tmp_path / "out").iterdir()) == []


def test_the_locks_digest_is_checked(site: Site, online: Context, tmp_path: Path) -> None:
    assert fetch((source(site),), tmp_path / "out", online, {"weights.bin": SHA256}).unpinned == ()
    with pytest.raises(HashMismatch, match="of the lock"):
        fetch((source(site),), tmp_path / "out2", online, {"weights.bin": "1" * 64})


def test_a_cancelled_download_goes_on_later(site: Site, online: Context, tmp_path: Path) -> None:
    def cancel(news: Progress) -> None:
        if news.done >= len(BODY) // 2:
            online.cancelled.set()

    with pytest.raises(Cancelled):
        download(f"{site.url}/weights.bin", tmp_path / "out.bin", replace(online, listener=cancel))
    assert not (tmp_path / "out.bin").exists()
    online.cancelled.clear()
    download(f"{site.url}/weights.bin", tmp_path / "out.bin", online)
    assert (tmp_path / "out.bin").read_bytes() == BODY
    assert ranges(site)[-1].startswith("bytes=")


CHILD = """
import sys
from pathlib import Path
from zoo.context import Context
from zoo.sources.download import download
download(sys.argv[1], Path(sys.argv[2]), Context(root=Path(sys.argv[3]), cache=Path(sys.argv[3]), environment={}))
"""


def start(url: str, out: Path, cache: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", CHILD, url, str(out), str(cache)], cwd=Path(__file__).parents[2])


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_killed_download_goes_on_where_it_stopped(site: Site, online: Context, tmp_path: Path) -> None:
    site.hold = threading.Event()
    child = start(f"{site.url}/weights.bin", tmp_path / "out.bin", online.cache)
    wait_for(lambda: any(part.stat().st_size >= len(BODY) // 2 for part in parts(online)))
    child.send_signal(signal.SIGKILL)
    child.wait(10)
    assert not (tmp_path / "out.bin").exists()
    site.hold.set()
    site.hold = None
    download(f"{site.url}/weights.bin", tmp_path / "out.bin", online)
    assert (tmp_path / "out.bin").read_bytes() == BODY
    assert ranges(site)[-1] == f"bytes={len(BODY) // 2}-"


def test_two_processes_that_download_the_same_do_not_mix(site: Site, online: Context, tmp_path: Path) -> None:
    site.hold = threading.Event()
    child = start(f"{site.url}/weights.bin", tmp_path / "theirs.bin", online.cache)
    wait_for(lambda: any(part.stat().st_size >= len(BODY) // 2 for part in parts(online)))
    held, site.hold = site.hold, None
    download(f"{site.url}/weights.bin", tmp_path / "ours.bin", online)
    held.set()
    assert child.wait(30) == 0
    assert (tmp_path / "ours.bin").read_bytes() == (tmp_path / "theirs.bin").read_bytes() == BODY
    assert parts(online) == []


def test_a_full_disk_publishes_nothing_and_says_so(site: Site, online: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.open

    class Full:
        def __init__(self, stream: IO[bytes]) -> None:
            self.stream = stream

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            self.stream.close()

        def write(self, _: bytes) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def opened(path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        stream = real(path, mode, *args, **kwargs)
        return Full(stream) if mode == "ab" else stream

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(StepFailed, match="No space left") as caught:
        fetch((source(site),), tmp_path / "out", online, {})
    assert "free some space" in caught.value.hint
    assert list((tmp_path / "out").iterdir()) == []


def test_offline_nothing_is_asked(site: Site, context: Context, tmp_path: Path) -> None:
    with pytest.raises(WeightsUnreachable, match="offline") as caught:
        fetch((source(site),), tmp_path / "out", context, {})
    assert site.url in caught.value.message and "--rehearse" in caught.value.hint and "--weights" in caught.value.hint
    assert site.asked == []


def test_a_password_in_an_address_is_not_shown(site: Site, online: Context, tmp_path: Path) -> None:
    secret = site.url.replace("http://", "http://me:secret@")
    with pytest.raises(Unreachable) as caught:
        download(f"{secret}/other.bin", tmp_path / "out.bin", online)
    assert "secret" not in str(caught.value) and site.asked[0]["Authorization"].startswith("Basic ")


def test_the_hub_is_asked_for_the_revision(site: Site, online: Context, tmp_path: Path) -> None:
    site.bodies["/owner/name/resolve/abc123/folder/w.pth"] = b"hub"
    hub = HuggingFace(repository="owner/name", revision="abc123", files=(HuggingFaceFile(name="w.pth", path="folder/w.pth"),))
    fetched = fetch((hub,), tmp_path / "out", replace(online, environment={"HF_ENDPOINT": site.url}), {})
    assert fetched.files == {"w.pth": hashlib.sha256(b"hub").hexdigest()}


def sdist(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return packed.getvalue()


@pytest.fixture
def index(site: Site, online: Context) -> Context:
    """A context whose pip is configured with the site as its index."""
    archive = sdist({"demo-1.0/weights/w.pb": b"weights", "demo-1.0/weights/second.pb": b"second"})
    site.bodies["/files/demo-1.0.tar.gz"] = archive
    digest = hashlib.sha256(archive).hexdigest()
    site.bodies["/simple/demo/"] = f'<a href="{site.url}/files/demo-1.0.tar.gz#sha256={digest}">demo-1.0.tar.gz</a>'.encode()
    login = site.url.replace("http://", "http://me:secret@")
    return replace(online, environment={"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": f"{login}/simple"})


def test_pips_index_is_asked_once_for_all_members(site: Site, index: Context, tmp_path: Path) -> None:
    for member in ("weights/w.pb", "weights/second.pb"):
        fetch((Pypi(project="demo", version="1.0", member=member),), tmp_path / "out", index, {})
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["second.pb", "w.pb"]
    assert [asked["path"] for asked in site.asked] == ["/simple/demo/", "/files/demo-1.0.tar.gz"]
    assert all(asked["Authorization"].startswith("Basic ") for asked in site.asked)


def test_an_archive_that_its_index_does_not_describe_is_refused(site: Site, index: Context, tmp_path: Path) -> None:
    site.bodies["/files/demo-1.0.tar.gz"] = sdist({"demo-1.0/weights/w.pb": b"other"})
    with pytest.raises(HashMismatch, match="its index says sha256") as caught:
        fetch((Pypi(project="demo", version="1.0", member="weights/w.pb"),), tmp_path / "out", index, {})
    assert "secret" not in str(caught.value)
    assert [path for path in (index.cache / "archives").rglob("*") if path.is_file()] == []


def test_a_version_that_the_index_lacks_is_named_with_the_index(site: Site, index: Context, tmp_path: Path) -> None:
    with pytest.raises(WeightsUnreachable) as caught:
        fetch((Pypi(project="demo", version="2.0", member="weights/w.pb"),), tmp_path / "out", index, {})
    assert "demo 2.0" in caught.value.message and f"{site.url}/simple" in caught.value.message and "secret" not in caught.value.message
