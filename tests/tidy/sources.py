"""The files a rule may look at: what git tracks or would track, so that a forgotten scratch file counts too.

A rule is a function from one `Source` to findings, each a line that says where, what, and what to do about it.
Rules take text, never paths, so that a test can hand them a violation. Only the tidy tests use this.
"""

import ast
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Source:
    """One file: its path from the root, with slashes, and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    def at(self, node: ast.AST | int, sentence: str) -> str:
        line = node if isinstance(node, int) else getattr(node, "lineno", 1)
        return f"{self.path}:{line}: {sentence}"

    def is_in(self, *patterns: str) -> bool:
        return any(fnmatch(self.path, pattern) for pattern in patterns)


Rule = Callable[[Source], Iterable[str]]


@cache
def paths() -> tuple[str, ...]:
    """Every file of the project; those that git ignores, or that were just deleted, are left out."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return tuple(sorted(path for path in set(listed.split("\0")) if path and (ROOT / path).is_file()))


@cache
def source(path: str) -> Source:
    return Source(path, (ROOT / path).read_text("utf-8", errors="replace"))


def sources(*patterns: str) -> Iterator[Source]:
    """The files whose path matches one of the shell patterns (`*` also crosses slashes)."""
    return (source(path) for path in paths() if any(fnmatch(path, pattern) for pattern in patterns))


def exists(path: str) -> bool:
    return path in paths()


def findings(rule: Rule, *patterns: str) -> str:
    """What `rule` finds in the files, as one text; empty when all is well."""
    return "\n".join(finding for item in sources(*patterns) for finding in rule(item))
