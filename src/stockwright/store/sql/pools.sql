-- pools_of_subject: the open pools of one product under one automation
select shop_id, pool_id, automation_id, product_id, location_id, title, version, state, stock, status, reason,
       in_doubt, assumed, wake_at, updated_at
from pools
where shop_id = %(shop_id)s and automation_id = %(automation_id)s and product_id = any(%(product_ids)s)
order by pool_id
limit 100000;

-- insert_pool: adopt; a second pool at the same place is refused by the index
insert into pools (shop_id, pool_id, automation_id, product_id, location_id, title, version, state, stock, status,
                   reason, in_doubt, assumed, wake_at, updated_at)
values (%(shop_id)s, %(pool_id)s, %(automation_id)s, %(product_id)s, %(location_id)s, %(title)s, %(version)s,
        %(state)s, %(stock)s, %(status)s, %(reason)s, %(in_doubt)s, %(assumed)s, %(wake_at)s, %(updated_at)s)
on conflict do nothing
returning true;

-- update_pool: the next state, if nobody was faster
update pools
set title = %(title)s, version = %(version)s, state = %(state)s, stock = %(stock)s, status = %(status)s,
    reason = %(reason)s, in_doubt = %(in_doubt)s, assumed = %(assumed)s, wake_at = %(wake_at)s,
    updated_at = %(updated_at)s
where shop_id = %(shop_id)s and pool_id = %(pool_id)s and version = %(was_version)s
returning true;

-- set_wake: when to come back to a pool whose state did not change
update pools set wake_at = %(wake_at)s
where shop_id = %(shop_id)s and pool_id = %(pool_id)s and version = %(version)s;

-- delete_pool: the pool is dissolved; its journal stays
delete from pools where shop_id = %(shop_id)s and pool_id = %(pool_id)s and version = %(was_version)s
returning true;

-- dissolve_asleep: pools at rest of disabled automations, whose levels another needs; the journal says why it ends
with gone as (
    delete from pools p using automations a
    where p.shop_id = %(shop_id)s and p.pool_id = any(%(pool_ids)s) and p.status = 'active' and not p.in_doubt
      and a.shop_id = p.shop_id and a.automation_id = p.automation_id and not a.enabled
    returning p.shop_id, p.pool_id, p.version
)
insert into journal (shop_id, pool_id, seq, at, kind, data, run_id)
select shop_id, pool_id, version + 1, %(at)s, 'dissolved', %(end)s, %(run_id)s from gone;

-- dissolve_all: every pool of an automation that goes; the journal says why it ends
with gone as (
    delete from pools where shop_id = %(shop_id)s and automation_id = %(automation_id)s
    returning shop_id, pool_id, version
)
insert into journal (shop_id, pool_id, seq, at, kind, data)
select shop_id, pool_id, version + 1, %(at)s, 'dissolved', %(end)s from gone;

-- shared_products: what a scan of all products must have seen, or look at one by one
select distinct product_id from pools
where shop_id = %(shop_id)s and automation_id = %(automation_id)s and (status = 'active' or in_doubt)
order by product_id
limit 10000000;

-- replace_members: the claims of a pool, as its state says; none for a pool that was dissolved meanwhile
with kept as (
    select m.item_id, m.location_id, m.title, m.expected
    from unnest(%(item_ids)s::text[], %(location_ids)s::text[], %(titles)s::text[], %(expected)s::bigint[])
         as m (item_id, location_id, title, expected)
), gone as (
    delete from pool_members p
    where p.shop_id = %(shop_id)s and p.pool_id = %(pool_id)s
      and not exists (select from kept k where k.item_id = p.item_id and k.location_id = p.location_id)
)
insert into pool_members (shop_id, item_id, location_id, pool_id, title, expected)
select %(shop_id)s, k.item_id, k.location_id, %(pool_id)s, k.title, k.expected from kept k
where exists (select from pools p where p.shop_id = %(shop_id)s and p.pool_id = %(pool_id)s)
order by k.item_id, k.location_id
on conflict (shop_id, item_id, location_id) do update
set expected = excluded.expected, title = excluded.title
where pool_members.pool_id = excluded.pool_id
  and (pool_members.expected, pool_members.title) is distinct from (excluded.expected, excluded.title);

-- claims: who holds these levels now
select m.item_id, m.location_id, m.pool_id, p.automation_id, a.name as automation_name, p.title,
       a.enabled as is_enabled, p.status = 'active' and not p.in_doubt as is_at_rest
from pool_members m
join pools p using (shop_id, pool_id)
join automations a on a.shop_id = p.shop_id and a.automation_id = p.automation_id
where m.shop_id = %(shop_id)s and m.item_id = any(%(item_ids)s)
order by m.item_id, m.location_id
limit 100000;

-- append_journal: the history only grows
insert into journal (shop_id, pool_id, seq, at, kind, data, run_id)
select %(shop_id)s, %(pool_id)s, j.seq, j.at, j.kind, j.data, %(run_id)s
from unnest(%(seqs)s::bigint[], %(ats)s::timestamptz[], %(kinds)s::text[], %(datas)s::jsonb[]) as j (seq, at, kind, data)
order by j.seq;

-- journal_of_pool: the history of a pool in order
select seq, at, kind, data, run_id from journal
where shop_id = %(shop_id)s and pool_id = %(pool_id)s and seq > %(after)s
order by seq
limit %(limit)s;

-- newest_journal_of_pool: the newest part of a pool's history, newest first
select seq, at, kind, data, run_id from journal
where shop_id = %(shop_id)s and pool_id = %(pool_id)s
order by seq desc
limit %(limit)s;

-- list_pools: pools of a shop for a person, frozen ones first
select shop_id, pool_id, automation_id, product_id, location_id, title, version, state, stock, status, reason,
       in_doubt, assumed, wake_at, updated_at
from pools
where shop_id = %(shop_id)s and (%(product_id)s::text is null or product_id = %(product_id)s)
  and (not %(frozen)s or status = 'frozen')
order by status desc, updated_at desc, pool_id
limit %(limit)s;

-- get_pool: one pool, by its id alone
select shop_id, pool_id, automation_id, product_id, location_id, title, version, state, stock, status, reason,
       in_doubt, assumed, wake_at, updated_at
from pools where pool_id = %(pool_id)s;

-- with_assumptions: pools with assumed outcomes that orders were not asked about in the end
select p.pool_id
from pools p join shops s using (shop_id)
where p.assumed > 0 and not p.in_doubt and s.status = 'active' and 'read_orders' = any(s.scopes)
  and jsonb_array_length(coalesce(p.state -> 'assumptions', '[]')) > 0
order by p.updated_at
limit %(limit)s;

-- count_members: how many levels a pool holds
select count(*) from pool_members where shop_id = %(shop_id)s and pool_id = %(pool_id)s;

-- members_of_pools: the levels that pools hold
select pool_id, item_id, location_id, title, expected from pool_members
where shop_id = %(shop_id)s and pool_id = any(%(pool_ids)s)
order by pool_id, item_id, location_id
limit 100000;

-- count_pools: how many pools a shop has, and how many need a person
select count(*) as pools, count(*) filter (where status = 'frozen') as frozen,
       count(*) filter (where in_doubt) as in_doubt, coalesce(sum(assumed), 0)::bigint as assumed
from pools where shop_id = %(shop_id)s;
