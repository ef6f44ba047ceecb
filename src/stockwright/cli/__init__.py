"""The command line: one module per group of commands. Thin: it reads arguments, asks the service, prints.

Exit status: 0 done, 1 failed with the reason on stderr, 2 wrong usage.
"""

import sys
from collections.abc import Sequence

import typer

from stockwright.cli import (
    automations,
    mail,
    mail_returns,
    offers,
    running,
    runs,
    shops,
    stock,
    subscribers,
    users,
)
from stockwright.cli.output import tell
from stockwright.model import StockwrightError
from stockwright.store.database import Away, Denied

COMMANDS = typer.Typer(
    name="stockwright",
    help="Exact inventory for Shopify shops, on a machine of your own. Start with: stockwright demo",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
running.add_to(COMMANDS)
COMMANDS.add_typer(shops.COMMANDS, name="shop")
COMMANDS.add_typer(automations.COMMANDS, name="automation")
runs.add_to(COMMANDS)
COMMANDS.add_typer(stock.COMMANDS, name="stock")
COMMANDS.add_typer(offers.COMMANDS, name="offer")
COMMANDS.add_typer(subscribers.COMMANDS, name="subscribers")
mail_returns.add_to(mail.COMMANDS)
COMMANDS.add_typer(mail.COMMANDS, name="mail")
COMMANDS.add_typer(users.USERS, name="user")
COMMANDS.add_typer(users.TOKENS, name="token")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    try:
        COMMANDS(args=arguments, prog_name="stockwright")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except StockwrightError as error:
        tell(f"Error: {error}")
        return 1
    except Away as error:
        tell(
            f"Error: the database does not answer: {str(error).strip()}\n"
            "Check DATABASE_URL and the server, then look with: stockwright doctor"
        )
        return 1
    except Denied as error:
        tell(
            f"Error: the database refuses it: {str(error).strip()}\n"
            "Grant the user of DATABASE_URL all on Stockwright's tables, or make it their owner."
        )
        return 1
    except OSError as error:
        tell(
            f"Error: this machine refuses it: {error}\nSee the home folder and its disk with: stockwright doctor"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
