-- insert_waiting: a request that waits; nothing comes back when one of this address for this variant waits already
insert into subscribers (shop_id, subscriber_id, email, address_hash, product_id, variant_id, product_title,
                         variant_title, offer_id, state, reason, locale, first_name, customer_id, quantity, source,
                         page, consent, cycle, created_at)
select %(shop_id)s, %(subscriber_id)s, %(email)s, %(address_hash)s, %(product_id)s, %(variant_id)s,
       %(product_title)s, %(variant_title)s, %(offer_id)s, %(state)s, %(reason)s, %(locale)s, %(first_name)s,
       %(customer_id)s, %(quantity)s, %(source)s, %(page)s, %(consent)s,
       1 + coalesce(max(s.cycle), 0), %(at)s
from subscribers s
where s.shop_id = %(shop_id)s and s.address_hash = %(address_hash)s and s.variant_id = %(variant_id)s
on conflict (shop_id, address_hash, variant_id) where state in ('unconfirmed', 'pending', 'queued') do nothing
returning subscriber_id;

-- insert_suppressed: a request of an address that cannot be mailed, noted once
insert into subscribers (shop_id, subscriber_id, email, address_hash, product_id, variant_id, product_title,
                         variant_title, offer_id, state, reason, locale, first_name, customer_id, quantity, source,
                         page, consent, cycle, created_at, ended_at)
select %(shop_id)s, %(subscriber_id)s, %(email)s, %(address_hash)s, %(product_id)s, %(variant_id)s,
       %(product_title)s, %(variant_title)s, %(offer_id)s, 'suppressed', %(reason)s, %(locale)s, %(first_name)s,
       %(customer_id)s, %(quantity)s, %(source)s, %(page)s, %(consent)s,
       1 + coalesce(max(s.cycle), 0), %(at)s, %(at)s
from subscribers s
where s.shop_id = %(shop_id)s and s.address_hash = %(address_hash)s and s.variant_id = %(variant_id)s
having count(*) filter (where s.state = 'suppressed') = 0
returning subscriber_id;

-- lock_waiting: the request of an address that waits for a variant
select subscriber_id, email, address_hash, product_id, variant_id, product_title, variant_title, state, locale,
       first_name, confirm_hash, confirm_expires_at, confirm_sent_at
from subscribers
where shop_id = %(shop_id)s and address_hash = %(address_hash)s and variant_id = %(variant_id)s
  and state in ('unconfirmed', 'pending', 'queued')
limit 1 for update;

-- get: one request
select subscriber_id, email, address_hash, product_id, variant_id, product_title, variant_title, state, locale,
       first_name, confirm_hash, confirm_expires_at, confirm_sent_at
from subscribers where shop_id = %(shop_id)s and subscriber_id = %(subscriber_id)s;

-- lock: one request, until the transaction ends
select subscriber_id, email, address_hash, product_id, variant_id, product_title, variant_title, state, locale,
       first_name, confirm_hash, confirm_expires_at, confirm_sent_at
from subscribers where shop_id = %(shop_id)s and subscriber_id = %(subscriber_id)s
for update;

-- activate: an unconfirmed request waits from now on
update subscribers
set state = 'pending', reason = '', confirmed_at = %(confirmed_at)s, confirm_hash = null, confirm_expires_at = null
where shop_id = %(shop_id)s and subscriber_id = %(subscriber_id)s and state = 'unconfirmed'
returning subscriber_id;

-- new_key: a new confirm key voids the old one; stamped before the mail is made, and never twice within the rest
update subscribers
set confirm_hash = %(confirm_hash)s, confirm_expires_at = %(expires_at)s, confirm_sent_at = %(at)s
where shop_id = %(shop_id)s and subscriber_id = %(subscriber_id)s and state = 'unconfirmed'
  and (confirm_sent_at is null or confirm_sent_at <= %(rested_since)s)
returning subscriber_id;

-- add_step: what happened to a request
insert into subscriber_steps (shop_id, subscriber_id, at, what, detail)
values (%(shop_id)s, %(subscriber_id)s, %(at)s, %(what)s, %(detail)s);

