-- watched_of: what was last seen of a product's variants
select variant_id, is_in, wave_seq from watched_variants
where shop_id = %(shop_id)s and product_id = %(product_id)s
order by variant_id limit 5000;

-- in_line_of: people who wait for a product, by variant and the units that they want; nobody who must not be mailed
select s.variant_id, s.quantity, count(*)::integer as people
from subscribers s
where s.shop_id = %(shop_id)s and s.product_id = %(product_id)s and s.state = 'pending' and s.email <> ''
  and not exists (
      select from suppressions p where p.shop_id = s.shop_id and p.address_hash = s.address_hash
  )
group by s.variant_id, s.quantity order by s.variant_id, s.quantity limit 20000;

-- open_wave_of: the product's wave that is not over
select w.wave_id, w.state, w.opened_at, w.settle_until,
       coalesce((select array_agg(v.variant_id order by v.variant_id) from wave_variants v
                 where v.shop_id = w.shop_id and v.wave_id = w.wave_id and v.over = ''), '{}') as going_on
from waves w
where w.shop_id = %(shop_id)s and w.product_id = %(product_id)s and w.closed_at is null;

-- is_offered: whether an offer with auto-disable has an eye on a product
select exists (
    select from offers o join offer_items i on i.shop_id = o.shop_id and i.offer_id = o.offer_id
    where o.shop_id = %(shop_id)s and o.auto_disable and o.mode = 'out_of_stock' and i.product_id = %(product_id)s
      and (o.status = 'active' or o.pause_reason = 'auto_back_in_stock')
);

-- waited_for: products that people wait for, or whose wave is not over
select product_id from (
    select product_id from subscribers
    where shop_id = %(shop_id)s and state in ('pending', 'queued') and product_id > %(after)s
    union
    select product_id from waves where shop_id = %(shop_id)s and closed_at is null and product_id > %(after)s
) p order by product_id limit %(limit)s;

-- see: what was seen of variants; a row that says nothing new is not written
insert into watched_variants as w (shop_id, variant_id, product_id, product_title, variant_title, available, is_in,
                                   wave_seq, seen_at)
select %(shop_id)s, s.variant_id, %(product_id)s, %(product_title)s, s.title, s.available, s.is_in, s.wave_seq, %(at)s
from unnest(%(variant_ids)s::text[], %(titles)s::text[], %(available)s::bigint[], %(is_in)s::boolean[],
            %(wave_seqs)s::integer[]) as s (variant_id, title, available, is_in, wave_seq)
order by s.variant_id
on conflict (shop_id, variant_id) do update
set product_id = excluded.product_id, product_title = excluded.product_title, variant_title = excluded.variant_title,
    available = excluded.available, is_in = excluded.is_in, wave_seq = excluded.wave_seq, seen_at = excluded.seen_at
where (w.product_id, w.product_title, w.variant_title, w.available, w.is_in, w.wave_seq)
      is distinct from (excluded.product_id, excluded.product_title, excluded.variant_title, excluded.available,
                        excluded.is_in, excluded.wave_seq);

-- unwatch: these variants are gone
delete from watched_variants where shop_id = %(shop_id)s and variant_id = any(%(variant_ids)s::text[]);

-- cancel_waiting_for: nobody waits any more for variants that are gone
with ended as (
    update subscribers s set state = 'cancelled', reason = %(reason)s, ended_at = %(at)s
    from (
        select subscriber_id from subscribers
        where shop_id = %(shop_id)s and variant_id = any(%(variant_ids)s::text[])
          and state in ('unconfirmed', 'pending', 'queued')
        order by subscriber_id for update
    ) gone
    where s.shop_id = %(shop_id)s and s.subscriber_id = gone.subscriber_id
    returning s.shop_id, s.subscriber_id, s.wave_id
), told as (
    insert into subscriber_steps (shop_id, subscriber_id, at, what, detail, wave_id)
    select shop_id, subscriber_id, %(at)s, 'cancelled', %(reason)s, wave_id from ended
), untold as (
    update notifications n set state = 'dropped', reason = %(reason)s, finished_at = %(at)s
    from ended where n.shop_id = ended.shop_id and n.subscriber_id = ended.subscriber_id and n.state = 'queued'
)
select count(*) from ended;

-- open_wave: a product has one wave at a time; nothing comes back when it has one already
insert into waves (shop_id, wave_id, product_id, product_title, state, reason, opened_at, settle_until, next_at, run_id)
values (%(shop_id)s, %(wave_id)s, %(product_id)s, %(product_title)s, 'settling', %(reason)s, %(at)s, %(settle_until)s,
        %(settle_until)s, %(run_id)s)
on conflict do nothing
returning wave_id;

-- lock_wave: an open wave, held until the transaction ends
select wave_id, product_id, product_title, state, opened_at, settle_until, fence from waves
where shop_id = %(shop_id)s and wave_id = %(wave_id)s and closed_at is null
for update;

-- lock_wave_of: the same by its product
select wave_id, product_id, product_title, state, opened_at, settle_until, fence from waves
where shop_id = %(shop_id)s and product_id = %(product_id)s and closed_at is null
for update;

