-- has_versions: was this database ever migrated
select to_regclass('alembic_version') is not null;

-- schema_version: the newest migration step that was applied
select version_num from alembic_version;

-- waiting: events that wait for a run, and the age in seconds of the oldest that is due
select count(*) as waiting, coalesce(extract(epoch from now() - min(due_at) filter (where due_at <= now())), 0)::double precision as oldest_s
from work where done_at is null;

-- failing_keys: keys whose last run ended in an unexpected error
select count(*) from keys where failures > 0;

-- runs_of_last_hour: runs by state, and the requests they made
select state, count(*) as runs, coalesce(sum(requests), 0)::bigint as requests
from runs where started_at > now() - interval '1 hour' group by state order by state;

-- pools_by_shop: pools that a person may have to look at
select s.shop_id, s.domain, s.status, s.status_reason, count(p.pool_id) as pools,
       count(p.pool_id) filter (where p.status = 'frozen') as frozen,
       count(p.pool_id) filter (where p.in_doubt) as in_doubt,
       coalesce(sum(p.assumed), 0)::bigint as assumed
from shops s left join pools p using (shop_id)
group by s.shop_id order by s.domain limit 1000;
