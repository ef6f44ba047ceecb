"""Modules import from earlier rows only. The rows are data; a violation names its file and line."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from stockwright.notify import KIND

SOURCES = Path(__file__).parents[2] / "src"
OURS = SOURCES / "stockwright"


@dataclass(frozen=True, kw_only=True)
class Row:
    """Modules of one height. `apart`: they do not import each other either."""

    modules: frozenset[str]
    apart: bool = False


ROWS = (
    Row(modules=frozenset({"model", "settings", "encryption", "schedules", "spreadsheet", "log"})),
    Row(
        modules=frozenset({"ledger", "automations", "store", "shopify", "mail", "notify", "postgres"}),
        apart=True,
    ),
    Row(modules=frozenset({"access", "mailing", "shelf"})),
    Row(
        modules=frozenset(
            {"deps", "bookkeeping", "notify_settings", "remembering", "situations", "evidence", "watching"}
        )
    ),
    Row(
        modules=frozenset(
            {
                "alarms",
                "alert_letters",
                "alerting",
                "attempt_book",
                "guarding",
                "fresh_products",
                "scanning",
                "installing",
                "offering",
                "people",
                "previewing",
                "reporting",
                "restock_mail",
                "reviewing",
                "steering",
            }
        )
    ),
    Row(modules=frozenset({"inbox", "engine", "effects", "notifying", "publishing", "sending"}), apart=True),
    Row(
        modules=frozenset(
            {
                "adding",
                "bouncing",
                "checking",
                "compliance",
                "contacting",
                "explaining",
                "gathering",
                "importing",
                "mail_desk",
                "offer_desk",
                "offer_reading",
                "offer_upkeep",
                "people_files",
                "people_told",
                "people_upkeep",
                "resending",
                "resolving",
                "signing_up",
                "signup_mail",
                "site_upkeep",
                "template_desk",
                "upkeep",
                "weighing",
                "wording_desk",
            }
        )
    ),
    Row(modules=frozenset({"jobs", "web"}), apart=True),
    Row(
        modules=frozenset(
            {
                "app",
                "bundled_shop",
                "demo",
                "demo_plan",
                "demo_scene",
                "demo_shopper",
                "demo_story",
                "doctor",
                "listening",
                "opening",
                "roles",
                "serving",
                "supervising",
                "working",
            }
        )
    ),
    Row(modules=frozenset({"cli"})),
    Row(modules=frozenset({"__main__"})),
)
HEIGHTS = {module: height for height, row in enumerate(ROWS) for module in row.modules}

# Written exceptions: kinds of automation are made of the pure protocol of shared stock and of restock alerts,
# and the client reads the products that alerts are about.
ALLOWED = frozenset({("automations", "ledger"), ("automations", "notify"), ("shopify", "notify")})
# Must not reach further than its work: the inbox stores and checks signatures, nothing else of ours.
NARROW = {"inbox": frozenset({"model", "store", "shopify"})}

# Which of our modules may import a library; everybody else must not.
ONLY_IN = {
    "procrastinate": frozenset({"jobs", "store"}),  # store: the migration step that lays out its tables
    "psycopg": frozenset({"store", "postgres"}),
    "psycopg_pool": frozenset({"store"}),
    "alembic": frozenset({"store"}),
    "sqlalchemy": frozenset({"store"}),
    "typer": frozenset({"cli"}),
    "rich": frozenset({"cli"}),
    "starlette": frozenset({"web"}),
    "uvicorn": frozenset({"serving"}),
    "httpx2": frozenset({"shopify", "demo", "bundled_shop"}),
}
NEVER_IN = {"pydantic": frozenset({"model", "ledger"})}
CLOCK_READERS = frozenset({"opening"})
WALL_CLOCKS = frozenset({"now", "utcnow", "today"})


@dataclass(frozen=True, kw_only=True)
class Import:
    """One imported name of one line."""

    importer: str  # our top-level module
    target: str  # dotted name
    where: str
    in_function: bool


def top_module(path: Path) -> str:
    return path.relative_to(OURS).parts[0].removesuffix(".py")


def python_files(package: str) -> Iterator[Path]:
    return iter(sorted((SOURCES / package).rglob("*.py")))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_of(path: Path, importer: str) -> list[Import]:
    tree = tree_of(path)
    deep = {
        inner
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(outer)
    }
    return [
        Import(
            importer=importer,
            target=target,
            where=f"{path.relative_to(SOURCES)}:{node.lineno}",
            in_function=node in deep,
        )
        for node in ast.walk(tree)
        for target in targets_of(node)
    ]


def targets_of(node: ast.AST) -> list[str]:
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom(module=str() as module):
            return [f"{module}.{alias.name}" for alias in node.names]
        case ast.Call(
            func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
            args=[ast.Constant(value=str() as name), *_],
        ):
            return [name]
        case _:
            return []


@cache
def our_imports() -> list[Import]:
    files = [path for path in python_files("stockwright") if path != OURS / "__init__.py"]
    return [one for path in files for one in imports_of(path, top_module(path))]


def told(found: list[Import], rule: str) -> str:
    return "\n".join(f"{one.where} imports {one.target}: {rule}" for one in found)


def is_upward(one: Import) -> bool:
    target = one.target.removeprefix("stockwright.").split(".")[0]
    if target == one.importer or (one.importer, target) in ALLOWED:
        return False
    row = ROWS[HEIGHTS[one.importer]]
    return HEIGHTS[target] > HEIGHTS[one.importer] or (row.apart and target in row.modules)


def internal(found: list[Import]) -> list[Import]:
    return [one for one in found if one.target.startswith("stockwright.")]


def test_every_module_stands_in_a_row() -> None:
    modules = {top_module(path) for path in python_files("stockwright")} - {"__init__"}
    assert modules == set(HEIGHTS)


def test_modules_import_from_earlier_rows_only() -> None:
    wrong = [one for one in internal(our_imports()) if is_upward(one)]
    assert not wrong, told(wrong, "it stands in a later row, or in a row whose modules stay apart")


def test_an_upward_import_would_be_found() -> None:
    upward = Import(importer="store", target="stockwright.engine.run", where="x:1", in_function=False)
    beside = Import(importer="engine", target="stockwright.inbox.Inbox", where="x:1", in_function=False)
    assert is_upward(upward)
    assert is_upward(beside)


def test_the_inbox_reaches_no_further_than_its_work() -> None:
    wrong = [
        one
        for one in internal(our_imports())
        if one.importer in NARROW and one.target.split(".")[1] not in NARROW[one.importer] | {one.importer}
    ]
    assert not wrong, told(wrong, "the inbox only checks and stores")


def test_our_own_modules_are_imported_at_the_top() -> None:
    wrong = [one for one in internal(our_imports()) if one.in_function]
    assert not wrong, told(wrong, "import it at the top of the module")


def test_libraries_are_used_where_they_belong() -> None:
    wrong = [
        one
        for one in our_imports()
        if one.importer not in ONLY_IN.get(one.target.split(".")[0], frozenset({one.importer}))
        or one.importer in NEVER_IN.get(one.target.split(".")[0], frozenset())
    ]
    assert not wrong, told(wrong, "that library is not for this module")


def test_the_bundled_shop_the_mail_sink_and_the_service_share_no_import() -> None:
    apart = {"stockwright": [*our_imports(), *imports_of(OURS / "__init__.py", "__init__")]}
    for package in ("shopify_emulator", "mail_sink"):
        apart[package] = [one for path in python_files(package) for one in imports_of(path, package)]
    wrong = [
        one
        for package, found in apart.items()
        for one in found
        if (top := one.target.split(".")[0]) in apart and top != package
    ]
    assert not wrong, told(wrong, "the demo starts them as processes; nothing is shared")


def test_an_import_by_name_would_be_found() -> None:
    text = """
