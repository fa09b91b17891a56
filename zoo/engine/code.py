"""The digest of the code that a step runs: nothing to remember, nothing stale.

It covers the syntax trees (comments and docstrings aside) of the step's module, of the modules of the
records in its fields, and of whatever these import inside `zoo`. The tables of contents in `TABLES`
are not followed: they name every choice there is, while a step runs the one that stands in its
fields. So a new decoder leaves every other model's results as they are. A choice that a step uses whatever
its fields say is imported from its own module, and so counts. `zoo.weights` and `zoo.pose.fits` are no
such tables: steps meet readers and fits in artifacts as well, where no field names them.
"""

from __future__ import annotations

import ast
import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from zoo.files import digest_file, write_text
from zoo.record import Record

PACKAGE = Path(__file__).parent.parent
TABLES = frozenset(
    f"zoo.{name}"
    for name in (
        *("backends", "boxes", "calibrators", "datasets", "edits", "formats", "metrics", "models", "pipelines"),
        *("pose.decoders", "sources"),
    )
)


#: what holds no record, asked first: most fields are of these
_PLAIN = (str, int, float, type(None))


class Code:
    """Digests of code, with what was parsed remembered in a cache folder by (size, mtime)."""

    def __init__(self, cache: Path | None = None, package: Path = PACKAGE) -> None:
        self._package = package
        self._file = cache / "code.json" if cache else None
        self._parsed: dict[str, tuple[str, list[str]]] = {}
        self._closures: dict[frozenset[str], str] = {}
        self._reach: dict[str, frozenset[str]] = {}
        # by identity, with the record itself so that no other takes its place: the steps of a plan share most of theirs
        self._records: dict[int, tuple[Record, frozenset[str]]] = {}
        self._paths: dict[str, Path | None] = {}
        self._remembered: dict[str, Any] = {}
        if self._file:
            try:
                self._remembered = json.loads(self._file.read_text())
            except (OSError, ValueError):
                self._remembered = {}
            # digests made by another version of this file are not its own
            if self._remembered.get("made by") != (own := digest_file(Path(__file__))):
                self._remembered = {"made by": own}
        self._changed = False

    def digest(self, step: Record) -> str:
        """The sha256 of all the code that `step` runs."""
        return self.digest_of(self._modules(step))

    def digest_of(self, roots: frozenset[str]) -> str:
        """The sha256 of the code of the modules `roots` and of all that they reach."""
        if roots not in self._closures:
            modules = frozenset[str]().union(*(self._reached(root) for root in roots if self._path(root)))
            lines = sorted(f"{name} {self._module(name)[0]}" for name in modules)
            self._closures[roots] = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        return self._closures[roots]

    def _modules(self, record: Record) -> frozenset[str]:
        """The modules of a record and of every record inside it."""
        known = self._records.get(id(record))
        if known is None:
            found = {type(record).__module__}
            for name in record.__struct_fields__:
                self._add(getattr(record, name), found)
            known = self._records[id(record)] = (record, frozenset(found))
        return known[1]

    def _add(self, value: Any, found: set[str]) -> None:
        """Add to `found` the modules of all records in a field's value."""
        if isinstance(value, _PLAIN):
            return
        if isinstance(value, Record):
            found |= self._modules(value)
        elif isinstance(value, dict):
            for item in value.values():
                self._add(item, found)
        elif isinstance(value, tuple | list | frozenset):
            for item in value:
                self._add(item, found)
        elif isinstance(value, msgspec.Struct):
            raise AssertionError(f"{type(value).__name__} is not a Record")

    def _reached(self, root: str) -> frozenset[str]:
        """The names of the modules that `root` reaches inside the package, itself among them."""
        if root not in self._reach:
            seen: set[str] = set()
            todo = [root]
            while todo:
                name = todo.pop()
                if name not in seen:
                    seen.add(name)
                    todo.extend(self._module(name)[1])
            self._reach[root] = frozenset(seen)
        return self._reach[root]

    def save(self) -> None:
        """Remember what was parsed."""
        if self._file and self._changed:
            with suppress(OSError):  # what cannot be remembered is parsed again
                write_text(self._file, json.dumps(self._remembered))
            self._changed = False

    def _path(self, name: str) -> Path | None:
        if name not in self._paths:
            self._paths[name] = self._found(name)
        return self._paths[name]

    def _found(self, name: str) -> Path | None:
        top, _, rest = name.partition(".")
        if top != "zoo":
            return None
        stem = self._package / rest.replace(".", "/") if rest else self._package
        for path in (stem.with_suffix(".py"), stem / "__init__.py"):
            if path.is_file():
                return path
        return None

    def _module(self, name: str) -> tuple[str, list[str]]:
        if name not in self._parsed:
            path = self._path(name)
            if path is None:
                raise AssertionError(f"{name} has no source")
            status = path.stat()
            state = [status.st_size, status.st_mtime_ns]
            known = self._remembered.get(str(path))
            if known is None or known[0] != state:
                digest, imports = self._parse(path, name)
                known = [state, digest, imports]
                self._remembered[str(path)] = known
                self._changed = True
            self._parsed[name] = (known[1], known[2])
        return self._parsed[name]

    def _parse(self, path: Path, name: str) -> tuple[str, list[str]]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imports = sorted(self._imports(tree, name))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                # bare strings: docstrings of modules, classes, functions and fields
                node.body = [line for line in node.body if not _is_text(line)] or [ast.Pass()]
        return hashlib.sha256(_shape(tree).encode()).hexdigest(), imports

    def _imports(self, tree: ast.Module, module: str) -> set[str]:
        found: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module)
                found.update(f"{node.module}.{alias.name}" for alias in node.names)
        return {name for name in found if name != module and name != "zoo" and name not in TABLES and self._path(name)}


def _shape(node: Any) -> str:
    """A syntax tree as text: the same under every version of Python, whose own `ast.dump` writes fields that others lack."""
    if isinstance(node, ast.AST):
        fields = ((name, value) for name, value in ast.iter_fields(node) if value is not None and value != [])
        return f"{type(node).__name__}({','.join(f'{name}={_shape(value)}' for name, value in fields)})"
    if isinstance(node, list):
        return f"[{','.join(map(_shape, node))}]"
    return repr(node)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
