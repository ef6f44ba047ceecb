"""The worker role as one process: `python -m stockwright.working`. Started by the supervisor or by a person."""

import asyncio
import sys
from datetime import timedelta
from functools import partial

import structlog

from stockwright import bouncing, compliance, importing
from stockwright.app import handle_key, open_deps
from stockwright.deps import Deps
from stockwright.jobs import Chore, Retention, WorkerDeps, WorkerLimits, keep_working
from stockwright.notifying import wake_waves
from stockwright.offer_upkeep import OfferUpkeep
from stockwright.opening import utc_now
from stockwright.people_upkeep import PeopleUpkeep
from stockwright.reporting import save_failed_run
from stockwright.roles import role_arguments, run_role
from stockwright.sending import delete_old, wake_queues
from stockwright.settings import Settings
from stockwright.site_upkeep import SiteUpkeep
from stockwright.upkeep import Upkeep
from stockwright.weighing import weigh_assumptions

LOG = structlog.get_logger("stockwright.working")

_HOUR_S = 3600.0
_MINUTE_S = 60.0
_OFTEN_S = 2.0
_UNINSTALLS_EVERY_S = 5.0
_PRIVACY_EVERY_S = 5.0
_IMPORTS_EVERY_S = 2.0
_STATISTICS_EVERY_S = 60.0


async def work(settings: Settings, dsn: str, stop: asyncio.Event) -> None:
    """Run keys until `stop` is set."""
    LOG.info("the worker runs", concurrency=settings.worker_concurrency)
    async with open_deps(settings, dsn, name="worker", pool_size=settings.worker_pool_size) as deps:
        worker = WorkerDeps(
            dsn=dsn,
            pool=deps.database,
            handle_key=partial(handle_key, deps),
            now=utc_now,
            save_failed_run=partial(save_failed_run, deps),
            chores=_chores(deps, settings),
        )
        await keep_working(worker, _limits(settings), stop=stop)


def _limits(settings: Settings) -> WorkerLimits:
    return WorkerLimits(
        concurrency=settings.worker_concurrency,
        poll_interval_s=settings.poll_interval_s,
        stop_limit_s=settings.stop_limit_s,
        silence_limit_s=settings.silence_limit_s,
        sweep_every_s=settings.sweep_every_s,
        retry_limit=settings.retry_limit,
        keep=Retention(
            events=timedelta(days=settings.keep_events_days),
            runs=timedelta(days=settings.keep_runs_days),
            deliveries=timedelta(days=settings.keep_deliveries_days),
        ),
    )


def _chores(deps: Deps, settings: Settings) -> list[Chore]:
    upkeep = Upkeep(deps=deps, public_url=settings.public_url)
    site = SiteUpkeep(deps=deps)
    people = PeopleUpkeep(deps=deps)
    offers = OfferUpkeep(deps=deps)
    often_s = settings.reconcile_every_s
    return [
        Chore(name="webhook subscriptions", every_s=_MINUTE_S, run=upkeep.repair_subscriptions),
        Chore(name="shops", every_s=_MINUTE_S, run=upkeep.refresh_shops),
        Chore(name="uninstalled shops", every_s=_UNINSTALLS_EVERY_S, run=upkeep.close_uninstalled),
        Chore(
            name="privacy webhooks", every_s=_PRIVACY_EVERY_S, run=partial(compliance.answer_webhooks, deps)
        ),
        Chore(name="imports of people", every_s=_IMPORTS_EVERY_S, run=partial(importing.go_on, deps)),
        Chore(name="people kept", every_s=_HOUR_S, run=people.keep),
        Chore(name="prices", every_s=_HOUR_S, run=people.read_prices),
        Chore(name="paused shops", every_s=often_s, run=upkeep.look_at_paused),
        Chore(name="mail queues", every_s=settings.sweep_every_s, run=partial(wake_queues, deps)),
        Chore(name="waves", every_s=settings.sweep_every_s, run=partial(wake_waves, deps)),
        Chore(
            name="old mail",
            every_s=_HOUR_S,
            run=partial(delete_old, deps, keep=timedelta(days=settings.keep_messages_days)),
        ),
        Chore(name="reconciliation", every_s=often_s, run=upkeep.reconcile),
        Chore(
            name="assumed outcomes",
            every_s=max(_MINUTE_S, settings.order_lag_s),
            run=partial(weigh_assumptions, deps),
        ),
        Chore(name="schedules of offers", every_s=_OFTEN_S, run=offers.keep_schedules),
        Chore(name="orders for limits", every_s=_OFTEN_S, run=offers.count_orders),
        Chore(name="offers in themes", every_s=_OFTEN_S, run=offers.tell_themes),
        Chore(name="statistics", every_s=_STATISTICS_EVERY_S, run=site.count),
        Chore(name="old sessions", every_s=_HOUR_S, run=site.forget),
        Chore(name="old bounces", every_s=_HOUR_S, run=partial(bouncing.delete_old, deps)),
        *_mailbox(deps, settings),
    ]


def _mailbox(deps: Deps, settings: Settings) -> list[Chore]:
    """Mail that came back is read where there is a mailbox for it."""
    mailbox = bouncing.bounce_mailbox(settings)
    if mailbox is None:
        return []

    async def read() -> None:
        await bouncing.read_mailbox(deps, mailbox)

    return [Chore(name="returned mail", every_s=settings.bounce_imap_every_s, run=read)]


if __name__ == "__main__":
    sys.exit(run_role(work, role_arguments(sys.argv[1:])))
