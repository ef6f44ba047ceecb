-- demand: what people of a shop wait for, by variant, what most wait for first
with waiting as (
    select product_id, variant_id, count(*) as people, count(*) filter (where state = 'unconfirmed') as unconfirmed,
           sum(quantity)::bigint as units, min(created_at) as oldest_at
    from subscribers
    where shop_id = %(shop_id)s and state in ('unconfirmed', 'pending', 'queued')
      and (%(product_id)s::text is null or product_id = %(product_id)s)
    group by product_id, variant_id
), priced as (
    select w.*, coalesce(p.sku, '') as sku, p.price, coalesce(p.currency, '') as currency, p.price * w.units as revenue,
           p.seen_at as priced_at
    from waiting w left join variant_prices p on p.shop_id = %(shop_id)s and p.variant_id = w.variant_id
    order by case when %(order)s::text = 'revenue' then p.price * w.units end desc nulls last,
             case when %(order)s::text = 'oldest' then w.oldest_at end,
             case when %(order)s::text = 'units' then w.units end desc,
             w.people desc, w.variant_id
    limit %(limit)s
)
select priced.product_id, priced.variant_id, titles.product_title, titles.variant_title, priced.sku, priced.people,
       priced.unconfirmed, priced.units, priced.oldest_at, priced.price, priced.currency, priced.revenue, priced.priced_at
from priced cross join lateral (
    select product_title, variant_title from subscribers s
    where s.shop_id = %(shop_id)s and s.variant_id = priced.variant_id
    order by s.subscriber_id desc limit 1
) titles
order by case when %(order)s::text = 'revenue' then priced.revenue end desc nulls last,
         case when %(order)s::text = 'oldest' then priced.oldest_at end,
         case when %(order)s::text = 'units' then priced.units end desc,
         priced.people desc, priced.variant_id;

-- totals: everything that people of a shop wait for; revenue by currency, of what has a price
with waiting as (
    select variant_id, count(*) as people, sum(quantity)::bigint as units, min(created_at) as oldest_at
    from subscribers
    where shop_id = %(shop_id)s and state in ('unconfirmed', 'pending', 'queued')
    group by variant_id
), money as (
    select p.currency, sum(p.price * w.units) as revenue
    from waiting w join variant_prices p on p.shop_id = %(shop_id)s and p.variant_id = w.variant_id
    group by p.currency
)
select count(*) as variants, coalesce(sum(people), 0)::bigint as people, coalesce(sum(units), 0)::bigint as units,
       min(oldest_at) as oldest_at,
       (select coalesce(jsonb_object_agg(currency, revenue::text order by currency), '{}') from money) as revenue
from waiting;

-- unpriced: variants that people wait for whose price is not known, or known for long
select distinct s.variant_id from subscribers s
where s.shop_id = %(shop_id)s and s.state in ('unconfirmed', 'pending', 'queued') and s.variant_id > %(after)s
  and not exists (
      select from variant_prices p
      where p.shop_id = s.shop_id and p.variant_id = s.variant_id and p.seen_at > %(before)s
  )
order by s.variant_id limit %(limit)s;

-- save_price: what a variant costs now
insert into variant_prices (shop_id, variant_id, sku, price, currency, seen_at)
values (%(shop_id)s, %(variant_id)s, %(sku)s, %(price)s, %(currency)s, %(at)s)
on conflict (shop_id, variant_id) do update
set sku = excluded.sku, price = excluded.price, currency = excluded.currency, seen_at = excluded.seen_at;

-- forget_prices: prices of variants that nobody waits for
delete from variant_prices p where p.shop_id = %(shop_id)s and p.seen_at < %(before)s and not exists (
    select from subscribers s
    where s.shop_id = p.shop_id and s.variant_id = p.variant_id and s.state in ('unconfirmed', 'pending', 'queued')
);

-- shops_with_people: shops whose people wait
select s.shop_id from shops s
where s.status = 'active' and exists (
    select from subscribers w where w.shop_id = s.shop_id and w.state in ('unconfirmed', 'pending', 'queued')
)
order by s.shop_id limit 10000;
