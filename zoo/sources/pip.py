"""Which package indexes pip is configured with on this machine: read as `pip download` reads them.

Files, later ones first in right: machine, user, environment (sys.prefix), `PIP_CONFIG_FILE`; within
them the sections `global`, then `download`; over all of them the environment's `PIP_*`. Source:
pip's user guide, "Configuration". pip itself is not asked: it has no programming interface, and a
machine may have none.
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import StepFailed

if TYPE_CHECKING:
    from requests import Session

_FALSE = ("", "0", "no", "n", "off", "f", "false")


@dataclass(frozen=True)
class PipSettings:
    """What pip would use. `index_url` is empty where the default index is meant."""

    index_url: str = ""
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False
    cert: str = ""
    client_cert: str = ""
    proxy: str = ""

    def session(self) -> Session:
        """A requests session with pip's certificate, client certificate and proxy."""
        import requests
        from requests.adapters import HTTPAdapter
        from urllib3.util import Retry

        session = requests.Session()
        if self.cert:
            session.verify = self.cert
        if self.client_cert:
            session.cert = self.client_cert
        if self.proxy:
            session.proxies = {"http": self.proxy, "https": self.proxy}
        # for index pages; downloads have attempts of their own and never come here with a retried status
        retry = Retry(total=2, backoff_factor=0.3, status_forcelist=(500, 502, 503, 504), raise_on_status=False)
        session.mount("https://", HTTPAdapter(max_retries=retry))
        session.mount("http://", HTTPAdapter(max_retries=retry))
        return session


def config_files(environment: Mapping[str, str], platform: str = sys.platform) -> list[Path]:
    """pip's configuration files, in the order in which later ones override earlier ones."""
    home = Path(environment.get("HOME") or environment.get("USERPROFILE") or Path.home())
    chosen = environment.get("PIP_CONFIG_FILE", "")
    if chosen == os.devnull:
        return []
    if platform == "win32":
        shared = [Path(environment.get("PROGRAMDATA", r"C:\ProgramData")) / "pip/pip.ini"]
        user = [home / "pip/pip.ini", Path(environment.get("APPDATA", home / "AppData/Roaming")) / "pip/pip.ini"]
        site = Path(sys.prefix) / "pip.ini"
    elif platform == "darwin":
        support = home / "Library/Application Support/pip"
        shared = [Path("/Library/Application Support/pip/pip.conf")]
        user = [home / ".pip/pip.conf", (support if support.is_dir() else home / ".config/pip") / "pip.conf"]
        site = Path(sys.prefix) / "pip.conf"
    else:
        folders = environment.get("XDG_CONFIG_DIRS") or "/etc/xdg"
        shared = [*(Path(folder) / "pip/pip.conf" for folder in folders.split(":") if folder), Path("/etc/pip.conf")]
        user = [home / ".pip/pip.conf", Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf"]
        site = Path(sys.prefix) / "pip.conf"
    if chosen and Path(chosen).exists():
        # as pip does: a file named by the environment stands in the user's place, and goes last
        return [*shared, site, Path(chosen)]
    return [*shared, *user, site]


def pip_settings(environment: Mapping[str, str], files: list[Path] | None = None) -> PipSettings:
    """What pip is configured with. Raises StepFailed where a configuration file cannot be read."""
    sections: dict[str, dict[str, str]] = {"global": {}, "download": {}}
    for path in config_files(environment) if files is None else files:
        for section, values in _parse(path).items():
            if section in sections:
                sections[section].update(values)
    env = {name[4:].lower().replace("_", "-"): value for name, value in environment.items() if name.startswith("PIP_")}
    merged: dict[str, str] = {}
    for layer in (sections["global"], sections["download"], env):
        # an empty value is no value, as for pip
        merged.update({name: value for name, value in layer.items() if value})
    return PipSettings(
        index_url=merged.get("index-url", merged.get("pypi-url", "")),
        extra_index_urls=tuple(merged.get("extra-index-url", "").split()),
        find_links=tuple(merged.get("find-links", "").split()),
        no_index=merged.get("no-index", "").lower() not in _FALSE,
        cert=merged.get("cert", ""),
        client_cert=merged.get("client-cert", ""),
        proxy=merged.get("proxy", ""),
    )


def _parse(path: Path) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser()
    try:
        if path.is_file():
            parser.read(path, encoding="utf-8")
    except PermissionError:
        return {}
    except (configparser.Error, UnicodeDecodeError) as error:
        raise StepFailed(f"{path}: pip's configuration cannot be read: {error}", "see `pip config debug`") from error
    return {section: {name.replace("_", "-"): value for name, value in parser.items(section)} for section in parser.sections()}