-- join_wave: variants that are back; each restock of a variant is in one wave, once
insert into wave_variants as v (shop_id, wave_id, variant_id, seq, variant_title, available, ready_at)
select %(shop_id)s, %(wave_id)s, b.variant_id, b.seq, b.title, b.available, %(ready_at)s
from unnest(%(variant_ids)s::text[], %(seqs)s::integer[], %(titles)s::text[], %(available)s::bigint[])
     as b (variant_id, seq, title, available)
order by b.variant_id
on conflict (shop_id, wave_id, variant_id) do update
set seq = excluded.seq, variant_title = excluded.variant_title, available = excluded.available,
    ready_at = excluded.ready_at, over = '', told_in_turn = 0, turn_at = null, turn_limit = null
where v.over <> '';

-- settle_longer: a wave that is still settling begins later, with all its variants
with moved as (
    update waves set settle_until = %(until)s, next_at = %(until)s
    where shop_id = %(shop_id)s and wave_id = %(wave_id)s and state = 'settling'
    returning shop_id, wave_id
)
update wave_variants v set ready_at = %(until)s
from moved where v.shop_id = moved.shop_id and v.wave_id = moved.wave_id and v.over = '';

-- look_at_wave_by: have a wave looked at no later than this
update waves set next_at = least(coalesce(next_at, %(at)s), %(at)s)
where shop_id = %(shop_id)s and wave_id = %(wave_id)s and closed_at is null
returning next_at;

-- end_variants: variants of which nobody more is told in this wave
update wave_variants v set over = e.reason
from unnest(%(variant_ids)s::text[], %(reasons)s::text[]) as e (variant_id, reason)
where v.shop_id = %(shop_id)s and v.wave_id = %(wave_id)s and v.variant_id = e.variant_id and v.over = '';

-- close_if_over: a wave without variants that go on is over
update waves w set state = case when t.told > 0 then 'done' else 'dropped' end, reason = %(reason)s, closed_at = %(at)s,
    next_at = null
from (
    select coalesce(sum(told), 0) as told, count(*) filter (where over = '') as going_on
    from wave_variants where shop_id = %(shop_id)s and wave_id = %(wave_id)s
) t
where w.shop_id = %(shop_id)s and w.wave_id = %(wave_id)s and w.closed_at is null and t.going_on = 0
returning w.state;

-- close_wave: it is over
with ended as (
    update waves set state = %(state)s, reason = %(reason)s, closed_at = %(at)s, next_at = null
    where shop_id = %(shop_id)s and wave_id = %(wave_id)s and closed_at is null
    returning shop_id, wave_id
)
update wave_variants v set over = %(reason)s
from ended where v.shop_id = ended.shop_id and v.wave_id = ended.wave_id and v.over = '';

-- rest_wave: how it stands, and when it is looked at again
update waves set state = %(state)s, reason = %(reason)s, next_at = %(next_at)s, fence = fence + 1
where shop_id = %(shop_id)s and wave_id = %(wave_id)s and closed_at is null;

-- variants_of_wave: all its variants
select variant_id, variant_title, ready_at, told, told_in_turn, turn_at, turn_limit, over from wave_variants
where shop_id = %(shop_id)s and wave_id = %(wave_id)s
order by variant_id limit 5000;

-- on_the_way: people of a wave whose message waits to be sent
select count(*) from notifications where shop_id = %(shop_id)s and wave_id = %(wave_id)s and state = 'queued';

-- waves_to_look_at: open waves whose time has come
select shop_id, product_id from waves where closed_at is null and coalesce(next_at, now()) <= now()
order by next_at limit %(limit)s;

-- oldest_in_line: the next people of each variant, first come first served
select c.* from unnest(%(variant_ids)s::text[], %(units)s::bigint[], %(most)s::integer[]) as v (variant_id, units, most)
cross join lateral (
    select s.subscriber_id, s.address_hash, s.email, s.variant_id, s.locale, s.first_name, s.created_at
    from subscribers s
    where s.shop_id = %(shop_id)s and s.variant_id = v.variant_id and s.state = 'pending' and s.email <> ''
      and (v.units is null or s.quantity <= v.units)
      and not exists (select from suppressions p where p.shop_id = s.shop_id and p.address_hash = s.address_hash)
      and not exists (
          select from subscribers o
          where o.shop_id = s.shop_id and o.address_hash = s.address_hash and o.variant_id = s.variant_id
            and o.notified_at > %(told_since)s
      )
    order by s.created_at, s.subscriber_id limit v.most
) c
order by c.created_at, c.subscriber_id limit %(limit)s;

