"""What must be true of shop and service after the kills: compares the shop's own history with the ledger.

Reads only. The shop's history is the truth: it is written by the shop's own process, which was never killed.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import dict_row

from stockwright.ledger import journal, wire

Json = dict[str, Any]
Level = tuple[str, str]  # item and location, by gid
Place = tuple[str, str]  # product and location, by gid

OURS = "api"  # the cause of a movement that an app made


@dataclass(frozen=True, kw_only=True)
class PoolFacts:
    """One pool as the service stored it."""

    place: Place
    levels: tuple[Level, ...]
    frozen: bool
    reason: str
    state: Json
    entries: tuple[Json, ...]


@dataclass(frozen=True, kw_only=True)
class ServiceFacts:
    """What the service's database says."""

    pools: tuple[PoolFacts, ...]
    webhook_ids: frozenset[str]  # of the stored events
    waiting: int  # work that is due and not done, and corrections without an answer


def service_facts(dsn: str) -> ServiceFacts:
    """Read everything that is judged, at one moment."""
    with psycopg.connect(dsn, row_factory=dict_row) as conn:
        conn.execute("set transaction isolation level repeatable read read only")
        members: dict[str, list[Level]] = defaultdict(list)
        for row in conn.execute("select pool_id, item_id, location_id from pool_members order by 1, 2, 3"):
            members[row["pool_id"]].append((row["item_id"], row["location_id"]))
        entries: dict[str, list[Json]] = defaultdict(list)
        for row in conn.execute("select pool_id, data from journal order by pool_id, seq"):
            entries[row["pool_id"]].append(row["data"])
        pools = tuple(
            PoolFacts(
                place=(row["product_id"], row["location_id"]),
                levels=tuple(members[row["pool_id"]]),
                frozen=row["status"] == "frozen",
                reason=row["reason"],
                state=row["state"],
                entries=tuple(entries[row["pool_id"]]),
            )
            for row in conn.execute("select * from pools order by pool_id")
        )
        found = conn.execute("select webhook_id from events where webhook_id is not null").fetchall()
        waiting = conn.execute(_WAITING).fetchone()
    assert waiting is not None
    return ServiceFacts(
        pools=pools, webhook_ids=frozenset(row["webhook_id"] for row in found), waiting=waiting["count"]
    )


def frozen_places(dsn: str) -> set[Place]:
    """The stocks that wait for a person; none as long as the database does not answer."""
    try:
        with psycopg.connect(dsn) as conn:
            return set(conn.execute("select product_id, location_id from pools where status = 'frozen'"))
    except psycopg.OperationalError:
        return set()


_WAITING = """
select (select count(*) from work where done_at is null and due_at <= now())
     + (select count(*) from pools where in_doubt and status = 'active') as count
"""


# --- the shop's own truth ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ShopFacts:
    """The shop's levels at the start, and all that moved them."""

    initial: Mapping[Level, int]
    product_of: Mapping[str, str]  # by item
    history: Sequence[Json]

    def truth(self) -> dict[Place, int]:
        """What each shared stock must be: its first level and every movement that was not ours."""
        stock: dict[Place, int] = {}
        for (item, location), level in self.initial.items():
            stock.setdefault((self.product_of[item], location), level)
        for moved in self.history:
            if moved["cause"] != OURS:
                stock[self.product_of[moved["item"]], moved["location"]] += moved["delta"]
        return stock

    def levels(self) -> dict[Level, int]:
        """What each level stands at."""
        levels = dict(self.initial)
        for moved in self.history:
            levels[moved["item"], moved["location"]] += moved["delta"]
        return levels

    def wrong(self) -> dict[Place, list[int]]:
        """Places with a level that is not the truth, and all their levels."""
        truth, shown = self.truth(), defaultdict(list)
        for (item, location), level in self.levels().items():
            shown[self.product_of[item], location].append(level)
        return {place: levels for place, levels in shown.items() if set(levels) != {truth[place]}}


def levels_of(state: Json) -> dict[Level, int]:
    """Every level that the shop's state shows."""
    return {
        (variant["item"], location): level
        for product in state["products"]
        for variant in product["variants"]
        for location, level in variant["levels"].items()
    }


def products_of(state: Json) -> dict[str, str]:
    """The product of every item."""
    return {
        variant["item"]: product["id"] for product in state["products"] for variant in product["variants"]
    }


# --- judging ----------------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class Verdict:
    """What was found; `violations` is empty when everything held."""

    violations: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def judge(shop: ShopFacts, service: ServiceFacts, deliveries: Iterable[tuple[str, str]]) -> Verdict:
    """Hold the service to what it promises. `deliveries` are (webhook id, status) of every attempt."""
    verdict = Verdict()
    _judge_levels(shop, service, verdict)
    _judge_webhooks(service, deliveries, verdict)
    _judge_corrections(shop, service, verdict)
    for pool in service.pools:
        _judge_journal(pool, verdict)
        verdict.counts.update(_outcomes(pool))
    return verdict


