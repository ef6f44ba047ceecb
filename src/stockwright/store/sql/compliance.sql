-- waiting_webhooks: privacy webhooks that nobody has answered yet, oldest first
select e.shop_id, e.event_id, e.topic, e.payload, e.shopify_event_id, e.received_at, s.domain, s.status,
       exists (
           select from events u where u.shop_id = e.shop_id and u.topic = 'shopify/app/uninstalled'
       ) as was_uninstalled
from events e join shops s on s.shop_id = e.shop_id
where e.topic in ('shopify/customers/data_request', 'shopify/customers/redact', 'shopify/shop/redact')
  and e.payload <> '{}'
order by e.received_at, e.event_id limit %(limit)s;

-- insert_request: what was asked; asked twice is one request
insert into compliance_requests (shop_id, request_id, domain, topic, address_hash, customer_id, received_at, due_at)
values (%(shop_id)s, %(request_id)s, %(domain)s, %(topic)s, %(address_hash)s, %(customer_id)s, %(received_at)s,
        %(due_at)s)
on conflict (shop_id, request_id) do nothing;

-- empty_webhook: what a privacy webhook says of a person is not kept
update events set payload = '{}' where shop_id = %(shop_id)s and event_id = %(event_id)s;

-- finish_request: what was done; who asked is not kept
update compliance_requests
set done_at = %(at)s, result = %(result)s, note = '', address_hash = null, customer_id = ''
where shop_id = %(shop_id)s and request_id = %(request_id)s and done_at is null;

-- save_data: the answer to a data request, for the merchant to hand over
update compliance_requests set data = %(data)s, result = %(result)s, note = %(note)s
where shop_id = %(shop_id)s and request_id = %(request_id)s and done_at is null;

-- put_note: why a request waits for a person
update compliance_requests set note = %(note)s
where shop_id = %(shop_id)s and request_id = %(request_id)s and done_at is null;

-- list_requests: privacy requests, those to be done first, then the newest
select shop_id, request_id, domain, topic, received_at, due_at, done_at, result, note, data is not null as has_data
from compliance_requests
order by done_at is not null, case when done_at is null then due_at end, received_at desc, request_id
limit %(limit)s;

-- shops_to_delete: shops whose data is to be deleted and is not gone yet
select shop_id, request_id, domain, topic, received_at, due_at, done_at, result, note, data is not null as has_data
from compliance_requests
where topic = 'shopify/shop/redact' and done_at is null and note = '' order by received_at limit %(limit)s;

-- get_request: one privacy request
select shop_id, request_id, domain, topic, received_at, due_at, done_at, result, note, data is not null as has_data
from compliance_requests where request_id = %(request_id)s limit 1;

-- data_of: the sealed answer to a data request
select data from compliance_requests where request_id = %(request_id)s limit 1;

-- count_open: requests that wait for a person, by shop
select shop_id, count(*), min(due_at) from compliance_requests
where done_at is null and note <> '' group by shop_id limit 10000;

-- forget_data: files that were handed over are not kept for ever
update compliance_requests set data = null where data is not null and done_at < %(before)s;

-- delete_subscribers_of: some of a shop's people
delete from subscribers where ctid = any(array(
    select ctid from subscribers where shop_id = %(shop_id)s limit %(limit)s
));

-- delete_messages_of: some of a shop's messages
delete from messages where ctid = any(array(select ctid from messages where shop_id = %(shop_id)s limit %(limit)s));

-- delete_events_of: some of what came in for a shop
delete from events where ctid = any(array(select ctid from events where shop_id = %(shop_id)s limit %(limit)s));

-- delete_work_of: some of the work that it meant
delete from work where ctid = any(array(select ctid from work where shop_id = %(shop_id)s limit %(limit)s));

-- delete_deliveries_of: some of the webhook ids of a shop
delete from deliveries where ctid = any(array(select ctid from deliveries where shop_id = %(shop_id)s limit %(limit)s));

-- delete_runs_of: some of a shop's runs
delete from runs where ctid = any(array(select ctid from runs where shop_id = %(shop_id)s limit %(limit)s));

-- delete_effects_of: some of what they did
delete from effects where ctid = any(array(select ctid from effects where shop_id = %(shop_id)s limit %(limit)s));

-- delete_journal_of: some of the journal of a shop's stocks
delete from journal where ctid = any(array(select ctid from journal where shop_id = %(shop_id)s limit %(limit)s));

-- delete_rest_of: what is left of a shop in tables that do not go with it
with gone_pools as (delete from pools where shop_id = %(shop_id)s),
gone_items as (delete from items where shop_id = %(shop_id)s),
gone_keys as (delete from keys where shop_id = %(shop_id)s),
gone_hours as (delete from hourly where shop_id = %(shop_id)s),
gone_paces as (delete from mail_paces where shop_id = %(shop_id)s),
gone_counts as (delete from signup_counts where shop_id = %(shop_id)s)
delete from restock_waves where shop_id = %(shop_id)s;

-- back_in_line: people whose queued mail was cancelled because the app was removed wait on, should it come back
with chosen as (
    select s.shop_id, s.subscriber_id from subscribers s
    join messages m on m.shop_id = s.shop_id and m.message_id = s.message_id
    where s.shop_id = %(shop_id)s and s.state = 'queued' and m.state = 'cancelled'
    order by s.subscriber_id for update of s
), waiting as (
    update subscribers s
    set state = case s.delivered when 'sent' then 'unknown' when 'failed' then 'failed' else 'pending' end,
        reason = %(reason)s, message_id = '', wave_id = '',
        ended_at = case when s.delivered = '' then null else %(at)s::timestamptz end
    from chosen where s.shop_id = chosen.shop_id and s.subscriber_id = chosen.subscriber_id
), untold as (
    update notifications n set state = 'dropped', reason = %(reason)s, finished_at = %(at)s
    from chosen where n.shop_id = chosen.shop_id and n.subscriber_id = chosen.subscriber_id
      and n.state in ('queued', 'held')
)
insert into subscriber_steps (shop_id, subscriber_id, at, what, detail)
select shop_id, subscriber_id, %(at)s, 'held', %(reason)s from chosen;
