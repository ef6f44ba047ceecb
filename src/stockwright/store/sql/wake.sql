-- wake: one waiting job per key, due no later than asked
select wake_keys(%(shop_ids)s::bigint[], %(automation_ids)s::text[], %(subjects)s::text[], %(ats)s::timestamptz[]);

-- wake_next: wake a key when it has to run next, by its waiting work and its own wake-up time
-- A job that waits for that work already keeps its rank: an echo that came during the run is no more urgent after it.
select wake_keys(
    array[%(shop_id)s::bigint], array[%(automation_id)s::text], array[%(subject)s::text], array[next.at],
    array[case when next.for_work and exists (
        select from procrastinate_jobs
        where queueing_lock = concat_ws(':', %(shop_id)s::bigint, %(automation_id)s::text, %(subject)s::text)
          and status = 'todo'
    ) then -1 else 0 end]
)
from (
    select least(w.due_at, case
        when k.wake_at > %(now)s::timestamptz and k.wake_at <= now() then now() + (k.wake_at - %(now)s::timestamptz)
        else k.wake_at
    end) as at, w.due_at <= coalesce(k.wake_at, 'infinity') as for_work
    from (
        select min(due_at) as due_at from work
        where shop_id = %(shop_id)s and automation_id = %(automation_id)s and subject = %(subject)s
          and done_at is null
    ) w
    left join keys k
        on k.shop_id = %(shop_id)s and k.automation_id = %(automation_id)s and k.subject = %(subject)s
) next
where next.at is not null;

-- put_echoes_last: see the function
select put_echoes_last(%(shop_id)s, %(automation_id)s, %(subject)s);

-- sweep: wake every key that is due, or whose pool waits for an answer, and has no job; a lost job costs one period
with due as (
    select shop_id, automation_id, subject from work where done_at is null and due_at <= now()
    union
    select shop_id, automation_id, subject from keys where wake_at <= now()
    union
    select shop_id, automation_id, subject from keys where retry_at <= now()
    union
    select shop_id, automation_id, subject from effects where state = 'pending' and coalesce(next_at, now()) <= now()
    union
    select p.shop_id, p.automation_id, p.product_id from pools p join shops h using (shop_id)
    where p.in_doubt and p.status = 'active' and h.status = 'active'
), lost as (
    select d.shop_id, d.automation_id, d.subject
    from due d join automations a using (shop_id, automation_id)
    where a.enabled and not exists (
        select from procrastinate_jobs j
        where j.queueing_lock = d.shop_id || ':' || d.automation_id || ':' || d.subject and j.status = 'todo'
    ) and not exists (
        select from procrastinate_jobs j
        where j.lock = d.shop_id || ':' || d.automation_id || ':' || d.subject and j.status = 'doing'
    )
    order by 1, 2, 3 limit %(limit)s
)
select count(*) as found,
       wake_keys(array_agg(shop_id), array_agg(automation_id), array_agg(subject), array_fill(null::timestamptz, array[count(*)::integer]))
from lost;

-- without_scans: see plan_by_indexes
select set_config(way, 'off', false)
from unnest(array['enable_seqscan', 'enable_sort', 'enable_hashjoin', 'enable_mergejoin']) as way;

-- with_kept_plans: see plan_by_indexes
select set_config('plan_cache_mode', 'force_generic_plan', false);

-- without_disk: see ready_for_engine
select set_config('synchronous_commit', 'off', false);

-- without_scans_here: the same, to the end of the transaction
select set_config('enable_seqscan', 'off', true);

-- wake_in_doubt: after a start, look at once at every pool whose correction has no known answer
select count(*) as found,
       wake_keys(array_agg(shop_id), array_agg(automation_id), array_agg(product_id), array_fill(null::timestamptz, array[count(*)::integer]))
