-- page_of_people: subscribers of one shop, newest first, for lists and files
select shop_id, subscriber_id, email, product_id, variant_id, product_title, variant_title, offer_id, state, reason,
       delivered, status, locale, first_name, customer_id, quantity, source, page, consent, cycle, wave_id, message_id,
       created_at, confirmed_at, notified_at, unsubscribed_at, ended_at
from subscribers
where shop_id = %(shop_id)s
  and (%(status)s::text is null or status = %(status)s)
  and (%(state)s::text is null or state = %(state)s)
  and (%(variant_id)s::text is null or variant_id = %(variant_id)s)
  and (%(product_id)s::text is null or product_id = %(product_id)s)
  and (%(offer_id)s::text is null or (offer_id = %(offer_id)s and offer_id <> ''))
  and (%(locale)s::text is null or locale = %(locale)s)
  and (%(pattern)s::text is null or email like %(pattern)s)
  and (%(before)s::text is null or subscriber_id < %(before)s)
order by subscriber_id desc
limit %(limit)s;

-- get_person: one subscriber by its id alone; ids are unique over all shops
select shop_id, subscriber_id, email, product_id, variant_id, product_title, variant_title, offer_id, state, reason,
       delivered, status, locale, first_name, customer_id, quantity, source, page, consent, cycle, wave_id, message_id,
       created_at, confirmed_at, notified_at, unsubscribed_at, ended_at
from subscribers where subscriber_id = %(subscriber_id)s limit 1;

-- people_of_address: every row of an address or of a customer, oldest first
select shop_id, subscriber_id, email, product_id, variant_id, product_title, variant_title, offer_id, state, reason,
       delivered, status, locale, first_name, customer_id, quantity, source, page, consent, cycle, wave_id, message_id,
       created_at, confirmed_at, notified_at, unsubscribed_at, ended_at
from subscribers
where shop_id = %(shop_id)s and email <> ''
  and (address_hash = any(%(address_hashes)s::bytea[])
       or (customer_id = %(customer_id)s::text and customer_id <> ''))
order by subscriber_id limit %(limit)s;

-- steps_of: what happened to a subscriber, oldest first
select at, what, detail, wave_id, actor from subscriber_steps
where shop_id = %(shop_id)s and subscriber_id = %(subscriber_id)s
order by at, step_no limit 1000;

-- notifications_of: each telling of a subscriber, oldest first
select n.wave_id, n.kind, n.message_id, n.state, n.reason, n.smtp_reply, n.created_at, n.finished_at,
       w.opened_at as wave_opened_at, w.state as wave_state, w.reason as wave_reason
from notifications n left join waves w on w.shop_id = n.shop_id and w.wave_id = n.wave_id
where n.shop_id = %(shop_id)s and n.subscriber_id = %(subscriber_id)s
order by n.created_at, n.wave_id limit 1000;

-- tries_of: every attempt at the messages of one subscriber, oldest first
select a.message_id, a.attempt, a.server, a.started_at, a.finished_at, a.outcome, a.reply
from message_attempts a
where a.shop_id = %(shop_id)s and a.message_id = any(%(message_ids)s::text[])
order by a.started_at, a.attempt limit 1000;

-- other_requests: the other requests of the same address, newest first
select o.subscriber_id, o.product_title, o.variant_title, o.status, o.state, o.created_at
from subscribers s join subscribers o on o.shop_id = s.shop_id and o.address_hash = s.address_hash
where s.shop_id = %(shop_id)s and s.subscriber_id = %(subscriber_id)s and o.subscriber_id <> s.subscriber_id
order by o.subscriber_id desc limit %(limit)s;

-- suppression_of: why an address must not be mailed
select reason, detail, at from suppressions
where shop_id = %(shop_id)s and address_hash = (
    select address_hash from subscribers where shop_id = %(shop_id)s and subscriber_id = %(subscriber_id)s
);

-- count_waiting: how many wait in a shop, up to a limit
select count(*) from (
    select from subscribers
    where shop_id = %(shop_id)s and state in ('unconfirmed', 'pending', 'queued') limit %(limit)s
) some_people;

-- count_fitting: how many subscribers fit the filters, up to a limit
select count(*) from (
    select from subscribers
    where shop_id = %(shop_id)s
      and (%(status)s::text is null or status = %(status)s)
      and (%(state)s::text is null or state = %(state)s)
      and (%(variant_id)s::text is null or variant_id = %(variant_id)s)
      and (%(product_id)s::text is null or product_id = %(product_id)s)
      and (%(offer_id)s::text is null or (offer_id = %(offer_id)s and offer_id <> ''))
      and (%(locale)s::text is null or locale = %(locale)s)
      and (%(pattern)s::text is null or email like %(pattern)s)
    limit %(limit)s
) some_people;

-- waiting_of_variants: how many wait for each of these variants
select variant_id, count(*) from subscribers
where shop_id = %(shop_id)s and product_id = any(%(product_ids)s::text[]) and variant_id = any(%(variant_ids)s::text[])
  and state in ('unconfirmed', 'pending', 'queued')
group by variant_id limit 10000;

-- locales_used: the languages that subscribers of a shop asked in; walks the newest rows only
select distinct locale from (
    select locale from subscribers where shop_id = %(shop_id)s order by subscriber_id desc limit 5000
) newest order by locale limit 100;

