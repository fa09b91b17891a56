"""One file over HTTP: streamed to disk, resumed, retried, cancelled; whole or not at all.

What has come lies in `context.cache/downloads/KEY.part`, with what the server said of it in
`KEY.json`, until it is complete; a killed or cancelled download goes on from there. It is resumed
only where the server gave a validator (a strong ETag or a date), so that two versions of a file are
never glued together.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from zoo.context import Context
from zoo.errors import Cancelled, HashMismatch, StepFailed
from zoo.files import replacing, write_text
from zoo.sources.base import Unreachable, shown

if TYPE_CHECKING:
    from requests import Response, Session

#: seconds of waiting before the second, third, ... attempt that follows one that brought nothing
PAUSES = (0.5, 1.0, 2.0)
#: seconds to connect, and to wait for the next bytes
TIMEOUT = (10.0, 60.0)
CHUNK = 1 << 18
_RETRIED = (408, 425, 429, 500, 502, 503, 504)


class _Again(Exception):
    """This attempt failed in a way that another one may mend."""


def download(url: str, out: Path, context: Context, *, size: int = 0, session: Session | None = None) -> str:
    """Bring `url` to the path `out` and return the address as it may be shown.

    `size`, where it is not 0, is the number of bytes that the file must have. Raises `Unreachable`
    (offline, no answer, an answer other than the file), `HashMismatch` where the server announces
    another size, StepFailed where the disk takes no more, Cancelled."""
    import requests

    if context.offline:
        raise Unreachable(shown(url), "offline: the network may not be used")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with session or requests.Session() as used, _part(url, context) as part:
            _persist(url, part, context, size, used)
            part.publish(out)
    except OSError as error:
        raise StepFailed(
            f"{shown(url)}: cannot write to {error.filename or context.cache}: {error.strerror or error}",
            "free some space and run again: the download goes on where it stopped",
        ) from error
    return shown(url)


def _persist(url: str, part: _Part, context: Context, size: int, session: Session) -> None:
    """Attempt until the part is complete; give up when `PAUSES` are through without a byte in between."""
    import requests

    failures = 0
    while True:
        before = part.size()
        try:
            _attempt(url, part, context, size, session)
            return
        except requests.ConnectTimeout as error:
            # waited for long enough already: another source may be nearer
            raise Unreachable(shown(url), f"no connection within {TIMEOUT[0]:.0f} s") from error
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.TooManyRedirects) as error:
            raise Unreachable(shown(url), reason(error)) from error
        except (requests.RequestException, _Again) as error:
            failures = 1 if part.size() > before else failures + 1
            # no host or no connection: one more attempt is enough, another source may be nearer
            absent = isinstance(error, requests.ConnectionError) and part.size() == before
            if failures > (1 if absent else len(PAUSES)):
                raise Unreachable(shown(url), reason(error)) from error
        context.report(f"{_what(url)}: again", failures, len(PAUSES), "attempts")
        if context.cancelled.wait(PAUSES[failures - 1]):
            raise Cancelled("stopped")


class _Part:
    """What has come of one file: its bytes, and the validator with which they may be continued."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.facts = data.with_suffix(".json")

    def size(self) -> int:
        return self.data.stat().st_size if self.data.exists() else 0

    def validator(self) -> str:
        """What If-Range takes; empty where the bytes must not be continued."""
        try:
            return str(json.loads(self.facts.read_text())["validator"])
        except (OSError, ValueError, KeyError):
            return ""

    def restart(self, validator: str) -> None:
        # emptied before the new validator is written: killed in between, there is nothing to mix up
        self.data.write_bytes(b"")
        write_text(self.facts, json.dumps({"validator": validator}))

    def forget(self) -> None:
        self.data.unlink(missing_ok=True)
        self.facts.unlink(missing_ok=True)

    def publish(self, out: Path) -> None:
        with self.data.open("rb") as stream:
            os.fsync(stream.fileno())
        try:
            self.data.replace(out)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            with replacing(out) as temporary:
                shutil.copyfile(self.data, temporary)
        self.forget()


