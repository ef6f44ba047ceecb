-- pools_frozen_first: one page of shared stocks for a person: frozen ones, then the others, each by id
with wanted as (
    (select 0 as rank, p.* from pools p
     where not %(in_others)s and p.status = 'frozen'
       and (%(shop_id)s::bigint is null or p.shop_id = %(shop_id)s)
       and (%(product_id)s::text is null or p.product_id = %(product_id)s)
       and (%(pool_ids)s::text[] is null or p.pool_id = any(%(pool_ids)s))
       and (not %(assumed)s or p.assumed > 0)
       and (%(after)s::text is null or p.pool_id > %(after)s)
     order by p.pool_id limit %(limit)s)
    union all
    (select 1 as rank, p.* from pools p
     where not %(only_frozen)s and p.status <> 'frozen'
       and (%(shop_id)s::bigint is null or p.shop_id = %(shop_id)s)
       and (%(product_id)s::text is null or p.product_id = %(product_id)s)
       and (%(pool_ids)s::text[] is null or p.pool_id = any(%(pool_ids)s))
       and (not %(assumed)s or p.assumed > 0)
       and (not %(in_others)s or %(after)s::text is null or p.pool_id > %(after)s)
     order by p.pool_id limit %(limit)s)
)
select shop_id, pool_id, automation_id, product_id, location_id, title, version, state, stock, status, reason,
       in_doubt, assumed, wake_at, updated_at
from wanted
order by rank, pool_id
limit %(limit)s;

-- title_words: what a search looks for, cut into words as titles are
select title_words(%(text)s);

-- few_with_words: stocks whose titles have words that begin so, in any order, up to a limit
select pool_id from pool_words where words @@ %(words)s::tsquery limit %(limit)s;

-- pools_by_words: the same page, of the many stocks whose titles have words that begin so
with wanted as (
    (select 0 as rank, p.* from pools p join pool_words w using (shop_id, pool_id)
     where not %(in_others)s and p.status = 'frozen' and w.words @@ %(words)s::tsquery
       and (%(shop_id)s::bigint is null or p.shop_id = %(shop_id)s)
       and (not %(assumed)s or p.assumed > 0)
       and (%(after)s::text is null or p.pool_id > %(after)s)
     order by p.pool_id limit %(limit)s)
    union all
    (select 1 as rank, p.* from pool_words w join pools p on p.pool_id = w.pool_id
     where not %(only_frozen)s and p.status <> 'frozen' and w.words @@ %(words)s::tsquery
       and (%(shop_id)s::bigint is null or p.shop_id = %(shop_id)s)
       and (not %(assumed)s or p.assumed > 0)
       and (not %(in_others)s or %(after)s::text is null or w.pool_id > %(after)s)
     order by w.pool_id limit %(limit)s)
)
select shop_id, pool_id, automation_id, product_id, location_id, title, version, state, stock, status, reason,
       in_doubt, assumed, wake_at, updated_at
from wanted
order by rank, pool_id
limit %(limit)s;