-- offers_of: the newest offers of a shop, to choose from
select offer_id, name from offers where shop_id = %(shop_id)s order by offer_id desc limit 200;

-- lock_messages: the messages of these subscribers, locked before their subscribers are, in one order
select m.message_id, m.state from messages m
where m.shop_id = %(shop_id)s and m.message_id in (
    select message_id from subscribers
    where shop_id = %(shop_id)s and subscriber_id = any(%(subscriber_ids)s::text[]) and message_id <> ''
)
order by m.message_id for update;

-- cancel_people: end the waiting of these subscribers, with their message when it is for nobody else
with chosen as (
    update subscribers set state = 'cancelled', reason = %(reason)s, ended_at = %(at)s
    where shop_id = %(shop_id)s and subscriber_id = any(%(subscriber_ids)s::text[])
      and state in ('unconfirmed', 'pending', 'queued')
      and (message_id = '' or state <> 'queued' or message_id <> all(%(being_sent)s::text[]))
    returning shop_id, subscriber_id, message_id
), mails as (
    update messages m set state = 'cancelled', reason = %(reason)s, next_at = null, lease_until = null
    where m.shop_id = %(shop_id)s and m.state in ('pending', 'held')
      and m.message_id in (select message_id from chosen where message_id <> '')
      and not exists (
          select from subscribers o
          where o.shop_id = m.shop_id and o.message_id = m.message_id and o.state = 'queued'
            and o.subscriber_id not in (select subscriber_id from chosen)
      )
), untold as (
    update notifications n set state = 'dropped', reason = %(reason)s, finished_at = %(at)s
    from chosen where n.shop_id = chosen.shop_id and n.subscriber_id = chosen.subscriber_id
      and n.state in ('queued', 'held')
), told as (
    insert into subscriber_steps (shop_id, subscriber_id, at, what, detail, actor)
    select shop_id, subscriber_id, %(at)s, 'cancelled', %(reason)s, %(actor)s from chosen
)
select subscriber_id from chosen order by subscriber_id;

-- again_by_message: a message that failed or nobody knows of is queued once more, with its subscribers
with mail as (
    update messages m
    set state = 'pending', reason = '', next_at = now(), tried_since = null, lease_until = null
    where m.shop_id = %(shop_id)s and m.message_id = %(message_id)s and m.state in ('failed', 'unknown', 'cancelled')
    returning m.shop_id, m.message_id
), again as (
    update subscribers s set state = 'queued', reason = '', ended_at = null, notified_at = null
    from mail where s.shop_id = mail.shop_id and s.message_id = mail.message_id
      and s.state in ('failed', 'bounced', 'unknown')
      and not exists (
          select from subscribers w
          where w.shop_id = s.shop_id and w.address_hash = s.address_hash and w.variant_id = s.variant_id
            and w.state in ('unconfirmed', 'pending', 'queued')
      )
    returning s.shop_id, s.subscriber_id, s.wave_id
), anew as (
    update notifications n set state = 'queued', reason = '', smtp_reply = '', finished_at = null
    from mail where n.shop_id = mail.shop_id and n.message_id = mail.message_id
      and n.subscriber_id in (select subscriber_id from again)
), told as (
    insert into subscriber_steps (shop_id, subscriber_id, at, what, detail, wave_id, actor)
    select shop_id, subscriber_id, %(at)s, 'sent_again', 'The same message is sent once more.', wave_id, %(actor)s
    from again
)
select subscriber_id from again order by subscriber_id;

-- ask_again: a new request like an ended one, at the end of the line; nothing comes back when one waits already
with made as (
    insert into subscribers (shop_id, subscriber_id, email, address_hash, product_id, variant_id, product_title,
                             variant_title, offer_id, state, reason, locale, first_name, customer_id, quantity, source,
                             page, consent, cycle, created_at, confirmed_at)
    select shop_id, %(new_id)s, email, address_hash, product_id, variant_id, product_title, variant_title, offer_id,
           'pending', '', locale, first_name, customer_id, quantity, 'admin', page, consent, cycle + 1, %(at)s, %(at)s
    from subscribers
    where shop_id = %(shop_id)s and subscriber_id = %(subscriber_id)s and email <> ''
      and state not in ('unconfirmed', 'pending', 'queued')
    on conflict (shop_id, address_hash, variant_id) where state in ('unconfirmed', 'pending', 'queued') do nothing
    returning shop_id, subscriber_id
), told as (
    insert into subscriber_steps (shop_id, subscriber_id, at, what, detail, actor)
    select shop_id, subscriber_id, %(at)s, 'signed_up', 'Put in line again by a person.', %(actor)s from made
)
select subscriber_id from made;

-- purge_ended: delete up to so many subscribers that ended in one of these states before
delete from subscribers s using (
    select shop_id, subscriber_id from subscribers
    where shop_id = %(shop_id)s and ended_at < %(before)s and state = any(%(states)s::text[])
    order by ended_at limit %(limit)s for update skip locked
) old where s.shop_id = old.shop_id and s.subscriber_id = old.subscriber_id;

-- purge_unconfirmed: delete up to so many sign-ups that nobody confirmed
delete from subscribers s using (
    select shop_id, subscriber_id from subscribers
    where shop_id = %(shop_id)s and created_at < %(before)s and state = 'unconfirmed'
    order by created_at limit %(limit)s for update skip locked
) old where s.shop_id = old.shop_id and s.subscriber_id = old.subscriber_id;
