-- message_of: the message that a report is about; ids are unique over all shops
select shop_id, message_id, recipient, kind, state from messages where message_id = %(message_id)s limit 1;

-- insert_bounce: nothing comes back when the same report was read before
insert into bounces (shop_id, bounce_id, address_hash, message_id, action, status, diagnostic, is_hard, source, at)
values (%(shop_id)s, %(bounce_id)s, %(address_hash)s, %(message_id)s, %(action)s, %(status)s, %(diagnostic)s,
        %(is_hard)s, %(source)s, %(at)s)
on conflict (shop_id, bounce_id) do nothing
returning bounce_id;

-- soft_since: soft bounces of an address, each message once
select count(distinct message_id) from bounces
where shop_id = %(shop_id)s and address_hash = %(address_hash)s and at >= %(since)s and not is_hard
  and action = 'failed';

-- suppress: an address is not mailed any more; what a person asked for outranks what servers say
insert into suppressions (shop_id, address_hash, reason, detail, at)
values (%(shop_id)s, %(address_hash)s, %(reason)s, %(detail)s, %(at)s)
on conflict (shop_id, address_hash) do update
set reason = excluded.reason, detail = excluded.detail, at = excluded.at
where suppressions.reason in ('unsubscribed', 'refused') and excluded.reason in ('bounced', 'complained');

-- bounced_subscribers: who was told by a message that came back
with came_back as (
    update subscribers s
    set state = 'bounced', delivered = 'failed', reason = %(reason)s, notified_at = null,
        ended_at = coalesce(s.ended_at, %(at)s)
    where s.shop_id = %(shop_id)s and s.message_id = %(message_id)s and s.state in ('sent', 'unknown', 'queued')
    returning s.subscriber_id, s.wave_id
), told as (
    update notifications n
    set state = 'failed', reason = %(reason)s, smtp_reply = %(diagnostic)s, finished_at = %(at)s
    from came_back where n.shop_id = %(shop_id)s and n.message_id = %(message_id)s
      and n.subscriber_id = came_back.subscriber_id
)
insert into subscriber_steps (shop_id, subscriber_id, at, what, detail, wave_id)
select %(shop_id)s, subscriber_id, %(at)s, 'bounced', %(reason)s, wave_id from came_back;

-- end_waiting: an address that must not be mailed waits for nothing more
with ended as (
    update subscribers s
    set state = %(state)s, reason = %(reason)s, ended_at = %(at)s,
        unsubscribed_at = case when %(state)s::text = 'unsubscribed' then %(at)s::timestamptz else s.unsubscribed_at end
    where s.shop_id = %(shop_id)s and s.address_hash = %(address_hash)s
      and s.state in ('unconfirmed', 'pending', 'queued')
    returning s.subscriber_id, s.wave_id
)
insert into subscriber_steps (shop_id, subscriber_id, at, what, detail, wave_id)
select %(shop_id)s, subscriber_id, %(at)s, %(state)s, %(reason)s, wave_id from ended;

-- delete_bounces: reports that are kept no longer
delete from bounces b using (
    select shop_id, bounce_id from bounces where at < %(before)s limit %(limit)s
) old where b.shop_id = old.shop_id and b.bounce_id = old.bounce_id;
