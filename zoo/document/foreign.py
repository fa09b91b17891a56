"""YAML 1.1 as other projects write it, within limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import yaml
from yaml.events import ScalarEvent

from zoo.document.reader import KeyPath, Node, Reader


class _Merge:
    """The key << of a foreign mapping; each is one of its own."""

    def __init__(self, mark: Any) -> None:
        self.mark = mark

    def __repr__(self) -> str:
        return "<<"


class Foreign(Reader):
    """The rules of PyYAML's SafeLoader: YAML 1.1, the last of equal keys wins, anchors and merge keys."""

    last_wins = True

    def __init__(self, text: str, name: str) -> None:
        super().__init__(text, name)
        self.anchors: dict[str, Node] = {}
        self.loader: Any = yaml.SafeLoader("")

    def begin(self, event: Any, count: int) -> None:
        self.anchors = {}

    def marked(self, event: Any, node: Node, path: KeyPath) -> None:
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        known = ("!", "tag:yaml.org,2002:map" if isinstance(node.value, dict) else "tag:yaml.org,2002:seq")
        if type(event) is not ScalarEvent and event.tag is not None and event.tag not in known:
            self.problem(event.start_mark, path, f"the tag {event.tag} is not understood")

    def alias(self, event: Any, path: KeyPath) -> Node:
        if event.anchor not in self.anchors:
            self.stop(event.start_mark, path, f"the alias *{event.anchor} has no anchor before it (a value cannot hold itself)")
        return replace(self.anchors[event.anchor], where=(event.start_mark.line + 1, event.start_mark.column + 1))

    def key(self, event: Any, value: Any, path: KeyPath) -> Any:
        if isinstance(value, list | dict):
            self.stop(event.start_mark, path, "a list or mapping cannot be a key")
        return _Merge(event.start_mark) if type(event) is ScalarEvent and value == "<<" and not event.style else value

    def mapping(self, node: Node, path: KeyPath, depth: int) -> None:
        super().mapping(node, path, depth)
        for step in [step for step in reversed(node.children) if isinstance(step, _Merge)]:
            del node.value[step], node.keys[step]
            merged = node.children.pop(step)
            others = list(merged.children.values()) if isinstance(merged.value, list) else [merged]
            if any(not isinstance(other.value, dict) for other in others):
                self.problem(step.mark, path, "<< takes a mapping or a list of mappings")
                continue
            for other in others:
                for key, child in other.children.items():
                    if key not in node.children:
                        node.keys[key], node.children[key], node.value[key] = other.keys[key], child, child.value

    def scalar(self, event: Any, path: KeyPath) -> Any:
        tag = event.tag if event.tag not in (None, "!") else self.loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        if tag == "tag:yaml.org,2002:merge":
            return event.value
        try:
            return self.loader.construct_object(yaml.ScalarNode(tag, event.value, event.start_mark))
        except (yaml.YAMLError, ValueError, LookupError, AttributeError, OverflowError):
            self.problem(event.start_mark, path, f"cannot be read as {tag.rpartition(':')[2]}: {event.value[:40]!r}")
            return None
