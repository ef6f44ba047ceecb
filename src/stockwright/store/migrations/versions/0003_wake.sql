-- How a key is woken. Written against the tables of Procrastinate 3.10; see docs/decisions/0010 and 0012.

-- Makes sure that each key has one waiting job, due no later than asked (null = now).
-- The update locks the waiting job even when it changes nothing: a worker that wants it then waits for
-- our commit, and so reads the work that we wrote in this transaction. `do nothing` would lose it.
-- Jobs are taken in the order of their locks, so that two writers cannot deadlock.
-- PL/pgSQL, because it keeps its plan; an SQL function is planned at every call before PostgreSQL 18.
create function wake_keys(shop_ids bigint[], automation_ids text[], subjects text[], ats timestamptz[])
returns void language plpgsql as $$
declare
    moved_job bigint;
begin
    with keys as (
        select k.shop_id, k.automation_id, k.subject,
               k.shop_id || ':' || k.automation_id || ':' || k.subject as lock,
               min(coalesce(k.at, '-infinity')) as at
        from unnest(shop_ids, automation_ids, subjects, ats) as k (shop_id, automation_id, subject, at)
        group by 1, 2, 3
    ), woken as (
        insert into procrastinate_jobs as job (queue_name, task_name, lock, queueing_lock, args, scheduled_at)
        select 'keys', 'run_key', k.lock, k.lock,
               jsonb_build_object('shop_id', k.shop_id, 'automation_id', k.automation_id, 'subject', k.subject),
               case when k.at > now() then k.at end
        from keys k order by k.lock
        on conflict (queueing_lock) where status = 'todo' do update
        set scheduled_at = excluded.scheduled_at
        where job.scheduled_at > coalesce(excluded.scheduled_at, '-infinity')
        returning job.id, job.scheduled_at, job.xmax::text <> '0' as moved
    )
    select min(id) into moved_job from woken where moved and scheduled_at is null;
    -- The engine's trigger tells the workers of an insert, not of an update.
    if moved_job is not null then
        perform pg_notify(
            'procrastinate_queue_v1#keys', json_build_object('type', 'job_inserted', 'job_id', moved_job)::text
        );
    end if;
end
$$;

-- A job that waited for its key's running job is fetched when that one ends, not at the next poll.
create function ring_for_successor() returns trigger language plpgsql as $$
begin
    if exists (
        select from procrastinate_jobs job
        where job.queueing_lock = old.lock and job.status = 'todo'
          and (job.scheduled_at is null or job.scheduled_at <= now())
    ) then
        perform pg_notify(
            'procrastinate_queue_v1#' || old.queue_name,
            json_build_object('type', 'job_inserted', 'job_id', old.id)::text
        );
    end if;
    return null;
end
$$;

create trigger stockwright_job_deleted after delete on procrastinate_jobs
for each row when (old.status = 'doing') execute function ring_for_successor();

create trigger stockwright_job_ended after update of status on procrastinate_jobs
for each row when (old.status = 'doing' and new.status <> 'doing') execute function ring_for_successor();
