"""The places where pip would look for a project, and what each of them has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit
from urllib.request import url2pathname

from zoo.context import Context
from zoo.sources.base import Unreachable, shown
from zoo.sources.download import TIMEOUT, reason
from zoo.sources.pip import PipSettings

if TYPE_CHECKING:
    from pypi_simple import DistributionPackage
    from requests import Session


def places(
    project: str, settings: PipSettings, session: Session, context: Context, looked: list[str]
) -> Iterator[tuple[str, list[DistributionPackage]]]:
    """Each place of pip's configuration, with the distributions of `project` that it has.

    Folders and pages of `find-links` come first, then the index, then the extra ones. A place that
    cannot be read is left out, and why is appended to `looked`."""
    from pypi_simple import PYPI_SIMPLE_ENDPOINT

    indexes = () if settings.no_index else (settings.index_url or PYPI_SIMPLE_ENDPOINT, *settings.extra_index_urls)
    for place, is_index in [(place, False) for place in settings.find_links] + [(place, True) for place in indexes]:
        try:
            yield place, _index(place, project, session, context) if is_index else _links(place, project, session, context)
        except Unreachable as error:
            looked.append(error.message)


def folder(path: Path, project: str) -> list[DistributionPackage]:
    """What lies in a folder; other projects' files too, as pip's find-links folders hold them all."""
    from pypi_simple import DistributionPackage, Link

    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else []
    return [DistributionPackage.from_link(Link(text=file.name, url=file.resolve().as_uri(), attrs={}), project) for file in files]


def local(url: str) -> Path | None:
    """The path that a file: URL means, None for any other."""
    parts = urlsplit(url)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


def with_login(url: str, index: str) -> str:
    """`url` with the user and password of `index` where both are of one host, as pip does it."""
    login, _, host = urlsplit(index).netloc.rpartition("@")
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{login}@{host}")) if login and parts.netloc == host else url


def _links(place: str, project: str, session: Session, context: Context) -> list[DistributionPackage]:
    remote = urlsplit(place).scheme in ("http", "https")
    path = None if remote else local(place) or context.root / place
    if path is not None and path.is_dir():
        return folder(path, project)
    return _page(place, path, project, session, context)


def _index(place: str, project: str, session: Session, context: Context) -> list[DistributionPackage]:
    from packaging.utils import canonicalize_name

    page = f"{place.rstrip('/')}/{canonicalize_name(project)}/"
    path = local(page)
    return _page(page, path / "index.html" if path else None, project, session, context)


def _page(place: str, path: Path | None, project: str, session: Session, context: Context) -> list[DistributionPackage]:
    from pypi_simple import ACCEPT_ANY, ProjectPage, UnsupportedContentTypeError, UnsupportedRepoVersionError
    from requests import RequestException

    if path is not None:
        if not path.is_file():
            raise Unreachable(place, "there is no such page or folder")
        return ProjectPage.from_html(project, path.read_bytes(), base_url=path.resolve().as_uri()).packages
    if context.offline:
        raise Unreachable(shown(place), "offline: the network may not be used")
    context.report(f"look for {project} in {shown(place)}")
    try:
        answer = session.get(place, headers={"Accept": ACCEPT_ANY}, timeout=TIMEOUT)
        if answer.status_code == 404:
            raise Unreachable(shown(place), "it does not have this project")
        answer.raise_for_status()
        return ProjectPage.from_response(answer, project).packages
    except RequestException as error:
        raise Unreachable(shown(place), reason(error)) from error
    except (UnsupportedContentTypeError, UnsupportedRepoVersionError, ValueError) as error:
        raise Unreachable(shown(place), f"this is no package index: {error}") from error
