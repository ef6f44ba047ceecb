-- shops_due: shops at work with a limit that counts, which told of a new order or were not looked at for long
select s.shop_id from shops s
left join offer_counting c using (shop_id)
where s.status = 'active' and exists (
    select from offers o
    where o.shop_id = s.shop_id and o.status in ('active', 'paused')
      and (o.limit_total is not null or o.limit_per_customer is not null)
) and (c.shop_id is null or c.looked_at < %(before)s or exists (
    select from events e
    where e.shop_id = s.shop_id and e.topic = any(%(topics)s::text[]) and e.received_at > c.looked_at
))
order by s.shop_id limit 1000;

-- has_limits: whether the shop's orders are to be counted, now or soon
select exists (
    select from offers
    where shop_id = %(shop_id)s and status in ('scheduled', 'active', 'paused')
      and (limit_total is not null or limit_per_customer is not null)
);

-- counting: up to where a shop's orders are counted
select counted_to, looked_at, problem from offer_counting where shop_id = %(shop_id)s;

-- begin: orders made from now on are counted
insert into offer_counting (shop_id, counted_to, looked_at) values (%(shop_id)s, %(now)s, %(now)s)
on conflict (shop_id) do nothing;

-- looked: a look at the orders is over, and how it went
update offer_counting set counted_to = greatest(counted_to, %(counted_to)s), looked_at = %(now)s, problem = %(problem)s
where shop_id = %(shop_id)s;

-- lock_limited: offers of a shop with a limit that counts, or whose units are corrected
select * from offers
where shop_id = %(shop_id)s and status in ('active', 'paused', 'completed')
  and (limit_total is not null or limit_per_customer is not null)
order by offer_id limit 1000 for update;

-- known_lines: which of these lines are counted already
select distinct line_id from offer_orders
where shop_id = %(shop_id)s and line_id = any(%(line_ids)s::text[])
order by line_id limit 10000;

-- put_line: units ordered ahead; a line counts once per offer
insert into offer_orders (shop_id, offer_id, order_id, line_id, variant_id, customer_id, quantity, ordered_at)
values (%(shop_id)s, %(offer_id)s, %(order_id)s, %(line_id)s, %(variant_id)s, %(customer_id)s, %(quantity)s,
    %(ordered_at)s)
on conflict (shop_id, offer_id, order_id, line_id) do nothing;

-- lower_line: a counted line has fewer units now: cancelled, refunded or edited
update offer_orders set quantity = %(quantity)s
where shop_id = %(shop_id)s and line_id = %(line_id)s and quantity > %(quantity)s;