def _judge_levels(shop: ShopFacts, service: ServiceFacts, verdict: Verdict) -> None:
    reported = {pool.place for pool in service.pools if pool.frozen and pool.reason}
    verdict.counts["frozen"] = sum(pool.frozen for pool in service.pools)
    verdict.counts["frozen, undecidable"] = sum(
        pool.frozen and undecidable(pool, shop.history) for pool in service.pools
    )
    verdict.counts["pools"] = len(service.pools)
    truth = shop.truth()
    for place, levels in shop.wrong().items():
        verdict.counts["wrong"] += 1
        if place not in reported:
            verdict.violations.append(f"{place} stands at {levels} and should at {truth[place]}, not frozen")
    if len(service.pools) != len(truth):
        verdict.violations.append(f"{len(truth)} stocks are shared and {len(service.pools)} have a pool")


def undecidable(pool: PoolFacts, history: Iterable[Json]) -> bool:
    """Whether the shop's own history shows why no rule could settle the correction that froze a pool.

    It was applied, and an order moved one of its rows before the first look: that row shows neither its before-value
    nor its after-value, and the same levels follow from no correction and other sales.
    """
    by_kind = {entry["kind"]: entry for entry in pool.entries}  # the newest of each kind
    opened, look, frozen = (by_kind.get(kind) for kind in ("intent_opened", "first_read", "frozen"))
    if not (opened and look and frozen and opened["data"]["key"] == look["data"]["key"]):
        return False
    if not look["data"]["within_window"]:
        return False  # nobody looked in time: that is ours to answer for
    moved = [one for one in history if opened["at"] < one["at"] < frozen["at"]]
    if not any(one["idempotency_key"] == opened["data"]["key"] for one in moved):
        return False
    ordered = {(one["item"], one["location"]) for one in moved if one["cause"] != OURS}
    shown = {tuple(row["member"]): row["level"] for row in look["data"]["levels"]}
    rows = {tuple(row["member"]): row["from"] + row["delta"] for row in opened["data"]["rows"]}
    return any(shown.get(level) != after and level in ordered for level, after in rows.items())


def _judge_webhooks(service: ServiceFacts, deliveries: Iterable[tuple[str, str]], verdict: Verdict) -> None:
    for webhook_id, status in deliveries:
        verdict.counts["webhooks answered 200" if status == "200" else "webhooks not answered 200"] += 1
        if status == "200" and webhook_id not in service.webhook_ids:
            verdict.violations.append(f"webhook {webhook_id} was answered 200 and is not stored")


def _judge_corrections(shop: ShopFacts, service: ServiceFacts, verdict: Verdict) -> None:
    """Each correction that the shop has seen is booked once, and nothing is booked that it has not seen."""
    seen = {moved["idempotency_key"] for moved in shop.history if moved["cause"] == OURS}
    booked = Counter(
        entry["data"]["key"]
        for pool in service.pools
        for entry in pool.entries
        if entry["kind"] == "intent_applied"
    )
    in_question = {
        pool.state["intent"]["key"] for pool in service.pools if pool.frozen and pool.state.get("intent")
    }
    verdict.counts["corrections"] = len(seen)
    verdict.violations += [f"correction {key} was booked {n} times" for key, n in booked.items() if n > 1]
    missing = [key for key in seen if key not in booked and key not in in_question]
    verdict.violations += [f"correction {key} reached the shop and is not booked" for key in missing]
    verdict.violations += [
        f"correction {key} is booked and never reached the shop" for key in booked if key not in seen
    ]


def _judge_journal(pool: PoolFacts, verdict: Verdict) -> None:
    replayed = wire.state_to_json(journal.replay(wire.entry_from_json(entry) for entry in pool.entries))
    if replayed != pool.state:
        verdict.violations.append(
            f"the journal of {pool.place} does not give its state: {replayed} != {pool.state}"
        )


def _outcomes(pool: PoolFacts) -> Counter[str]:
    """How the corrections without an answer ended."""
    counts: Counter[str] = Counter()
    unknown: set[str] = set()
    for entry in pool.entries:
        data = entry["data"]
        if entry["kind"] == "outcome_unknown":
            unknown.add(data["key"])
            counts["unknown"] += 1
        elif entry["kind"] in ("intent_applied", "intent_not_applied") and data["key"] in unknown:
            counts[f"unknown, settled by {data.get('how') or data.get('why')}"] += 1
        elif entry["kind"] == "first_read" and not data["within_window"]:
            counts["unknown, first read too late"] += 1
    return counts
