"""A foreign YAML file as dotted keys: every value as the text it is written in, each key once, anchors followed but never without end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from migrator.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_BYTES = 1_000_000
MOST_KEYS = 10_000
"""Keys of a file, anchors followed: nine lines of them can stand for a billion."""
_MERGE, _NULL = "tag:yaml.org,2002:merge", "tag:yaml.org,2002:null"
_SHOWN = 3


def read_keys(text: str, what: str) -> dict[str, Any]:
    """Return the YAML mapping in ``text``, flat: ``a.b.c`` -> text, None for null, a list of some of the texts for a sequence.

    Numbers stay the text they are written in: YAML would read ``0123`` as 83. Raise ``ConfigError`` saying where the file is wrong.
    """
    try:
        node = _composed(text.removeprefix("\ufeff"), what)
        if not isinstance(node, yaml.MappingNode):
            raise _bad(f"{what} holds no keys", "write target: and the others as the documentation of milvus-migration shows them")
        return _flat(_Walk(what), node)
    except RecursionError:
        raise _bad(f"{what} is nested too deeply", "correct it") from None


def _bad(message: str, fix: str) -> ConfigError:
    return ConfigError(message, fix=fix, code="bad_config")


def _composed(text: str, what: str) -> Any:
    if len(text) > MOST_BYTES:
        raise _bad(f"{what} has {len(text):,} characters, and no configuration is that large", "give the path of the configuration itself")
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        problem = str(getattr(error, "problem", None) or "it has characters that are none")
        if "another document" in problem:
            raise _bad(f"{what} holds two documents, the second of them{where}", "make each of them a file of its own") from None
        fix = "indent with spaces, YAML takes no tabs" if "\\t" in problem else "correct it"
        raise _bad(f"{what} is no YAML{where}: {problem}", fix) from None


def _flat(walk: _Walk, root: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    spelt: dict[str, str] = {}
    for key, value in walk.leaves(root, ""):
        if key.lower() in spelt:  # once nested, once with dots
            raise _bad(f"{walk.what} has the key {key} twice", "keep one of them")
        spelt[key.lower()] = found[key] = value
    return found


class _Walk:
    """One way through the nodes of a file, which share what anchors name: it ends after ``MOST_KEYS`` keys."""

    def __init__(self, what: str) -> None:
        self.what = what
        self._left = MOST_KEYS

    def leaves(self, node: Any, path: str) -> Iterator[tuple[str, Any]]:
        """Return each key below ``node`` that holds no further keys, with its value."""
        for name, value in self._pairs(node).values():
            key = f"{path}.{name}" if path else name
            if isinstance(value, yaml.MappingNode):
                yield from self.leaves(value, key)
            elif isinstance(value, yaml.SequenceNode):
                yield key, [item.value if isinstance(item, yaml.ScalarNode) else "…" for item in value.value[:_SHOWN]]
            else:
                yield key, None if value.tag == _NULL else value.value

    def _pairs(self, node: Any) -> dict[str, tuple[str, Any]]:
        """Return the keys of a mapping by their lower case, its own before those it merges."""
        own: dict[str, tuple[str, Any]] = {}
        merged: dict[str, tuple[str, Any]] = {}
        for key, value in node.value:
            self._left -= 1
            if self._left < 0:
                raise _bad(f"{self.what} has more than {MOST_KEYS:,} keys, anchors followed", "write them out")
            if not isinstance(key, yaml.ScalarNode):
                raise _bad(f"{self.what} has a key that is no text at line {key.start_mark.line + 1}", "correct it")
            if key.tag == _MERGE:
                for part in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    merged = self._merged(part) | merged
            elif key.value.lower() in own:
                raise _bad(f"{self.what} has the key {key.value} twice, the second time at line {key.start_mark.line + 1}", "keep one of them")
            else:
                own[key.value.lower()] = (key.value, value)
        return merged | own

    def _merged(self, node: Any) -> dict[str, tuple[str, Any]]:
        if not isinstance(node, yaml.MappingNode):
            raise _bad(f"{self.what} merges something that holds no keys at line {node.start_mark.line + 1}", "merge a mapping: <<: *name")
        return self._pairs(node)
