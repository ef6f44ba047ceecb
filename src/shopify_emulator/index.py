"""What searches know while derived data lags: products, variants, items, orders and levels as they were a while ago.

Only what is found lags, not what is read: a search answers with the object as it is now. Publications, order
lines and titles of removed variants do not lag.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from shopify_emulator.clock import Clock
from shopify_emulator.model import Gid, Level, Order, Product


@dataclass(kw_only=True)
class SearchIndex:
    """Versions of objects by id, oldest first; none are kept while nothing lags.

    What is there when the first search comes is known: a shop is older than the app that looks at it.
    """

    clock: Clock
    lag_s: Callable[[], float]
    _searched: bool = False
    _versions: dict[Gid, list[tuple[datetime, Any]]] = field(default_factory=dict)

    def note(self, subject: object) -> None:
        """An object was made or has changed just now."""
        if not self.lag_s():
            return
        match subject:
            case Product():
                self._note_product(subject)
            case Order() | Level():
                self._add(copy(subject))
            case _:
                return

    def _note_product(self, product: Product) -> None:
        known = copy(product)
        known.variants = []
        for variant in product.variants:
            old, item = copy(variant), copy(variant.item)
            old.product, old.item, item.variant = known, item, old
            known.variants.append(old)
            self._add(old)
            self._add(item)
        self._add(known)

    def _add(self, version: Any) -> None:
        now, horizon = self.clock.now(), self._horizon()
        versions = self._versions.setdefault(version.gid, [])
        if versions and versions[-1][0] == now:
            versions.pop()
        versions.append((now, version))
        while len(versions) > 1 and versions[1][0] <= horizon:
            del versions[0]

    def as_known(self, row: Any) -> Any | None:
        """A row as searches know it; None as long as they do not know it at all."""
        if not self._searched:
            self._begin()
        versions = self._versions.get(getattr(row, "gid", ""))
        if versions is None:
            return row
        horizon = self._horizon()
        return next((version for at, version in reversed(versions) if at <= horizon), None)

    def _begin(self) -> None:
        self._searched = True
        for versions in self._versions.values():
            versions[:] = [(self._horizon(), versions[-1][1])]

    def _horizon(self) -> datetime:
        return self.clock.now() - timedelta(seconds=self.lag_s())
