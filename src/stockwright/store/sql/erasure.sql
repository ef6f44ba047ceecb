-- erase_people: take what names a person out of up to so many rows of an address or customer
with chosen as (
    select shop_id, subscriber_id, message_id from subscribers
    where shop_id = %(shop_id)s and email <> ''
      and (address_hash = any(%(address_hashes)s::bytea[])
           or (customer_id = %(customer_id)s::text and customer_id <> ''))
    order by subscriber_id limit %(limit)s for update
), erased as (
    update subscribers s
    set email = '', address_hash = sha256(convert_to(s.subscriber_id || gen_random_uuid()::text, 'UTF8')), first_name = '',
        customer_id = '', page = '', consent = s.consent - 'page' - 'client',
        confirm_hash = null, confirm_expires_at = null,
        state = case when s.state in ('unconfirmed', 'pending', 'queued') then 'cancelled' else s.state end,
        reason = 'Erased.', ended_at = coalesce(s.ended_at, %(at)s)
    from chosen where s.shop_id = chosen.shop_id and s.subscriber_id = chosen.subscriber_id
), untold as (
    update notifications n
    set smtp_reply = '', reason = case when n.state in ('queued', 'held') then 'Erased.' else n.reason end,
        state = case when n.state in ('queued', 'held') then 'dropped' else n.state end,
        finished_at = coalesce(n.finished_at, %(at)s)
    from chosen where n.shop_id = chosen.shop_id and n.subscriber_id = chosen.subscriber_id
), wiped as (
    update subscriber_steps t set detail = ''
    from chosen where t.shop_id = chosen.shop_id and t.subscriber_id = chosen.subscriber_id
), told as (
    insert into subscriber_steps (shop_id, subscriber_id, at, what, actor)
    select shop_id, subscriber_id, %(at)s, 'erased', %(actor)s from chosen
)
select subscriber_id from chosen order by subscriber_id;

-- addresses_of_customer: the addresses that a customer signed up with
select distinct email from subscribers
where shop_id = %(shop_id)s and customer_id = %(customer_id)s and customer_id <> '' and email <> ''
limit %(limit)s;

-- erase_messages: take address, texts and answers out of up to so many messages to an address; those that wait are off
with chosen as (
    select shop_id, message_id from messages
    where shop_id = %(shop_id)s and lower(recipient) = %(address)s
    order by message_id limit %(limit)s for update
), wiped as (
    update message_attempts a set reply = ''
    from chosen where a.shop_id = chosen.shop_id and a.message_id = chosen.message_id
), erased as (
    update messages m
    set recipient = '', subject = '', text = '', html = '', headers = '{}', smtp_reply = '', reply_to = '',
        state = case when m.state in ('pending', 'held') then 'cancelled' else m.state end,
        reason = 'Erased.', next_at = null, lease_until = null
    from chosen where m.shop_id = chosen.shop_id and m.message_id = chosen.message_id
)
select message_id from chosen order by message_id;

-- erase_bounces: forget what servers said of an address
update bounces set diagnostic = '', address_hash = sha256(convert_to(bounce_id, 'UTF8'))
where shop_id = %(shop_id)s and address_hash = any(%(address_hashes)s::bytea[]);

-- erase_audit: an address that people acted on leaves the log; what was done stays
update audit_log set detail = detail - 'to'
where detail ->> 'to' is not null and lower(detail ->> 'to') = %(address)s;

-- suppress_erased: an erased address is not mailed again; only its keyed hash is kept
insert into suppressions (shop_id, address_hash, reason, at)
select %(shop_id)s, h, 'erased', %(at)s from unnest(%(address_hashes)s::bytea[]) h
on conflict (shop_id, address_hash) do update set detail = '';

-- messages_to: what was mailed to an address, oldest first
select message_id, kind, subject, text, state, created_at, sent_at from messages
where shop_id = %(shop_id)s and lower(recipient) = any(%(addresses)s::text[])
order by message_id limit %(limit)s;

-- preorders_of: units that a customer ordered ahead under offers, oldest first
select o.offer_id, f.name as offer, o.order_id, o.variant_id, o.quantity, o.ordered_at
from offer_orders o join offers f on f.shop_id = o.shop_id and f.offer_id = o.offer_id
where o.shop_id = %(shop_id)s and o.customer_id = %(customer_id)s and o.customer_id <> ''
order by o.ordered_at limit %(limit)s;

-- erase_preorders: orders count on, without the customer
update offer_orders set customer_id = ''
where shop_id = %(shop_id)s and customer_id = %(customer_id)s and customer_id <> '';

-- erase_events: empty up to so many stored webhooks that name a person by address or customer number
with chosen as (
    select shop_id, event_id from events
    where shop_id = %(shop_id)s and source = 'shopify' and payload <> '{}'
      and (topic like 'shopify/orders/%%' or topic like 'shopify/customers/%%')
      and (lower(payload ->> 'email') = any(%(addresses)s::text[])
           or lower(payload -> 'customer' ->> 'email') = any(%(addresses)s::text[])
           or (%(customer_number)s::text <> '' and payload -> 'customer' ->> 'id' = %(customer_number)s))
    order by event_id limit %(limit)s for update
)
update events e set payload = '{}' from chosen where e.shop_id = chosen.shop_id and e.event_id = chosen.event_id;

-- suppressions_of: why addresses are not mailed
select reason, detail, at from suppressions
where shop_id = %(shop_id)s and address_hash = any(%(address_hashes)s::bytea[])
order by at limit 100;
