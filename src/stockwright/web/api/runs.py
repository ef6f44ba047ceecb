"""/runs: what was decided, why, what came of it; repeat a run, cancel a scan."""

from datetime import UTC, datetime

from pydantic import Field

from stockwright import steering
from stockwright.explaining import RunStory as Story
from stockwright.explaining import explain
from stockwright.gathering import load_story
from stockwright.model import Json, JsonObject
from stockwright.schedules import time_zone
from stockwright.store import api_reads, runs
from stockwright.store.api_reads import RunLine
from stockwright.store.database import Connection
from stockwright.store.ids import earliest_id
from stockwright.store.runs import RunRow
from stockwright.web.api import schemas
from stockwright.web.api.operations import AnyOperation, Call, Nothing, Operation, PageQuery, Reply
from stockwright.web.api.paging import decode
from stockwright.web.api.problems import Kind, not_found
from stockwright.web.api.reading import QueryMoment
from stockwright.web.api.shops import shop_named

_TAG = "Runs"
_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)  # before the first run of any installation


class RunsQuery(PageQuery):
    """Which runs."""

    automation: str | None = Field(
        default=None, max_length=100, description="Only those of this automation (its id)."
    )
    shop: str | None = Field(
        default=None, max_length=255, description="Only those for this shop (its domain)."
    )
    state: schemas.RunState | None = Field(default=None, description="Only those in this state.")
    since: QueryMoment | None = Field(default=None, description="Only those started at or after this time.")
    search: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Only those with this text in their title, subject or reason, in any case. A page looks at "
        "5,000 runs: it may be short or empty and still have a next one.",
    )


async def list_runs(call: Call[RunsQuery, Nothing]) -> Reply:
    """One page of runs, newest first."""
    query = call.query
    before = decode(call.url_path, query.cursor)
    since = max(query.since, _LONG_AGO) if query.since else None
    async with call.api.deps.database.connection() as conn:
        shop = await shop_named(conn, query.shop) if query.shop is not None else None
        found = await api_reads.runs_before(
            conn,
            automation_id=query.automation,
            shop_id=shop.shop_id if shop else None,
            state=query.state,
            from_id=earliest_id("run", since) if since else None,
            since=since,
            search=query.search,
            before=before,
            limit=query.limit,
        )
    items = [_run(line) for line in found.runs]
    more = call.next_page(found.go_on) if found.go_on is not None else None
    return Reply(content=schemas.RunPage(items=items, next=more))


async def get_run(call: Call[Nothing, Nothing]) -> Reply:
    """One run as a story."""
    async with call.api.deps.database.connection() as conn:
        row = await _row(conn, call.path["run_id"])
        found = await api_reads.runs_before(conn, run_id=row.run_id, limit=1)
        story = await load_story(conn, row)
    line = found.runs[0]
    return Reply(content=_story(line, story))


async def repeat_run(call: Call[Nothing, Nothing]) -> Reply:
    """Put a run's events into the inbox once more."""
    async with call.api.deps.database.connection() as conn:
        row = await _row(conn, call.path["run_id"])
    event_ids = await steering.repeat(call.api.deps, row, by=call.actor)
    return Reply(content=schemas.Started(events=list(event_ids), automation=row.automation_id))


async def cancel_run(call: Call[Nothing, Nothing]) -> Reply:
    """Ask a scan to stop."""
    async with call.api.deps.database.connection() as conn:
        row = await _row(conn, call.path["run_id"])
    await steering.cancel(call.api.deps, row, by=call.actor)
    async with call.api.deps.database.connection() as conn:
        found = await api_reads.runs_before(conn, run_id=row.run_id, limit=1)
    return Reply(content=_run(found.runs[0]))


async def _row(conn: Connection, run_id: str) -> RunRow:
    row = await runs.get(conn, run_id)
    if row is None:
        raise not_found(
            f"There is no run {run_id!r}. Old runs are deleted after a while. See GET /api/v1/runs."
        )
    return row


def _run(line: RunLine) -> schemas.Run:
    return schemas.Run.model_validate(
        {
            **vars(line),
            "run": line.run_id,
            "about": line.title or line.subject,
            "automation": line.automation_id,
        }
    )


def _story(line: RunLine, story: Story) -> schemas.RunStory:
    zone = time_zone("UTC")
    assert zone is not None, "UTC is known everywhere"
    return schemas.RunStory(
        run=_run(line),
        plan=_object(story.run.plan),
        input=_object(story.run.input),
        events=[schemas.Event.model_validate(vars(event)) for event in story.events],
        effects=[schemas.Effect.model_validate(vars(effect)) for effect in story.effects],
        attempts=[schemas.Attempt.model_validate(vars(attempt)) for attempt in story.attempts],
        ledger={
            pool_id: [schemas.JournalLine.model_validate(vars(row)) for row in rows]
            for pool_id, rows in story.history.items()
        },
        told=explain(story, zone),
    )


def _object(value: JsonObject | None) -> dict[str, Json] | None:
    return None if value is None else dict(value)


OPERATIONS: tuple[AnyOperation, ...] = (
    Operation(
        id="listRuns",
        method="GET",
        path="/runs",
        tag=_TAG,
        scope="read",
        summary="List the runs, newest first.",
        handler=list_runs,
        query=RunsQuery,
        body=Nothing,
        answer=schemas.RunPage,
        problems=(Kind.NOT_FOUND,),
    ),
    Operation(
        id="getRun",
        method="GET",
        path="/runs/{run_id}",
        tag=_TAG,
        scope="read",
        summary="Show a run with its events, effects, attempts and journal entries, and in words.",
        description="Times inside `told` are UTC.",
        handler=get_run,
        query=Nothing,
        body=Nothing,
        answer=schemas.RunStory,
    ),
    Operation(
        id="retryRun",
        method="POST",
        path="/runs/{run_id}/retry",
        tag=_TAG,
        scope="write",
        status=202,
        summary="Put a run's events into the inbox once more.",
        description="For its automation and subject, due now. The shop is read anew, so nothing is done twice. "
        "When the events are not kept any more, the subject is looked at afresh.",
        handler=repeat_run,
        query=Nothing,
        body=Nothing,
        answer=schemas.Started,
        problems=(Kind.CONFLICT,),
        is_repeatable=True,
    ),
    Operation(
        id="cancelRun",
        method="POST",
        path="/runs/{run_id}/cancel",
        tag=_TAG,
        scope="write",
        status=202,
        summary="Stop a running scan between two of its pages; what it did before stays done.",
        handler=cancel_run,
        query=Nothing,
        body=Nothing,
        answer=schemas.Run,
        problems=(Kind.CONFLICT,),
    ),
)
