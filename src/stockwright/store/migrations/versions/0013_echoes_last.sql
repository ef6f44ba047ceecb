-- Our own writes are told to us before their answer is booked, when nobody can say yet that they are echoes. Once it is
-- booked, a key that waits for nothing else goes behind all others; see docs/decisions/0025.
create function put_echoes_last(shop bigint, automation text, product text) returns void language plpgsql as $$
declare
    waiting bigint;
begin
    select id into waiting from procrastinate_jobs
    where queueing_lock = shop || ':' || automation || ':' || product and status = 'todo' and priority = 0
    for update;
    if waiting is null then
        return;
    end if;
    -- A statement of its own: it sees what was stored while we waited for the job, and who comes later waits for us.
    update procrastinate_jobs set priority = -1
    where id = waiting and not exists (
        select from keys k
        where k.shop_id = shop and k.automation_id = automation and k.subject = product
          and (k.wake_at is not null or k.retry_at is not null)
    ) and not exists (
        select from work w join events e on e.shop_id = w.shop_id and e.event_id = w.event_id
        where w.shop_id = shop and w.automation_id = automation and w.subject = product and w.done_at is null
          and not exists (
            select from pool_members m join pools p on p.shop_id = m.shop_id and p.pool_id = m.pool_id
            where e.topic = 'shopify/inventory_levels/update' and m.shop_id = e.shop_id and m.item_id = e.subject
              and m.location_id = 'gid://shopify/Location/' || (e.payload ->> 'location_id')
              and m.expected::text = e.payload ->> 'available'
              and p.automation_id = automation and p.status = 'active' and not p.in_doubt
          )
    );
end
$$;

-- As the function of step 10, which it replaces: what is raised from among the echoes is made anew, at the end of those that
-- it joins. Jobs of one rank are taken in the order of their ids, and those of echoes are old.
create or replace function wake_keys(
    shop_ids bigint[], automation_ids text[], subjects text[], ats timestamptz[], priorities integer[]
)
returns void language plpgsql as $$
declare
    moved_job bigint;
begin
    if 0 <= any (priorities) then
        -- All of them, in their order, before any is removed: two writers with each other's keys cannot deadlock.
        perform from procrastinate_jobs job
        where job.status = 'todo' and job.queueing_lock in (
            select k.shop_id || ':' || k.automation_id || ':' || k.subject
            from unnest(shop_ids, automation_ids, subjects) as k (shop_id, automation_id, subject)
        )
        order by job.queueing_lock for update;
        delete from procrastinate_jobs job
        where job.status = 'todo' and job.priority < 0 and job.queueing_lock in (
            select k.shop_id || ':' || k.automation_id || ':' || k.subject
            from unnest(shop_ids, automation_ids, subjects, ats, priorities)
                 as k (shop_id, automation_id, subject, at, priority)
            where k.priority >= 0 and coalesce(k.at, '-infinity') <= now()
        );
    end if;
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
