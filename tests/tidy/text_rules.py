"""Rules on every text file: leftovers, machine paths, links, and the lock files."""

import re
from collections.abc import Iterator
from posixpath import dirname, join, normpath

from tests.tidy.sources import Source

# Written so that this file does not match itself.
LEFTOVERS = re.compile(r"\b(TO[D]O|FIX[M]E|X{3}|HAC[K])\b")
ADDRESSES = re.compile(
    r"py[p]i\.org|pythonhoste[d]|registry\.npm[j]s|registry\.yarnp[k]g|(?<!no-emit)-index-ur[l]|(?<!no-emit-)find-link[s]|/simpl[e]/"
)
MACHINE_PATHS = re.compile(
    r"/wor[k]/(main|shared)|/tmp/la[b]|/roo[t]/|/hom[e]/\w|/User[s]/\w|/opt/(pyp[i]|wheel[s])"
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")


def leftovers(source: Source) -> Iterator[str]:
    for number, line in enumerate(source.lines, 1):
        if found := LEFTOVERS.search(line):
            yield source.at(
                number, f"{found[0]} is a promise nobody keeps: do it now, or open an issue and drop the note"
            )


def addresses(source: Source) -> Iterator[str]:
    for number, line in enumerate(source.lines, 1):
        if found := ADDRESSES.search(line):
            yield source.at(
                number,
                f"{found[0]!r} ties the project to one package registry: the user's settings choose it",
            )


def machine_paths(source: Source) -> Iterator[str]:
    for number, line in enumerate(source.lines, 1):
        if found := MACHINE_PATHS.search(line):
            yield source.at(
                number, f"{found[0]!r} exists on one machine only: use a path from the project's root"
            )


def prose_lines(source: Source) -> Iterator[tuple[int, str]]:
    """Numbered lines outside code fences, without inline code."""
    fenced = False
    for number, line in enumerate(source.lines, 1):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        elif not fenced:
            yield number, re.sub(r"`[^`]*`", "", line)


def dead_links(source: Source, existing: frozenset[str]) -> Iterator[str]:
    """Links from one Markdown file to a file or folder of the project that is not there."""
    for number, line in prose_lines(source):
        for target in LINK.findall(line):
            if re.match(r"[a-z]+:|#", target):
                continue
            path = normpath(join(dirname(source.path), target.split("#")[0])).rstrip("/")
            if path != "." and path not in existing:
                yield source.at(number, f"the link to {target!r} leads nowhere: correct it or drop it")


def pinned_by_hash(source: Source) -> Iterator[str]:
    """Of a lock file: every requirement is one exact version with hashes, and no address stands in it."""
    for block in re.split(r"\n(?=[A-Za-z0-9])", source.text.strip()):
        head = block.splitlines()[0]
        if "==" not in head or "--hash=sha256:" not in block or "://" in block:
            yield f"{source.path}: {head!r} is not an exact version with hashes alone: run `make lock`"


def requirement_names(text: str) -> set[str]:
    """Names in a requirements file, normalised; comments and hash lines left out."""
    found = (re.match(r"([A-Za-z0-9][\w.-]*)", line) for line in text.splitlines())
    return {re.sub(r"[-_.]+", "-", match[1]).lower() for match in found if match}
