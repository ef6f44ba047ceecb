"""Stockwright: exact, shared inventory for Shopify shops.

Must not import its own parts: only what has to happen before any of them is imported is here.
"""

import sys

# As it is imported, structlog loads rich, for tracebacks that show local variables. Ours never do, and the service's
# processes would hold 4 MB more, each. The command line loads rich itself.
if "rich" not in sys.modules:
    sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        import structlog as structlog
    finally:
        del sys.modules["rich"]