@contextmanager
def _part(url: str, context: Context) -> Iterator[_Part]:
    """The part of `url`, for this process alone: a second one that wants it gets a part of its own."""
    folder = context.cache / "downloads"
    folder.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(url.encode()).hexdigest()[:32]
    with (folder / f"{key}.lock").open("wb") as lock:
        if _locked(lock):
            yield _Part(folder / f"{key}.part")
            return
    part = _Part(folder / f"{key}.{os.getpid()}.part")
    try:
        yield part
    finally:
        part.forget()


def _locked(lock: BinaryIO) -> bool:
    """Whether the lock could be taken; it goes with the process, however that ends."""
    try:
        import fcntl
    except ImportError:  # no POSIX: every process downloads for itself
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _attempt(url: str, part: _Part, context: Context, size: int, session: Session) -> None:
    have, validator = part.size(), part.validator()
    # identity: lengths and ranges then count the file's own bytes
    headers = {"Accept-Encoding": "identity"}
    if have and validator:
        headers |= {"Range": f"bytes={have}-", "If-Range": validator}
    with session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        if answer.status_code == 416:
            if have and answer.headers.get("Content-Range") == f"bytes */{have}":
                return  # killed between the last byte and the publishing
            part.forget()
            raise _Again("the server cannot go on where the download stopped")
        if answer.status_code in _RETRIED:
            raise _Again(f"HTTP {answer.status_code} {answer.reason}")
        if answer.status_code not in (200, 206):
            raise Unreachable(shown(url), f"HTTP {answer.status_code} {answer.reason}")
        start, total = _extent(answer)
        if start != (have if answer.status_code == 206 else 0):
            part.forget()
            raise _Again("the server went on at another place than asked for")
        if size and total is not None and total != size:
            raise HashMismatch(
                f"{shown(url)} is refused: expected {size} bytes, the server announces {total}",
                "nothing was downloaded; if its publisher really has changed it, change the recipe's size and hash",
            )
        if answer.status_code == 200:
            part.restart(_validator(answer))
        _stream(answer, part, context, _what(url), start, total)
    if total is not None and part.size() != total:
        raise _Again(f"the connection ended after {part.size()} of {total} bytes")


def _stream(answer: Response, part: _Part, context: Context, what: str, start: int, total: int | None) -> None:
    with part.data.open("ab") as stream:
        done = start
        context.report(what, done, total, "bytes")
        for chunk in answer.iter_content(CHUNK):
            stream.write(chunk)
            done += len(chunk)
            context.report(what, done, total, "bytes")


def _extent(answer: Response) -> tuple[int, int | None]:
    """(the first byte that comes, the size of the whole file or None) by the answer's headers."""
    if answer.status_code == 206:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
        if match is None:
            return -1, None
        return int(match[1]), None if match[2] == "*" else int(match[2])
    length = answer.headers.get("Content-Length", "")
    encoded = answer.headers.get("Content-Encoding", "identity") != "identity"
    return 0, int(length) if length.isdigit() and not encoded else None


def _validator(answer: Response) -> str:
    tag = answer.headers.get("ETag", "")
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        return ""
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")


def _what(url: str) -> str:
    return f"download {shown(url).rpartition('/')[2]}"


def reason(error: Exception) -> str:
    """The last cause of a failed request in plain words: urllib3 wraps it in the whole story of its pool."""
    text = re.sub(r"//[^/@\s]+@", "//", str(error.args[0] if error.args else error))
    for plain in (r"Name or service not known|Temporary failure in name resolution|nodename nor servname", "Connection refused"):
        if match := re.search(plain, text):
            return match[0]
    return re.sub(r"^.*?\(Caused by (.*)\)$", r"\1", text)[:300] or type(error).__name__
