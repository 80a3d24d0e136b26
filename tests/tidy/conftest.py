"""Reports what is within the gates but past the aims, in one line before pytest's own."""

import pytest
from tests.tidy.shape_rules import FILE_AIM, functions
from tests.tidy.sources import sources


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    code = list(sources("src/*.py"))
    long = sorted(((len(one.lines), one.path) for one in code if len(one.lines) > FILE_AIM), reverse=True)
    third = sum(
        len(function.args.args) - (function.args.args[0].arg in ("self", "cls")) > 2
        for one in code
        for function in functions(one.tree)
        if function.args.args
    )
    names = ", ".join(f"{path.removeprefix('src/qlaud/')} {lines}" for lines, path in long[:5])
    terminalreporter.write_line(
        f"tidy: {len(long)} of {len(code)} files are past the aim of {FILE_AIM} lines"
        f"{f' ({names})' if names else ''}; {third} functions have more than two positional parameters"
    )