-- unsubscribe_item: an address ends its waiting for a product; the request that the mail was about is marked in any case
with chosen as (
    select subscriber_id from subscribers
    where shop_id = %(shop_id)s and address_hash = %(address_hash)s and unsubscribed_at is null
      and (subscriber_id = %(subscriber_id)s
           or (product_id = %(product_id)s and state in ('unconfirmed', 'pending', 'queued')))
    order by subscriber_id limit 10000 for update
), ended as (
    update subscribers s
    set unsubscribed_at = %(at)s, confirm_hash = null, confirm_expires_at = null,
        reason = case when s.state in ('unconfirmed', 'pending', 'queued') then %(reason)s else s.reason end,
        ended_at = coalesce(s.ended_at, %(at)s),
        state = case when s.state in ('unconfirmed', 'pending', 'queued') then 'unsubscribed' else s.state end
    from chosen where s.shop_id = %(shop_id)s and s.subscriber_id = chosen.subscriber_id
    returning s.subscriber_id
)
insert into subscriber_steps (shop_id, subscriber_id, at, what, detail)
select %(shop_id)s, subscriber_id, %(at)s, 'unsubscribed', %(reason)s from ended
returning subscriber_id;

-- unsubscribe_all: an address ends its waiting for everything; the request that the mail was about is marked in any case
with chosen as (
    select subscriber_id from subscribers
    where shop_id = %(shop_id)s and address_hash = %(address_hash)s and unsubscribed_at is null
      and (subscriber_id = %(subscriber_id)s or state in ('unconfirmed', 'pending', 'queued'))
    order by subscriber_id limit 10000 for update
), ended as (
    update subscribers s
    set unsubscribed_at = %(at)s, confirm_hash = null, confirm_expires_at = null,
        reason = case when s.state in ('unconfirmed', 'pending', 'queued') then %(reason)s else s.reason end,
        ended_at = coalesce(s.ended_at, %(at)s),
        state = case when s.state in ('unconfirmed', 'pending', 'queued') then 'unsubscribed' else s.state end
    from chosen where s.shop_id = %(shop_id)s and s.subscriber_id = chosen.subscriber_id
    returning s.subscriber_id
)
insert into subscriber_steps (shop_id, subscriber_id, at, what, detail)
select %(shop_id)s, subscriber_id, %(at)s, 'unsubscribed', %(reason)s from ended
returning subscriber_id;

-- waiting_of: what an address waits for, oldest first
select subscriber_id, email, address_hash, product_id, variant_id, product_title, variant_title, state, locale,
       first_name, confirm_hash, confirm_expires_at, confirm_sent_at
from subscribers
where shop_id = %(shop_id)s and address_hash = %(address_hash)s and state in ('unconfirmed', 'pending', 'queued')
order by created_at, subscriber_id limit 200;

-- email_of: an address by its hash, while some request still has it
select email from subscribers
where shop_id = %(shop_id)s and address_hash = %(address_hash)s and email <> '' limit 1;

-- product_of_variant: which product a variant was seen in
select product_id from (
    (select product_id from watched_variants where shop_id = %(shop_id)s and variant_id = %(variant_id)s limit 1)
    union all
    (select product_id from offer_items where shop_id = %(shop_id)s and variant_id = %(variant_id)s limit 1)
) seen limit 1;

-- last_known: what was last seen of a variant; titles from its offers where it was never looked at
select product_title, variant_title, is_in, is_watched from (
    (select product_title, variant_title, is_in, true as is_watched from watched_variants
     where shop_id = %(shop_id)s and variant_id = %(variant_id)s limit 1)
    union all
    (select product_title, variant_title, false, false from offer_items
     where shop_id = %(shop_id)s and product_id = %(product_id)s and variant_id in (%(variant_id)s, '')
     order by variant_id desc limit 1)
) seen order by is_watched desc limit 1;

-- counts: how far counters have come in a window
select bucket, count from signup_counts
where shop_id = %(shop_id)s and bucket = any(%(buckets)s::bytea[]) and window_at = %(window_at)s limit 10;

-- use: count one more, unless the most is reached; then nothing comes back
insert into signup_counts (shop_id, bucket, window_at, count)
values (%(shop_id)s, %(bucket)s, %(window_at)s, 1)
on conflict (shop_id, bucket, window_at) do update set count = signup_counts.count + 1
where signup_counts.count < %(most)s
returning count;

-- delete_counts: counters of windows that are over
delete from signup_counts c using (
    select shop_id, bucket, window_at from signup_counts where window_at < %(before)s limit %(limit)s
) old where c.shop_id = old.shop_id and c.bucket = old.bucket and c.window_at = old.window_at;
