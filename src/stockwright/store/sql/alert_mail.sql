-- hold: until the transaction ends, nobody ends the waiting of those whom these messages tell
with held as materialized (
    select shop_id, message_id from messages
    where shop_id = %(shop_id)s and message_id = any(%(message_ids)s::text[])
    order by message_id for no key update
)
select from held
join notifications n on n.shop_id = held.shop_id and n.message_id = held.message_id
join subscribers s on s.shop_id = n.shop_id and s.subscriber_id = n.subscriber_id
order by s.subscriber_id for share of s;

-- addresses_of: the addresses of those whom these messages tell
select distinct s.address_hash from notifications n join subscribers s using (shop_id, subscriber_id)
where n.shop_id = %(shop_id)s and n.message_id = any(%(message_ids)s::text[]) and s.email <> '';

-- alerts_of: what is known now of the people whom these messages tell
select n.message_id, n.wave_id, n.state as telling, s.subscriber_id, s.state, s.product_id, s.variant_id, s.quantity,
       s.email <> '' as has_address,
       exists (select from suppressions p where p.shop_id = s.shop_id and p.address_hash = s.address_hash) as is_suppressed
from notifications n join subscribers s using (shop_id, subscriber_id)
where n.shop_id = %(shop_id)s and n.message_id = any(%(message_ids)s::text[])
order by n.message_id, s.subscriber_id limit 20000;

-- drop_messages: messages that are not sent after all, if this sender still has them
update messages m set state = 'cancelled', reason = d.reason, next_at = null, lease_until = null
from unnest(%(message_ids)s::text[], %(fences)s::bigint[], %(reasons)s::text[]) as d (message_id, fence, reason)
where m.shop_id = %(shop_id)s and m.message_id = d.message_id and m.fence = d.fence and m.state = 'pending'
returning m.message_id;

-- back_in_line: whom a cancelled message was for waits on, with the reason; one who was told before is that again
with mails as (
    select message_id, reason from unnest(%(message_ids)s::text[], %(reasons)s::text[]) as d (message_id, reason)
), waits as (
    update subscribers s
    set state = case s.delivered when 'sent' then 'unknown' when 'failed' then 'failed' else 'pending' end,
        reason = mails.reason, message_id = '', wave_id = '',
        ended_at = case when s.delivered = '' then null else %(at)s::timestamptz end
    from mails where s.shop_id = %(shop_id)s and s.message_id = mails.message_id and s.state = 'queued'
    returning s.shop_id, s.subscriber_id, s.variant_id, mails.reason
), untold as (
    update notifications n set state = 'dropped', reason = mails.reason, finished_at = %(at)s
    from mails where n.shop_id = %(shop_id)s and n.message_id = mails.message_id and n.state = 'queued'
    returning n.shop_id, n.subscriber_id, n.wave_id
), told as (
    insert into subscriber_steps (shop_id, subscriber_id, at, what, detail, wave_id)
    select w.shop_id, w.subscriber_id, %(at)s, 'held', w.reason, coalesce(u.wave_id, '')
    from waits w left join untold u using (shop_id, subscriber_id)
)
update wave_variants v set told = greatest(v.told - c.people, 0), told_in_turn = greatest(v.told_in_turn - c.people, 0)
from (
    select u.wave_id, w.variant_id, count(*)::integer as people
    from waits w join untold u using (shop_id, subscriber_id) group by u.wave_id, w.variant_id
) c
where v.shop_id = %(shop_id)s and v.wave_id = c.wave_id and v.variant_id = c.variant_id;

