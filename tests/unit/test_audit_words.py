"""The audit log tells every action in words."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from stockwright.notify.offers import Verb
from stockwright.web.admin.settings.audit_log import ABOUT, ACTIONS

SOURCES = Path(__file__).parents[2] / "src" / "stockwright"
_ACTION = re.compile(r"[a-z_]+(\.[a-z_]+)+")


def actions() -> Iterator[tuple[str, str]]:
    """Every action that the sources write into the log, with its place."""
    for path in sorted(SOURCES.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if path.name == "audit_log.py" or "audit" not in source:
            continue
        tree = ast.parse(source)
        nodes = {*constants_of_known_nouns(tree), *constants_given_to_the_log(tree)}
        yield from ((node.value, f"{path.relative_to(SOURCES)}:{node.lineno}") for node in nodes)


def is_action(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(_ACTION.fullmatch(node.value))
    )


def constants_of_known_nouns(tree: ast.AST) -> Iterator[ast.Constant]:
    """`mail.log` and its like are files."""
    for node in ast.walk(tree):
        if is_action(node) and node.value.split(".")[0] in ABOUT and not node.value.endswith(".log"):
            yield node


def constants_given_to_the_log(tree: ast.AST) -> Iterator[ast.Constant]:
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and "audit" in ast.unparse(call.func):
            yield from (node for one in call.args for node in ast.walk(one) if is_action(node))


def test_every_action_is_told_in_words_and_can_be_filtered() -> None:
    found = [*actions(), *((f"offer.{verb.value}", "notify/offers.py") for verb in Verb)]
    assert len(found) > 50, "the sources are no longer read rightly"
    assert [f"{place} {action}" for action, place in found if action not in ACTIONS] == []
    assert [action for action, _ in found if action.split(".")[0] not in ABOUT] == []


def test_no_words_stand_for_what_nobody_does() -> None:
    found = {action for action, _ in actions()} | {f"offer.{verb.value}" for verb in Verb}
    assert set(ACTIONS) - found == set()
