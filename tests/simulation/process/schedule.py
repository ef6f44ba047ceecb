"""What one seed does to the real processes: orders, refunds and kills, in order. Pure."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from tests.real_processes import Part

PRODUCTS, VARIANTS = 60, 4
SPREAD_PRODUCTS = 500
"""Every second pair of seeds spreads its orders over so many: no product sells again before all others have sold, as
in a shop whose products sell once in a while. Levels then prove what became of every lost answer, and nothing may
freeze."""
LOCATIONS = ("Toronto", "Montreal")
STOCK = 100_000  # of each pool at the start: nothing sells out, so every order is taken
KILLED_ALONE = (
    4  # of one part, after which the whole service is killed and started anew: supervisors lose patience
)
_BURST = (4, 12)  # orders at once
_PARTS = (Part.WEB, Part.WORKER, Part.POSTMASTER)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of an order: which variant of which product, and how many."""

    product: int
    variant: int
    quantity: int


@dataclass(frozen=True, kw_only=True)
class Order:
    """One order, taken from one location."""

    lines: tuple[Line, ...]
    location: int
    refunded: int | None  # index of the line that is refunded soon after, with its stock


@dataclass(frozen=True, kw_only=True)
class Kill:
    """kill -9 of a part, `delay_s` after a burst of orders has begun to reach the shop."""

    part: Part
    delay_s: float


@dataclass(frozen=True, kw_only=True)
class Round:
    """Bursts of orders, a pause after each, and the kill that falls into the last of them."""

    bursts: tuple[tuple[Order, ...], ...]
    pause_s: float
    kill: Kill


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """One seed."""

    seed: int
    order_evidence: bool  # whether the app may read orders
    products: int
    may_freeze: bool
    rounds: tuple[Round, ...]
    calm: tuple[Order, ...]  # sold after the last kill

    @property
    def orders(self) -> int:
        """How many orders there are."""
        return len(self.calm) + sum(len(burst) for one in self.rounds for burst in one.bursts)


def schedule_of(seed: int, *, kills: int, sales: int) -> Schedule:
    """The schedule of a seed: even seeds with order evidence, odd ones without; 2, 3, 6, 7, 10 ... spread."""
    rng = random.Random(f"processes {seed}")
    spread = seed // 2 % 2 == 1
    orders = _spread_orders(rng) if spread else _orders(rng)
    shares = _shares(sales, kills + 1)
    deaths: dict[Part, int] = {}
    rounds = tuple(_round(rng, count, deaths, orders) for count in shares[:-1])
    return Schedule(
        seed=seed,
        order_evidence=seed % 2 == 0,
        products=SPREAD_PRODUCTS if spread else PRODUCTS,
        may_freeze=not spread,
        rounds=rounds,
        calm=tuple(islice(orders, shares[-1])),
    )


def _shares(total: int, parts: int) -> list[int]:
    return [total * (n + 1) // parts - total * n // parts for n in range(parts)]


def _round(rng: random.Random, count: int, deaths: dict[Part, int], orders: Iterator[Order]) -> Round:
    bursts = []
    while count > 0:
        size = min(count, rng.randint(*_BURST))
        bursts.append(tuple(islice(orders, size)))
        count -= size
    return Round(
        bursts=tuple(bursts),
        pause_s=rng.uniform(0.0, 0.4),
        kill=Kill(part=_victim(rng, deaths), delay_s=rng.uniform(0.0, 0.25)),
    )


def _victim(rng: random.Random, deaths: dict[Part, int]) -> Part:
    part = rng.choice(_PARTS)
    if deaths.get(part, 0) >= KILLED_ALONE:
        deaths.clear()
        return Part.SERVICE
    deaths[part] = deaths.get(part, 0) + 1
    return part


def _orders(rng: random.Random) -> Iterator[Order]:
    while True:
        yield _order(rng)


def _spread_orders(rng: random.Random) -> Iterator[Order]:
    """Each order is of one product, a third of them of several variants; the products take turns, always the same."""
    turns = rng.sample(range(SPREAD_PRODUCTS), SPREAD_PRODUCTS)
    while True:
        for product in turns:
            variants = rng.sample(range(VARIANTS), rng.choice((1, 1, 2)))
            lines = tuple(
                Line(product=product, variant=one, quantity=rng.choice((1, 1, 2))) for one in variants
            )
            yield Order(lines=lines, location=rng.randrange(len(LOCATIONS)), refunded=None)


def _order(rng: random.Random) -> Order:
    """A third of all orders have several lines, of one product or of several."""
    product = rng.randrange(PRODUCTS)
    count = rng.choice((1, 1, 1, 1, 2, 3))
    variants = rng.sample(range(VARIANTS), count)
    products = [product if rng.random() < 0.6 else rng.randrange(PRODUCTS) for _ in variants]
    lines = tuple(
        Line(product=place, variant=variant, quantity=rng.choice((1, 1, 1, 2, 5)))
        for place, variant in zip(products, variants, strict=True)
    )
    refunded = rng.randrange(count) if rng.random() < 0.1 else None
    return Order(lines=lines, location=rng.randrange(len(LOCATIONS)), refunded=refunded)