-- settle: what came of messages is what came of the people whom they tell
with mails as (
    select * from unnest(%(message_ids)s::text[], %(states)s::text[], %(reasons)s::text[], %(replies)s::text[],
                         %(suppress)s::boolean[]) as m (message_id, state, reason, reply, suppress)
), found as (
    select n.subscriber_id, n.wave_id, mails.*
    from mails join notifications n on n.shop_id = %(shop_id)s and n.message_id = mails.message_id
), ended as (
    update subscribers s
    set state = case when s.state in ('queued', 'unknown', 'pending') then f.state else s.state end,
        reason = case when s.state in ('queued', 'unknown', 'pending') then f.reason else s.reason end,
        delivered = case f.state when 'failed' then 'failed' else 'sent' end,
        notified_at = case when f.state = 'failed' then s.notified_at else %(at)s end,
        ended_at = coalesce(s.ended_at, %(at)s)
    from found f where s.shop_id = %(shop_id)s and s.subscriber_id = f.subscriber_id
    returning s.shop_id, s.subscriber_id, s.address_hash, f.wave_id, f.state as outcome, f.reason, f.reply, f.suppress
), noted as (
    update notifications n set state = f.state, reason = f.reason, smtp_reply = f.reply, finished_at = %(at)s
    from found f
    where n.shop_id = %(shop_id)s and n.subscriber_id = f.subscriber_id and n.message_id = f.message_id
), told as (
    insert into subscriber_steps (shop_id, subscriber_id, at, what, detail, wave_id)
    select shop_id, subscriber_id, %(at)s, outcome, case when reason = '' then reply else reason end, wave_id from ended
)
insert into suppressions (shop_id, address_hash, reason, detail, at)
select distinct on (address_hash) shop_id, address_hash, 'refused', reply, %(at)s::timestamptz from ended where suppress
on conflict (shop_id, address_hash) do nothing;

-- suppress_others: whoever waits with an address that was refused is told of nothing
with ended as (
    update subscribers s set state = 'suppressed', reason = %(reason)s, ended_at = %(at)s
    where s.shop_id = %(shop_id)s and s.state in ('unconfirmed', 'pending', 'queued') and s.address_hash in (
        select o.address_hash from notifications n join subscribers o using (shop_id, subscriber_id)
        where n.shop_id = %(shop_id)s and n.message_id = any(%(message_ids)s::text[])
    )
    returning s.shop_id, s.subscriber_id
)
insert into subscriber_steps (shop_id, subscriber_id, at, what, detail)
select shop_id, subscriber_id, %(at)s, 'suppressed', %(reason)s from ended;

-- keys_taken: of these keys, those that a message of the shop has
select key from messages where shop_id = %(shop_id)s and key = any(%(keys)s::text[]) order by key limit 10000;

-- fail_people: nobody can write to these people
with ended as (
    update subscribers set state = 'failed', delivered = 'failed', reason = %(reason)s, ended_at = %(at)s, message_id = ''
    where shop_id = %(shop_id)s and subscriber_id = any(%(subscriber_ids)s::text[]) and state = 'queued'
    returning shop_id, subscriber_id, wave_id
), noted as (
    update notifications n set state = 'failed', reason = %(reason)s, finished_at = %(at)s, message_id = ''
    from ended where n.shop_id = ended.shop_id and n.subscriber_id = ended.subscriber_id and n.state = 'queued'
)
insert into subscriber_steps (shop_id, subscriber_id, at, what, detail, wave_id)
select shop_id, subscriber_id, %(at)s, 'failed', %(reason)s, wave_id from ended;

-- cancel_people: whom a message was for, that a person cancelled, waits no more
with ended as (
    update subscribers set state = 'cancelled', reason = %(reason)s, ended_at = now()
    where shop_id = %(shop_id)s and message_id = %(message_id)s and state = 'queued'
    returning shop_id, subscriber_id, wave_id
), noted as (
    update notifications set state = 'dropped', reason = %(reason)s, finished_at = now()
    where shop_id = %(shop_id)s and message_id = %(message_id)s and state = 'queued'
)
insert into subscriber_steps (shop_id, subscriber_id, at, what, detail, wave_id)
select shop_id, subscriber_id, now(), 'cancelled', %(reason)s, wave_id from ended;

-- queue_people_again: whom a message was for, that a person sends again; nobody who waits anew meanwhile
with again as (
    update subscribers s set state = 'queued', reason = '', ended_at = null
    where s.shop_id = %(shop_id)s and s.message_id = %(message_id)s and s.email <> ''
      and s.state in ('failed', 'bounced', 'unknown', 'cancelled') and not exists (
          select from subscribers w
          where w.shop_id = s.shop_id and w.address_hash = s.address_hash and w.variant_id = s.variant_id
            and w.state in ('unconfirmed', 'pending', 'queued')
      )
    returning s.shop_id, s.subscriber_id, s.wave_id
), noted as (
    update notifications n set state = 'queued', reason = '', smtp_reply = '', finished_at = null
    from again where n.shop_id = again.shop_id and n.subscriber_id = again.subscriber_id
      and n.message_id = %(message_id)s
)
insert into subscriber_steps (shop_id, subscriber_id, at, what, detail, wave_id)
select shop_id, subscriber_id, now(), 'sent_again', 'The same message is sent once more.', wave_id from again;
