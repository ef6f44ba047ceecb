-- shops_after: one page of shops, by domain
select s.shop_id, s.domain, s.name, s.status, s.status_reason, s.plan, s.timezone, s.locations, s.scopes, s.api_url,
       s.on_unknown, s.read_at, s.created_at,
       (select count(*) from pools p where p.shop_id = s.shop_id) as pools,
       (select count(*) from pools p where p.shop_id = s.shop_id and p.status = 'frozen') as frozen
from shops s
where (%(domain)s::text is null or s.domain = %(domain)s) and (%(after)s::text is null or s.domain > %(after)s)
order by s.domain
limit %(limit)s;

-- automations_after: one page of automations, oldest first
select a.automation_id, coalesce(s.domain, '') as shop, a.kind, a.name, a.options, a.topics, a.enabled, a.created_at,
       a.updated_at
from automations a left join shops s using (shop_id)
where (%(automation_id)s::text is null or a.automation_id = %(automation_id)s)
  and (%(shop_id)s::bigint is null or a.shop_id = %(shop_id)s)
  and (%(kind)s::text is null or a.kind = %(kind)s)
  and (%(enabled)s::boolean is null or a.enabled = %(enabled)s)
  and (%(after)s::text is null or a.automation_id > %(after)s)
order by a.automation_id
limit %(limit)s;

-- runs_before: one page of runs, newest first; a search looks at `window` runs and tells the last one it saw
with seen as materialized (
    select shop_id, run_id, automation_id, kind, subject, title, state, because, error, progress, requests, started_at,
           finished_at
    from runs
    where (%(run_id)s::text is null or run_id = %(run_id)s)
      and (%(automation_id)s::text is null or automation_id = %(automation_id)s)
      and (%(shop_id)s::bigint is null or shop_id = %(shop_id)s)
      and (%(state)s::text is null or state = %(state)s)
      and (%(from_id)s::text is null or run_id >= %(from_id)s)
      and (%(since)s::timestamptz is null or started_at >= %(since)s)
      and (%(before)s::text is null or run_id < %(before)s)
    order by run_id desc
    limit %(window)s
), found as (
    select * from seen
    where %(search)s::text is null
       or strpos(lower(title || ' ' || subject || ' ' || because), lower(%(search)s)) > 0
    order by run_id desc
    limit %(limit)s
)
select coalesce(s.domain, '') as shop, f.run_id, f.automation_id, f.kind, f.subject, f.title, f.state, f.because,
       f.error, f.progress, f.requests, f.started_at, f.finished_at,
       (select count(*) from seen) as looked_at, (select min(run_id) from seen) as last_seen
from (select 1) one
left join found f on true
left join shops s on s.shop_id = f.shop_id
order by f.run_id desc;

-- pools_after: one page of shared stocks, by id
select coalesce(s.domain, '') as shop, p.shop_id, p.pool_id, p.automation_id, p.product_id, p.location_id, p.title,
       p.version, p.state, p.stock, p.status, p.reason, p.in_doubt, p.assumed, p.wake_at, p.updated_at
from pools p left join shops s using (shop_id)
where (%(pool_id)s::text is null or p.pool_id = %(pool_id)s)
  and (%(shop_id)s::bigint is null or p.shop_id = %(shop_id)s)
  and (%(product_id)s::text is null or p.product_id = %(product_id)s)
  and (%(status)s::text is null or p.status = %(status)s)
  and (%(after)s::text is null or p.pool_id > %(after)s)
order by p.pool_id
limit %(limit)s;
