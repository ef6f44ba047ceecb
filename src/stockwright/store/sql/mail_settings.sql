-- get: what a shop sets of its mail
select host, port, security, username, password, from_address, from_name, reply_to, rate_per_minute, verify,
       allow_plain, owner_email, dkim_domain, dkim_selector, dkim_key, postal_address, bounce_address, updated_at
from mail_settings where shop_id = %(shop_id)s;

-- save: all of it
insert into mail_settings (shop_id, host, port, security, username, password, from_address, from_name, reply_to,
                           rate_per_minute, verify, allow_plain, owner_email, dkim_domain, dkim_selector, dkim_key,
                           postal_address, bounce_address, updated_at)
values (%(shop_id)s, %(host)s, %(port)s, %(security)s, %(username)s, %(password)s, %(from_address)s, %(from_name)s,
        %(reply_to)s, %(rate_per_minute)s, %(verify)s, %(allow_plain)s, %(owner_email)s,
        %(dkim_domain)s, %(dkim_selector)s, %(dkim_key)s, %(postal_address)s, %(bounce_address)s, %(updated_at)s)
on conflict (shop_id) do update
set host = excluded.host, port = excluded.port, security = excluded.security, username = excluded.username,
    password = excluded.password, from_address = excluded.from_address, from_name = excluded.from_name,
    reply_to = excluded.reply_to, rate_per_minute = excluded.rate_per_minute, verify = excluded.verify,
    allow_plain = excluded.allow_plain, owner_email = excluded.owner_email,
    dkim_domain = excluded.dkim_domain, dkim_selector = excluded.dkim_selector, dkim_key = excluded.dkim_key,
    postal_address = excluded.postal_address, bounce_address = excluded.bounce_address,
    updated_at = excluded.updated_at;

-- stopped: shops whose mail is stopped, the longest first
select q.shop_id, coalesce(nullif(s.name, ''), s.domain) as shop, q.stopped_at, q.stop_reason as reason
from mail_queues q join shops s using (shop_id)
where q.stopped_at is not null order by q.stopped_at limit %(limit)s;

-- queue: how sending stands for a shop
select stopped_at, stop_reason, stopped_with, look_at, paused_until, pause_reason, pauses, policy_in_row
from mail_queues where shop_id = %(shop_id)s;

-- stop: nothing is sent until the settings change or work again
insert into mail_queues (shop_id, stopped_at, stop_reason, stopped_with, look_at)
values (%(shop_id)s, %(at)s, %(reason)s, %(account)s, %(look_at)s)
on conflict (shop_id) do update
set stopped_at = case when mail_queues.stopped_with = excluded.stopped_with
                      then coalesce(mail_queues.stopped_at, excluded.stopped_at) else excluded.stopped_at end,
    stop_reason = excluded.stop_reason, stopped_with = excluded.stopped_with, look_at = excluded.look_at,
    paused_until = null, pause_reason = '', pauses = 0;

-- pause: nothing is sent before then
insert into mail_queues (shop_id, paused_until, pause_reason, pauses)
values (%(shop_id)s, %(until)s, %(reason)s, 1)
on conflict (shop_id) do update
set paused_until = excluded.paused_until, pause_reason = excluded.pause_reason, pauses = mail_queues.pauses + 1;

-- count_policy: a refusal by policy more in a row
insert into mail_queues (shop_id, policy_in_row) values (%(shop_id)s, 1)
on conflict (shop_id) do update set policy_in_row = mail_queues.policy_in_row + 1
returning policy_in_row;

-- clear: sending works
update mail_queues
set stopped_at = null, stop_reason = '', stopped_with = '', look_at = null, paused_until = null, pause_reason = '',
    pauses = 0, policy_in_row = 0
where shop_id = %(shop_id)s;

-- begin_pace: a mail service that was never used
insert into mail_paces (shop_id, free_at) values (%(account)s, now()) on conflict (shop_id) do nothing;

-- take_turns: let as many messages go as the pace allows, else say how long to wait
with pace as (
    select free_at as next_at, greatest(free_at, now() - %(burst_s)s * interval '1 second') as free_at
    from mail_paces where shop_id = %(account)s for update
), granted as (
    select next_at, free_at, case
        when next_at > now() then 0
        else least(%(want)s::integer, floor(extract(epoch from now() - free_at) / %(gap_s)s)::integer + 1)
    end as turns from pace
), moved as (
    update mail_paces p set free_at = g.free_at + g.turns * %(gap_s)s * interval '1 second'
    from granted g where p.shop_id = %(account)s and g.turns > 0
)
select turns, case when turns > 0 then 0.0 else greatest(0.001, extract(epoch from next_at - now())) end::double precision
from granted;
