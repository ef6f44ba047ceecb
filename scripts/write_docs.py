"""Writes docs/settings.md, docs/commands.md and docs/automations.md from the code; `--check` only compares.

Run it after changing a setting, a command or an option: .venv/bin/python scripts/write_docs.py
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import typer
from typer.testing import CliRunner

from stockwright.automations import KINDS
from stockwright.cli import COMMANDS
from stockwright.settings import Settings, describe

DOCS = Path(__file__).parents[1] / "docs"


def settings_page() -> str:
    lines = describe(Settings())
    rows = [
        f"| `{line.name}` | {f'`{line.default}`' if line.default else ''} | {line.meaning} |"
        for line in lines
    ]
    head = (
        "# Settings\n\n"
        "Environment variables, also read from a `.env` file in the folder where a command starts; the environment "
        "wins. `stockwright settings` shows them with their values. A misspelt name is refused.\n\n"
        "| name | default | meaning |\n|---|---|---|\n"
    )
    return head + "\n".join(rows) + "\n"


def automations_page() -> str:
    parts = [
        "# Kinds of automation\n\n"
        "Options are given as `--option KEY=VALUE` to `stockwright automation add`; lists are comma-separated or "
        "JSON. `stockwright automation kinds --json` prints the same as JSON Schema.\n"
    ]
    for name, kind in KINDS.items():
        topics = ", ".join(f"`{topic}`" for topic in kind.topics)
        parts.append(f"\n## `{name}`\n\n{kind.summary}\n\nListens to {topics}, unless you change that.\n\n")
        parts.append("| option | default | meaning |\n|---|---|---|\n")
        for option, field in kind.options.model_fields.items():
            default = "" if field.is_required() else f"`{json.dumps(field.default, default=list)}`"
            parts.append(f"| `{option}` | {default} | {field.title}. {field.description} |\n")
    return "".join(parts)


def commands_page() -> str:
    parts = [
        "# Commands\n\n"
        "Exit status: 0 done, 1 failed with the reason on stderr, 2 wrong usage. Commands work whether or not the "
        "service runs; without `DATABASE_URL` our own PostgreSQL is started for the command.\n"
    ]
    for words in commands_of(COMMANDS):
        told = CliRunner().invoke(
            COMMANDS, [*words, "--help"], env={"COLUMNS": "100"}, prog_name="stockwright"
        )
        parts.append(f"\n## `stockwright {' '.join(words)}`\n\n```\n{told.output.strip()}\n```\n")
    return "".join(parts)


def commands_of(group: typer.Typer) -> Iterator[list[str]]:
    for command in group.registered_commands:
        yield [command.name or command.callback.__name__]
    for inner in group.registered_groups:
        for words in commands_of(inner.typer_instance):
            yield [inner.name, *words]


PAGES = {"settings.md": settings_page, "automations.md": automations_page, "commands.md": commands_page}


def main(arguments: list[str]) -> int:
    stale = [name for name, page in PAGES.items() if not is_current(DOCS / name, page())]
    if arguments == ["--check"]:
        for name in stale:
            print(f"docs/{name} differs from the code. Run: .venv/bin/python scripts/write_docs.py")
        return 1 if stale else 0
    for name in stale:
        (DOCS / name).write_text(PAGES[name](), encoding="utf-8")
        print(f"wrote docs/{name}")
    return 0


def is_current(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