importlib.import_module("stockwright.engine")
import_module("stockwright.inbox", package)
__import__("shopify_emulator")
"""
    found = [target for node in ast.walk(ast.parse(text)) for target in targets_of(node)]
    assert found == ["stockwright.engine", "stockwright.inbox", "shopify_emulator"]


def test_the_automation_of_notifications_is_named_in_one_place() -> None:
    places = [
        f"{path.relative_to(SOURCES)}:{node.lineno}"
        for path in python_files("stockwright")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and KIND in node.value
        if f"`{KIND}`" not in node.value  # a docstring
    ]
    assert len(places) == 1, ", ".join(places)


def test_the_wall_clock_is_read_in_one_place() -> None:
    wrong = [
        f"{path.relative_to(SOURCES)}:{node.lineno}"
        for path in python_files("stockwright")
        if top_module(path) not in CLOCK_READERS
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and reads_wall_clock(node.func)
    ]
    assert not wrong, "time is an argument, but these lines read the clock: " + ", ".join(wrong)


def reads_wall_clock(called: ast.expr) -> bool:
    """datetime.now(), date.today() or time.time(); `deps.clock()` and `asyncio` times are arguments."""
    if not isinstance(called, ast.Attribute) or not isinstance(called.value, ast.Name):
        return False
    owner, name = called.value.id, called.attr
    return (owner in ("datetime", "date") and name in WALL_CLOCKS) or (owner, name) == ("time", "time")