-- newest_in_line: the same, who came last first
select c.* from unnest(%(variant_ids)s::text[], %(units)s::bigint[], %(most)s::integer[]) as v (variant_id, units, most)
cross join lateral (
    select s.subscriber_id, s.address_hash, s.email, s.variant_id, s.locale, s.first_name, s.created_at
    from subscribers s
    where s.shop_id = %(shop_id)s and s.variant_id = v.variant_id and s.state = 'pending' and s.email <> ''
      and (v.units is null or s.quantity <= v.units)
      and not exists (select from suppressions p where p.shop_id = s.shop_id and p.address_hash = s.address_hash)
      and not exists (
          select from subscribers o
          where o.shop_id = s.shop_id and o.address_hash = s.address_hash and o.variant_id = s.variant_id
            and o.notified_at > %(told_since)s
      )
    order by s.created_at desc, s.subscriber_id desc limit v.most
) c
order by c.created_at desc, c.subscriber_id desc limit %(limit)s;

-- besides: what else the same people wait for among these variants
select s.subscriber_id, s.address_hash, s.email, s.variant_id, s.locale, s.first_name, s.created_at
from subscribers s
join unnest(%(variant_ids)s::text[], %(units)s::bigint[]) as v (variant_id, units) on v.variant_id = s.variant_id
where s.shop_id = %(shop_id)s and s.address_hash = any(%(address_hashes)s::bytea[]) and s.state = 'pending'
  and s.email <> '' and (v.units is null or s.quantity <= v.units)
  and not exists (
      select from subscribers o
      where o.shop_id = s.shop_id and o.address_hash = s.address_hash and o.variant_id = s.variant_id
        and o.notified_at > %(told_since)s
  )
order by s.created_at, s.subscriber_id limit 5000;

-- left_in_line: who still waits for these variants, and why they were not chosen
select count(*) filter (where not wants_more)::integer as people,
       min(rested_at) filter (where not wants_more) as rested_at,
       count(*) filter (where wants_more)::integer as too_many
from (
    select coalesce(s.quantity > v.units, false) as wants_more,
           o.told_at + %(rest_s)s * interval '1 second' as rested_at
    from unnest(%(variant_ids)s::text[], %(units)s::bigint[]) as v (variant_id, units)
    join subscribers s on s.shop_id = %(shop_id)s and s.variant_id = v.variant_id and s.state = 'pending' and s.email <> ''
    left join lateral (
        select max(o.notified_at) as told_at from subscribers o
        where o.shop_id = s.shop_id and o.address_hash = s.address_hash and o.variant_id = s.variant_id
          and o.notified_at > %(told_since)s
    ) o on true
    where not exists (select from suppressions p where p.shop_id = s.shop_id and p.address_hash = s.address_hash)
) w;

-- claim_people: these people are told of by these messages, if they still wait
with claimed as (
    update subscribers s
    set state = 'queued', reason = '', wave_id = %(wave_id)s, message_id = c.message_id
    from (
        select l.subscriber_id, c.message_id from subscribers l
        join unnest(%(subscriber_ids)s::text[], %(message_ids)s::text[]) as c (subscriber_id, message_id)
            on c.subscriber_id = l.subscriber_id
        where l.shop_id = %(shop_id)s and l.state = 'pending' and l.email <> '' and not exists (
            select from notifications n
            where n.shop_id = l.shop_id and n.subscriber_id = l.subscriber_id and n.wave_id = %(wave_id)s
              and n.kind = 'back_in_stock' and n.state not in ('dropped', 'held')
        )
        order by l.subscriber_id for update of l
    ) c
    where s.shop_id = %(shop_id)s and s.subscriber_id = c.subscriber_id
    returning s.shop_id, s.subscriber_id, s.message_id
), noted as (
    insert into notifications as n (shop_id, subscriber_id, wave_id, message_id, state, created_at)
    select shop_id, subscriber_id, %(wave_id)s, message_id, 'queued', %(at)s from claimed
    on conflict (shop_id, subscriber_id, wave_id, kind) do update
    set message_id = excluded.message_id, state = 'queued', reason = '', smtp_reply = '', finished_at = null
), told as (
    insert into subscriber_steps (shop_id, subscriber_id, at, what, detail, wave_id)
    select shop_id, subscriber_id, %(at)s, 'queued', %(detail)s, %(wave_id)s from claimed
)
select subscriber_id from claimed order by subscriber_id;

-- count_told: people who were told of variants in the turn that goes on or begins now
update wave_variants v
set told = v.told + t.people, told_in_turn = case when t.begins then 0 else v.told_in_turn end + t.people,
    turn_at = coalesce(t.turn_at, v.turn_at), turn_limit = coalesce(t.turn_limit, v.turn_limit)
from unnest(%(variant_ids)s::text[], %(people)s::integer[], %(turn_ats)s::timestamptz[], %(turn_limits)s::integer[],
            %(begins)s::boolean[]) as t (variant_id, people, turn_at, turn_limit, begins)
where v.shop_id = %(shop_id)s and v.wave_id = %(wave_id)s and v.variant_id = t.variant_id;

-- delete_old: waves that are over and kept no longer
delete from waves w using (
    select shop_id, wave_id from waves where closed_at < %(before)s order by closed_at limit %(limit)s for update skip locked
) old where w.shop_id = old.shop_id and w.wave_id = old.wave_id;
