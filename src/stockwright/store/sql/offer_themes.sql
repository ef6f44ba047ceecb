-- mark: the theme's copy of a shop's offers is out of date
insert into offer_themes (shop_id) values (%(shop_id)s)
on conflict (shop_id) do update set wanted = offer_themes.wanted + 1, next_at = now(), attempts = 0;

-- get: how far one shop is
select shop_id, wanted, written, digests, attempts, problem, written_at from offer_themes
where shop_id = %(shop_id)s;

-- due: shops at work whose next look or attempt has come, longest first
select t.shop_id, t.wanted, t.written, t.digests, t.attempts, t.problem, t.written_at
from offer_themes t join shops s using (shop_id)
where t.next_at <= %(now)s and s.status = 'active'
order by t.next_at, t.shop_id limit %(limit)s;

-- shown: what active offers with Notify Me cover, and the smallest of their limits per order
select i.product_id, i.variant_id, min(o.limit_per_order) from offers o
join offer_items i on i.shop_id = o.shop_id and i.offer_id = o.offer_id
where o.shop_id = %(shop_id)s and o.status = 'active' and o.mode = 'out_of_stock' and not i.is_missing
group by i.product_id, i.variant_id
order by i.product_id, i.variant_id limit %(limit)s;

-- written: all is written as of one change; later ones stay to be done
update offer_themes set written = greatest(written, %(wanted)s), digests = %(digests)s, attempts = 0, problem = '',
    written_at = %(at)s, next_at = case when wanted > %(wanted)s then next_at else %(next_at)s end
where shop_id = %(shop_id)s;

-- failed: what was written before the failure is kept; the rest comes later
update offer_themes set digests = %(digests)s, attempts = attempts + 1, problem = %(problem)s, next_at = %(next_at)s
where shop_id = %(shop_id)s;
