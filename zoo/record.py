"""The two bases of everything that is declared in YAML.

A `Record` is a frozen struct whose fields are its YAML keys. A `Choice` is a record that carries a
`type:` tag; a package's union of choices is the one list of what may stand there. The JSON Schema,
the validated object and the canonical bytes for a cache key all come from these same lines, so they
cannot drift apart.

Records are light: what is heavy (torch, cv2, onnx, a runtime) is imported inside their methods.
"""

import hashlib
from typing import Any

import msgspec


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A frozen record without a tag."""


class Choice(Record, frozen=True, tag_field="type", kw_only=True):
    """A record that is told from its siblings by `type:` (subclasses give `tag="..."`)."""


def canonical(value: Any) -> bytes:
    """The one JSON text of a record or of plain data: keys sorted, no spaces, tags included."""
    return msgspec.json.encode(value, order="sorted")


def fingerprint(value: Any) -> str:
    """The sha256 (hex) of `canonical(value)`."""
    return hashlib.sha256(canonical(value)).hexdigest()
