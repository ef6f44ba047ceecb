-- insert_offer: a new offer
insert into offers (shop_id, offer_id, name, description, status, pause_reason, mode, auto_disable, resume, starts_at,
    ends_at, limit_total, limit_per_customer, limit_per_order, pause_at_limit, created_at, updated_at)
values (%(shop_id)s, %(offer_id)s, %(name)s, %(description)s, %(status)s, %(pause_reason)s, %(mode)s, %(auto_disable)s,
    %(resume)s, %(starts_at)s, %(ends_at)s, %(limit_total)s, %(limit_per_customer)s, %(limit_per_order)s,
    %(pause_at_limit)s, %(created_at)s, %(updated_at)s);

-- update_offer: an offer that is locked, as it is now
update offers set name = %(name)s, description = %(description)s, status = %(status)s, pause_reason = %(pause_reason)s,
    mode = %(mode)s, auto_disable = %(auto_disable)s, resume = %(resume)s, starts_at = %(starts_at)s, ends_at = %(ends_at)s,
    limit_total = %(limit_total)s, limit_per_customer = %(limit_per_customer)s, limit_per_order = %(limit_per_order)s,
    pause_at_limit = %(pause_at_limit)s, updated_at = %(updated_at)s, activated_at = %(activated_at)s,
    completed_at = %(completed_at)s, problem = '', version = version + 1
where shop_id = %(shop_id)s and offer_id = %(offer_id)s;

-- get_offer: one offer
select * from offers where shop_id = %(shop_id)s and offer_id = %(offer_id)s;

-- find_offer: one offer by id alone
select * from offers where offer_id = %(offer_id)s order by shop_id limit 1;

-- offers_ending_in: offers whose ids end in these characters
select * from offers where right(offer_id, length(%(ending)s)) = %(ending)s order by offer_id desc limit 2;

-- lock_offer: one offer, against everybody else who changes it
select * from offers where shop_id = %(shop_id)s and offer_id = %(offer_id)s for update;

-- delete_offer: an offer with its items and counts
delete from offers where shop_id = %(shop_id)s and offer_id = %(offer_id)s;

-- list_offers: newest first, with what a list shows of each
select o.*,
    (select count(distinct i.product_id) from offer_items i
        where i.shop_id = o.shop_id and i.offer_id = o.offer_id) as products,
    (select count(*) from offer_items i where i.shop_id = o.shop_id and i.offer_id = o.offer_id) as items,
    (select count(*) from offer_variants v
        where v.shop_id = o.shop_id and v.offer_id = o.offer_id and v.stopped_at is not null) as stopped,
    (select coalesce(sum(r.quantity), 0) from offer_orders r
        where r.shop_id = o.shop_id and r.offer_id = o.offer_id)::bigint as ordered,
    (select count(*) from subscribers s
        where s.shop_id = o.shop_id and s.offer_id = o.offer_id
          and s.state in ('unconfirmed', 'pending', 'queued')) as waiting
from offers o
where (%(shop_id)s::bigint is null or o.shop_id = %(shop_id)s)
  and (%(offer_id)s::text is null or o.offer_id = %(offer_id)s)
  and (%(status)s::text is null or o.status = %(status)s)
  and (%(with_archived)s or o.status <> 'archived')
  and (%(before)s::text is null or o.offer_id < %(before)s)
order by o.offer_id desc limit %(limit)s;

-- items: what an offer covers
select product_id, variant_id, product_title, variant_title, is_missing from offer_items
where shop_id = %(shop_id)s and offer_id = %(offer_id)s
order by product_title, product_id, variant_title, variant_id limit %(limit)s;

-- count_items: how much an offer covers that the shop still has
select count(*) filter (where not is_missing), count(*) from offer_items
where shop_id = %(shop_id)s and offer_id = %(offer_id)s;

-- put_item: a product or variant joins an offer, or is found again
insert into offer_items (shop_id, offer_id, product_id, variant_id, product_title, variant_title)
values (%(shop_id)s, %(offer_id)s, %(product_id)s, %(variant_id)s, %(product_title)s, %(variant_title)s)
on conflict (shop_id, offer_id, product_id, variant_id) do update
set product_title = excluded.product_title, variant_title = excluded.variant_title, is_missing = false
returning xmax = 0;

-- delete_item: a product or variant leaves an offer
delete from offer_items
where shop_id = %(shop_id)s and offer_id = %(offer_id)s and product_id = %(product_id)s and variant_id = %(variant_id)s;

-- drop_covered: single variants that a whole product covers too
delete from offer_items
where shop_id = %(shop_id)s and offer_id = %(offer_id)s and product_id = %(product_id)s and variant_id <> '';

-- mark_missing: items of a product, in all offers, that the shop does not have any more
update offer_items i set is_missing = case
    when i.variant_id = '' then not %(exists)s else not (i.variant_id = any(%(variant_ids)s::text[])) end
where i.shop_id = %(shop_id)s and i.product_id = %(product_id)s and i.is_missing is distinct from case
    when i.variant_id = '' then not %(exists)s else not (i.variant_id = any(%(variant_ids)s::text[])) end
returning i.offer_id;