from (
    select p.shop_id, p.automation_id, p.product_id
    from pools p join automations a using (shop_id, automation_id) join shops h using (shop_id)
    where p.in_doubt and a.enabled and h.status = 'active' and not exists (
        select from keys k
        where k.shop_id = p.shop_id and k.automation_id = p.automation_id and k.subject = p.product_id
          and k.failures > %(at_once)s and k.retry_at > now()
    )
    order by p.updated_at limit %(limit)s
) p;

-- put_doubts_first: jobs of pools with a lost answer pass all others, those that nobody has looked into before the rest
with doubted as (
    select p.shop_id || ':' || p.automation_id || ':' || p.product_id as lock,
           max(case when p.state #>> '{intent,first_read}' is null then 2 else 1 end) as priority
    from pools p where p.in_doubt and p.status = 'active' group by 1
), passing as (
    select j.id, d.priority from doubted d join procrastinate_jobs j on j.queueing_lock = d.lock and j.status = 'todo'
    where j.priority < d.priority order by j.queueing_lock for update of j skip locked
)
update procrastinate_jobs j set priority = p.priority from passing p where j.id = p.id;

-- waits_for_first_look: whether a pool of this key has a lost answer that nobody has looked into
select exists (
    select from pools p
    where p.shop_id = %(shop_id)s and p.automation_id = %(automation_id)s and p.product_id = %(subject)s
      and p.in_doubt and p.status = 'active' and p.state #>> '{intent,first_read}' is null
);

-- workers_at_work: every worker that has running jobs, null for one that is no longer registered
select distinct worker_id from procrastinate_jobs where status = 'doing' limit 1000;

-- running_of: the running jobs of one worker
select id from procrastinate_jobs where status = 'doing' and worker_id = %(worker_id)s order by id limit 1000;

-- hold_life: taken by a worker for as long as its connection lives
select pg_advisory_lock(%(kind)s::integer, %(worker_id)s::integer);

-- try_life: true when no living worker holds it; ours to the end of the transaction
select pg_try_advisory_xact_lock(%(kind)s::integer, %(worker_id)s::integer);

-- try_lead: true when no other connection leads; ours for as long as the connection lives
select pg_try_advisory_lock(%(kind)s::integer, 0);

-- silence: end the connection of workers that gave no sign of life for too long; with it goes their lock
select pg_terminate_backend(l.pid), w.id
from procrastinate_workers w
join pg_locks l on l.locktype = 'advisory' and l.classid = %(kind)s::integer::oid and l.objid::bigint = w.id and l.granted
    and l.database = (select oid from pg_database where datname = current_database())
where w.last_heartbeat < now() - %(limit_s)s * interval '1 second' and w.id <> %(self)s
order by w.id limit 100;

-- take_dead_job: one running job of a worker that is known to be dead
select id, args from procrastinate_jobs
where status = 'doing' and worker_id is not distinct from %(worker_id)s
  and (%(job_ids)s::bigint[] is null or id = any(%(job_ids)s))
order by id limit 1 for update skip locked;

-- close_job: a dead worker's job ends here; its key is woken by a job of its own
select procrastinate_finish_job_v1(%(job_id)s, 'failed', false);

-- forget_worker: its jobs are closed
delete from procrastinate_workers where id = %(worker_id)s;

-- forget_silent_workers: rows that a kill left behind
delete from procrastinate_workers where last_heartbeat < %(before)s;

-- delete_ended_jobs: failed and aborted jobs are kept for a while, to be looked at
delete from procrastinate_jobs where id in (
    select j.id from procrastinate_jobs j
    where j.status in ('succeeded', 'failed', 'cancelled', 'aborted')
      and not exists (select from procrastinate_events e where e.job_id = j.id and e.at >= %(before)s)
    order by j.id limit %(limit)s
);

-- backlog: jobs by state
select count(*) filter (where status = 'todo') as waiting,
       count(*) filter (where status = 'doing') as running,
       count(*) filter (where status = 'failed') as failed
from procrastinate_jobs;
