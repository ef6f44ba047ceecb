"""Functions stay short: the numbers below may only fall."""

import ast
from pathlib import Path
from statistics import median

SOURCES = Path(__file__).parents[2] / "src"

# Lines of a function, its docstring counted. Lower them when the code allows; never raise them.
MEDIAN = 6
P90 = 17
P99 = 30
LONGEST = 51
LONGEST_MODULE = 500


def lengths() -> list[tuple[int, str]]:
    return sorted(
        (node.end_lineno - node.lineno + 1, f"{path.relative_to(SOURCES)}:{node.lineno} {node.name}")
        for path in SOURCES.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None
    )


def share(found: list[tuple[int, str]], part: float) -> int:
    return found[min(len(found) - 1, int(len(found) * part))][0]


def test_functions_do_not_grow() -> None:
    found = lengths()
    longest = "; ".join(f"{lines} lines: {where}" for lines, where in found[-5:])
    now = {
        "median": median(lines for lines, _ in found),
        "90th": share(found, 0.90),
        "99th": share(found, 0.99),
        "longest": found[-1][0],
    }
    limits = {"median": MEDIAN, "90th": P90, "99th": P99, "longest": LONGEST}
    grown = {name: value for name, value in now.items() if value > limits[name]}
    assert not grown, f"grown beyond {limits}: {grown}. The longest: {longest}"


def test_modules_stay_on_one_subject() -> None:
    long = [
        f"{path.relative_to(SOURCES)} ({lines} lines)"
        for path in SOURCES.rglob("*.py")
        if (lines := path.read_text(encoding="utf-8").count("\n")) > LONGEST_MODULE
    ]
    assert not long, f"split by subject: {', '.join(long)}"
