"""People in line at a real service: shop, service and mail sink as processes, for the simulation and the benchmark."""

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from stockwright.notify.tokens import Keyring
from tests.real_processes import (
    READY_LIMIT_S,
    RunningShop,
    Service,
    clean_environment,
    end,
    free_port,
    running_service,
    running_shop,
    wait_until,
)

KIND = "notify-back-in-stock"
USER, PASSWORD = "shop", "a password of this run"
_CATALOGUE = {
    "locations": [{"name": "Toronto"}],
    "products": [
        {
            "title": "Harbour at Dawn",
            "option_names": ["Frame"],
            "image_url": "https://cdn.example.com/harbour.jpg",
            "variants": [{"title": "Framed", "price": "85.00", "levels": 0}],
        }
    ],
}
_HASHES = Keyring(b"the key of people who are made up")
_ADD = """
insert into subscribers (shop_id, subscriber_id, email, address_hash, product_id, variant_id, product_title, state, source,
                         first_name, created_at)
select (select shop_id from shops), 'sub_' || lpad(no::text, 6, '0'), email, hash, %s, %s, 'Harbour at Dawn', 'pending',
       'import', name, now() + no * interval '1 microsecond'
from unnest(%s::text[], %s::bytea[], %s::text[]) with ordinality as p (email, hash, name, no)
"""
_STATES = "select state, count(*) from subscribers group by state"
# What a restart must never leave: a person and her message that say different things.
_DISAGREE = """
select count(*) from subscribers s left join messages m on m.shop_id = s.shop_id and m.message_id = s.message_id
left join notifications n on n.shop_id = s.shop_id and n.subscriber_id = s.subscriber_id
where m.state is distinct from s.state or n.state is distinct from s.state
"""


@dataclass(frozen=True, kw_only=True)
class Sink:
    """The mail sink as a process; its journal outlives every kill of others."""

    port: int
    journal: Path

    @property
    def taken(self) -> Counter[str]:
        """How many mails each recipient got."""
        return Counter(line.partition(" ")[0] for line in self.journal.read_text().splitlines())

    @property
    def count(self) -> int:
        """How many mails were taken."""
        return self.journal.read_bytes().count(b"\n")


@contextmanager
def running_sink(*, certificate: Path | None = None, delay_ms: float = 0.0) -> Iterator[Sink]:
    """A sink; with a certificate it offers STARTTLS and wants a user. Each of its answers takes `delay_ms`."""
    with tempfile.TemporaryDirectory(prefix="stockwright-sink-") as folder:
        journal, log = Path(folder, "journal"), Path(folder, "sink.log")
        journal.touch()
        port = free_port()
        command = [sys.executable, "-m", "mail_sink", "--smtp-port", str(port), "--port", str(free_port())]
        command += ["--journal", str(journal), "--delay-ms", str(delay_ms)]
        if certificate is not None:
            command += ["--certificate", str(certificate), "--user", f"{USER}:{PASSWORD}"]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, env=clean_environment({}))
        try:
            wait_until(lambda: "SMTP at" in log.read_text(), limit_s=READY_LIMIT_S, what="the sink listens")
            yield Sink(port=port, journal=journal)
        finally:
            end(process)


@dataclass(kw_only=True)
class Line:
    """People who wait for the one variant of the shop."""

    shop: RunningShop
    service: Service
    sink: Sink
    people: int

    @property
    def emails(self) -> list[str]:
        return [f"p{no:06d}@example.com" for no in range(self.people)]

    def enrol(self) -> None:
        """Put them in line."""
        product = self.shop.state()["products"][0]
        shop_id = self._one("select shop_id from shops")
        hashes = [_HASHES.address_hash(shop_id, email) for email in self.emails]
        names = ["Ada" if no % 2 else "" for no in range(self.people)]
        variant = product["variants"][0]["id"]
        with psycopg.connect(self.service.dsn(), autocommit=True) as conn:
            conn.execute(_ADD, (product["id"], variant, self.emails, hashes, names))
            conn.execute("analyze subscribers")

    def restock(self, level: int = 100_000) -> None:
        """A merchant enters new stock."""
        state = self.shop.state()
        item, place = state["products"][0]["variants"][0]["item"], state["locations"][0]["id"]
        self.shop.post("edit", {"edits": [{"item": item, "location": place, "available": level}]})

    def states(self) -> Counter[str]:
        """How many people are in each state."""
        with psycopg.connect(self.service.dsn(), autocommit=True) as conn:
            return Counter(dict(conn.execute(_STATES).fetchall()))

    def disagreements(self) -> int:
        """People whose message or notification says something else than they do."""
        return int(self._one(_DISAGREE))

    def until_told(self, limit_s: float) -> None:
        """Until nobody waits any more and nothing is on its way."""
        wait_until(
            lambda: not set(self.states()) - {"sent", "unknown", "failed"},
            limit_s=limit_s,
            what="everybody in line was told",
        )

    def _one(self, query: str) -> int:
        with psycopg.connect(self.service.dsn(), autocommit=True) as conn:
            row = conn.execute(query.encode()).fetchone()
        assert row is not None
        return int(row[0])


@contextmanager
def people_in_line(
    people: int, *, certificate: Path | None = None, delay_ms: float = 0.0, **settings: str
) -> Iterator[Line]:
    """A shop with one variant, nothing of it in stock, and people who wait for it."""
    with running_sink(certificate=certificate, delay_ms=delay_ms) as sink, running_shop(_CATALOGUE) as shop:
        given = {
            "STOCKWRIGHT_SMTP_HOST": "127.0.0.1",
            "STOCKWRIGHT_SMTP_PORT": str(sink.port),
            "STOCKWRIGHT_SMTP_SECURITY": "none",
            "STOCKWRIGHT_SMTP_FROM": "shop@example.com",
            "STOCKWRIGHT_SMTP_RATE_PER_MINUTE": "100000",
            "STOCKWRIGHT_LOG_LEVEL": "warning",
            **settings,
        }
        if certificate is not None:
            given |= {
                "STOCKWRIGHT_SMTP_SECURITY": "starttls",
                "STOCKWRIGHT_SMTP_VERIFY": "false",
                "STOCKWRIGHT_SMTP_USER": USER,
                "STOCKWRIGHT_SMTP_PASSWORD": PASSWORD,
            }
        with running_service(given) as service:
            service.add_shop(shop)
            service.add_automation(KIND, shop, settle_s=0)
            line = Line(shop=shop, service=service, sink=sink, people=people)
            line.enrol()
            yield line
