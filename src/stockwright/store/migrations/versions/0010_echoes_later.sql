-- Keys that only hear back what we wrote ourselves wait behind all others; see docs/decisions/0025.

-- As the function of step 3, which it replaces: each key has one waiting job, due no later and ranked no lower than asked.
create function wake_keys(
    shop_ids bigint[], automation_ids text[], subjects text[], ats timestamptz[], priorities integer[]
)
returns void language plpgsql as $$
declare
    moved_job bigint;
begin
    with keys as (
        select k.shop_id, k.automation_id, k.subject,
               k.shop_id || ':' || k.automation_id || ':' || k.subject as lock,
               min(coalesce(k.at, '-infinity')) as at, max(k.priority) as priority
        from unnest(shop_ids, automation_ids, subjects, ats, priorities)
             as k (shop_id, automation_id, subject, at, priority)
        group by 1, 2, 3
    ), woken as (
        insert into procrastinate_jobs as job
            (queue_name, task_name, lock, queueing_lock, args, scheduled_at, priority)
        select 'keys', 'run_key', k.lock, k.lock,
               jsonb_build_object('shop_id', k.shop_id, 'automation_id', k.automation_id, 'subject', k.subject),
               case when k.at > now() then k.at end, k.priority
        from keys k order by k.lock
        on conflict (queueing_lock) where status = 'todo' do update
        set scheduled_at = case
                when job.scheduled_at > coalesce(excluded.scheduled_at, '-infinity') then excluded.scheduled_at
                else job.scheduled_at
            end,
            priority = greatest(job.priority, excluded.priority)
        where job.scheduled_at > coalesce(excluded.scheduled_at, '-infinity') or job.priority < excluded.priority
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

create or replace function wake_keys(shop_ids bigint[], automation_ids text[], subjects text[], ats timestamptz[])
returns void language plpgsql as $$
begin
    perform wake_keys(shop_ids, automation_ids, subjects, ats, array_fill(0, array[coalesce(cardinality(shop_ids), 0)]));
end
$$;