-- covering: the offers that have a product, those that are over and archived left out
select o.* from offers o
where o.shop_id = %(shop_id)s and o.status <> 'archived' and exists (
    select from offer_items i
    where i.shop_id = o.shop_id and i.offer_id = o.offer_id and i.product_id = %(product_id)s
)
order by o.status = 'active' desc, o.activated_at, o.offer_id limit %(limit)s;

-- items_of_product: what these offers have of a product
select offer_id, product_id, variant_id, product_title, variant_title, is_missing from offer_items
where shop_id = %(shop_id)s and product_id = %(product_id)s and offer_id = any(%(offer_ids)s::text[])
order by offer_id, variant_id limit %(limit)s;

-- stopped_of_product: variants of a product whose pre-order these offers have stopped
select offer_id, variant_id from offer_variants
where shop_id = %(shop_id)s and product_id = %(product_id)s and offer_id = any(%(offer_ids)s::text[])
  and stopped_at is not null
order by offer_id, variant_id limit %(limit)s;

-- counts: units ordered ahead under these offers, all and those of one customer
select offer_id, sum(quantity)::bigint,
    coalesce(sum(quantity) filter (where customer_id = %(customer_id)s and customer_id <> ''), 0)::bigint
from offer_orders
where shop_id = %(shop_id)s and offer_id = any(%(offer_ids)s::text[])
group by offer_id order by offer_id limit %(limit)s;

-- lock_watching: offers whose auto-disable has an eye on a product
select o.* from offers o
where o.shop_id = %(shop_id)s and o.auto_disable and o.mode = 'out_of_stock'
  and (o.status = 'active' or o.pause_reason = 'auto_back_in_stock') and exists (
    select from offer_items i
    where i.shop_id = o.shop_id and i.offer_id = o.offer_id and i.product_id = %(product_id)s
)
order by o.offer_id for update of o;

-- watched_products: products of offers with auto-disable at work, so that their stock is looked at
select distinct i.product_id from offers o
join offer_items i on i.shop_id = o.shop_id and i.offer_id = o.offer_id
where o.shop_id = %(shop_id)s and o.auto_disable and o.mode = 'out_of_stock' and not i.is_missing
  and (o.status = 'active' or o.pause_reason = 'auto_back_in_stock') and i.product_id > %(after)s
order by i.product_id limit %(limit)s;

-- seen: what was last seen of an offer's variants of one product
select variant_id, is_out, stopped_at from offer_variants
where shop_id = %(shop_id)s and offer_id = %(offer_id)s and product_id = %(product_id)s
order by variant_id limit %(limit)s;

-- put_seen: what is seen of a variant now; the time of its stop stays
insert into offer_variants (shop_id, offer_id, product_id, variant_id, is_out, stopped_at)
values (%(shop_id)s, %(offer_id)s, %(product_id)s, %(variant_id)s, %(is_out)s, %(stopped_at)s)
on conflict (shop_id, offer_id, variant_id) do update
set is_out = excluded.is_out, product_id = excluded.product_id,
    stopped_at = case when excluded.stopped_at is null then null
                 else coalesce(offer_variants.stopped_at, excluded.stopped_at) end;

-- forget_seen: variants of a product that an offer does not have any more
delete from offer_variants
where shop_id = %(shop_id)s and offer_id = %(offer_id)s and product_id = %(product_id)s
  and not (variant_id = any(%(keep)s::text[]));

-- forget_all_seen: an offer looks at its variants anew
delete from offer_variants where shop_id = %(shop_id)s and offer_id = %(offer_id)s;

-- is_all_back: none of the variants is out, and each item was looked at
select not exists (
    select from offer_variants v where v.shop_id = %(shop_id)s and v.offer_id = %(offer_id)s and v.is_out
) and not exists (
    select from offer_items i
    where i.shop_id = %(shop_id)s and i.offer_id = %(offer_id)s and not i.is_missing and not exists (
        select from offer_variants v
        where v.shop_id = i.shop_id and v.offer_id = i.offer_id and v.product_id = i.product_id
          and i.variant_id in ('', v.variant_id)
    )
);

-- due: offers whose schedule asks for another status
select shop_id, offer_id from offers
where (status = 'scheduled' and (starts_at is null or starts_at <= %(now)s)
    or status in ('scheduled', 'active', 'paused') and ends_at <= %(now)s)
  and (shop_id, offer_id) > (%(shop_id)s, %(offer_id)s)
order by shop_id, offer_id limit %(limit)s;

-- note_problem: why an offer could not follow its schedule
update offers set problem = %(problem)s where shop_id = %(shop_id)s and offer_id = %(offer_id)s;

-- cancel_waiting: the people who wait under an offer stop waiting, and why is kept
with ended as (
    update subscribers set state = 'cancelled', reason = %(reason)s, ended_at = %(now)s
    where shop_id = %(shop_id)s and offer_id = %(offer_id)s and state in ('unconfirmed', 'pending')
    returning shop_id, subscriber_id
), told as (
    insert into subscriber_steps (shop_id, subscriber_id, at, what, detail, actor)
    select shop_id, subscriber_id, %(now)s, 'cancelled', %(reason)s, %(actor)s from ended
)
select count(*) from ended;

-- history: what was done with an offer, newest first
select at, user_name, action, detail from audit_log
where action like 'offer.%%' and detail ->> 'offer_id' = %(offer_id)s
order by entry_id desc limit %(limit)s;
