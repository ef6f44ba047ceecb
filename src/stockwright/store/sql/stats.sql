-- counted_until: the newest hour that was counted
select max(hour) from hourly;

-- count_hours: count what happened since the start of an hour; counting again gives the same
insert into hourly (shop_id, what, hour, count, last_at)
select shop_id, 'events', date_trunc('hour', received_at, 'UTC'), count(*), max(received_at)
from events where received_at >= %(since)s group by 1, 3
union all
select shop_id, 'webhooks', date_trunc('hour', received_at, 'UTC'), count(*), max(received_at)
from events where received_at >= %(since)s and source = 'shopify' group by 1, 3
union all
select shop_id, 'runs', date_trunc('hour', started_at, 'UTC'), count(*), max(started_at)
from runs where started_at >= %(since)s group by 1, 3
union all
select shop_id, 'failed_runs', date_trunc('hour', started_at, 'UTC'), count(*), max(started_at)
from runs where started_at >= %(since)s and state = 'failed' group by 1, 3
union all
select shop_id, 'done:' || kind, date_trunc('hour', finished_at, 'UTC'), count(*), max(finished_at)
from effects where finished_at >= %(since)s and state = 'done' group by 1, 2, 3
union all
select shop_id, 'mails', date_trunc('hour', sent_at, 'UTC'), count(*), max(sent_at)
from messages where sent_at >= %(since)s and state = 'sent' group by 1, 3
on conflict (shop_id, what, hour) do update set count = excluded.count, last_at = excluded.last_at;

-- delete_hours: statistics that nobody looks at any more
delete from hourly where hour < %(before)s;

-- series: counts per bucket (hour or day of a time zone) over shops or of one
select what, date_trunc(%(bucket)s, hour, %(zone)s) as at, sum(count)::bigint as count
from hourly
where hour >= %(since)s and what = any(%(whats)s) and (%(shop_id)s::bigint is null or shop_id = %(shop_id)s)
group by 1, 2 order by 2, 1;

-- shops_now: how each shop, or one, stands at this moment
select s.shop_id, s.domain, s.name, s.status, s.status_reason, s.timezone, s.created_at,
       greatest(fresh.last_at, counted.last_at) as last_webhook_at,
       waiting.count as backlog, waiting.lag_s,
       failed.count as failed_runs,
       pooled.count as pools, frozen.count as frozen, doubting.count as in_doubt, assumed.count as assumed,
       coalesce(budget.points, 0) as budget_points, coalesce(budget.capacity, 0) as budget_capacity,
       coalesce(budget.blocked, false) as budget_blocked,
       installed.enabled as automations_enabled, installed.count as automations, subscribed.problems as webhook_problems,
       coalesce((select q.stop_reason from mail_queues q where q.shop_id = s.shop_id and q.stopped_at is not null), '')
           as mail_stop_reason,
       (select count(*) from offers o where o.shop_id = s.shop_id and o.problem <> '') as offers_failing,
       people.count as people, asked.count as privacy_requests, asked.due_at as privacy_due_at
from shops s
cross join lateral (
    select max(received_at) as last_at from events e
    where e.received_at > %(now)s::timestamptz - interval '5 minutes' and e.shop_id = s.shop_id and e.source = 'shopify'
) fresh
cross join lateral (
    select max(last_at) as last_at from hourly h where h.shop_id = s.shop_id and h.what = 'webhooks'
) counted
cross join lateral (
    select count(*) as count,
           greatest(0, coalesce(extract(epoch from %(now)s::timestamptz - min(due_at)), 0))::float8 as lag_s
    from work w where w.shop_id = s.shop_id and w.done_at is null and w.due_at <= %(now)s
) waiting
cross join lateral (
    select count(*) as count from runs r
    where r.shop_id = s.shop_id and r.state = 'failed' and r.started_at > %(now)s::timestamptz - interval '24 hours'
) failed
cross join lateral (
    select count(*) as count from (select from pools p where p.shop_id = s.shop_id limit 10001) some_pools
) pooled
cross join lateral (
    select count(*) as count from pools p where p.shop_id = s.shop_id and p.status = 'frozen'
) frozen
cross join lateral (
    select count(*) as count from pools p where p.shop_id = s.shop_id and p.in_doubt
) doubting
cross join lateral (
    select coalesce(sum(p.assumed), 0)::bigint as count from pools p where p.shop_id = s.shop_id and p.assumed > 0
) assumed
cross join lateral (
    select count(*) as count, count(*) filter (where a.enabled) as enabled
    from automations a where a.shop_id = s.shop_id
) installed
cross join lateral (
    select count(*) filter (where ws.problem <> '') as problems
    from webhook_subscriptions ws where ws.shop_id = s.shop_id
) subscribed
cross join lateral (
    select count(*) as count from (
        select from subscribers p
        where p.shop_id = s.shop_id and p.state in ('unconfirmed', 'pending', 'queued') limit 100001
    ) some_people
) people
cross join lateral (
    select count(*) as count, min(c.due_at) as due_at from compliance_requests c
    where c.shop_id = s.shop_id and c.done_at is null and c.note <> ''
) asked
left join lateral (
    select least(b.capacity, b.available + b.restore_rate * greatest(0, extract(epoch from now() - b.as_of)::float8))
               as points, b.capacity, b.blocked_until > now() as blocked
    from budgets b where b.shop_id = s.shop_id
) budget on true
where %(shop_id)s::bigint is null or s.shop_id = %(shop_id)s
order by s.domain limit %(limit)s;
