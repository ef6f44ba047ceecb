-- insert_message: a message that is to be sent once; nothing comes back when its key is there already
insert into messages (shop_id, message_id, key, kind, recipient, subject, text, html, headers, from_name, reply_to,
                      next_at, created_at)
values (%(shop_id)s, %(message_id)s, %(key)s, %(kind)s, %(recipient)s, %(subject)s, %(text)s, %(html)s, %(headers)s,
        %(from_name)s, %(reply_to)s, now(), %(at)s)
on conflict (shop_id, key) do nothing
returning message_id;

-- insert_messages: several of them; those whose key is there already do not come back. Bodies go in binary form (b):
-- as text, each of their quotes would be escaped
insert into messages (shop_id, message_id, key, kind, recipient, subject, text, html, headers, next_at, created_at)
select %(shop_id)s, m.message_id, m.key, %(kind)s, m.recipient, m.subject, m.text, m.html, m.headers, now(), %(at)s
from unnest(%(message_ids)s::text[], %(keys)s::text[], %(recipients)s::text[], %(subjects)s::text[], %(texts)b::text[],
            %(htmls)b::text[], %(headers)s::jsonb[])
     as m (message_id, key, recipient, subject, text, html, headers)
on conflict (shop_id, key) do nothing
returning message_id;

-- claim: lend messages that are due to one sender, oldest due first; the fence grows
with due as (
    select shop_id, message_id from messages
    where shop_id = %(shop_id)s and state = 'pending' and next_at <= now()
      and (lease_until is null or lease_until <= now())
      and (%(message_id)s::text is null or message_id = %(message_id)s)
    order by next_at, message_id
    limit %(limit)s
    for update skip locked
)
update messages m set lease_until = now() + %(lease_s)s * interval '1 second', fence = m.fence + 1
from due where m.shop_id = due.shop_id and m.message_id = due.message_id
returning m.shop_id, m.message_id, m.key, m.kind, m.recipient, m.subject, m.text, m.html, m.headers, m.from_name,
          m.reply_to, m.attempts, m.fence, m.tried_since, m.next_at as due_at;

-- begin: from here on they may have been delivered, whatever happens; none of those that another sender has
with begun as (
    update messages m
    set state = 'sending', attempts = m.attempts + 1, reason = '', lease_until = now() + %(lease_s)s * interval '1 second'
    from unnest(%(message_ids)s::text[], %(fences)s::bigint[]) as b (message_id, fence)
    where m.shop_id = %(shop_id)s and m.message_id = b.message_id and m.fence = b.fence and m.state = 'pending'
    returning m.message_id, m.fence, m.attempts
)
insert into message_attempts (shop_id, message_id, attempt, fence, server, started_at)
select %(shop_id)s, message_id, attempts, fence, %(server)s, %(at)s from begun
returning message_id;

-- end_attempts: what came of attempts of claims that had begun
update message_attempts a set finished_at = %(at)s, outcome = e.outcome, reply = e.reply
from unnest(%(message_ids)s::text[], %(fences)s::bigint[], %(outcomes)s::text[], %(replies)s::text[])
     as e (message_id, fence, outcome, reply)
where a.shop_id = %(shop_id)s and a.message_id = e.message_id and a.fence = e.fence;

-- add_attempt: an attempt that ended before the message was handed over
with counted as (
    update messages set attempts = attempts + 1
    where shop_id = %(shop_id)s and message_id = %(message_id)s and fence = %(fence)s and state = 'pending'
    returning attempts
)
insert into message_attempts (shop_id, message_id, attempt, fence, server, started_at, finished_at, outcome, reply)
select %(shop_id)s, %(message_id)s, attempts, %(fence)s, %(server)s, %(at)s, %(at)s, %(outcome)s, %(reply)s from counted;

-- finish: states after attempts; an answer that came late still counts when nobody tried again
update messages m
set state = e.state, reason = e.reason, smtp_reply = e.reply, lease_until = null, next_at = e.next_at,
    sent_at = case when e.state = 'sent' then %(at)s::timestamptz end,
    tried_since = coalesce(m.tried_since, %(at)s::timestamptz)
from unnest(%(message_ids)s::text[], %(fences)s::bigint[], %(states)s::text[], %(reasons)s::text[], %(replies)s::text[],
            %(next_ats)s::timestamptz[]) as e (message_id, fence, state, reason, reply, next_at)
where m.shop_id = %(shop_id)s and m.message_id = e.message_id and m.fence = e.fence
  and m.state in ('pending', 'sending', 'unknown')
returning m.message_id;

-- postpone: a claimed message is tried later, without an attempt
update messages set lease_until = null, next_at = %(next_at)s, reason = %(reason)s
where shop_id = %(shop_id)s and message_id = %(message_id)s and fence = %(fence)s and state = 'pending';

-- release: give claimed messages back untouched
update messages set lease_until = null
where shop_id = %(shop_id)s and message_id = any(%(message_ids)s) and state = 'pending' and fence = any(%(fences)s);

-- lose: messages whose sender never told the outcome
with lost as (
    select shop_id, message_id, fence from messages
    where shop_id = %(shop_id)s and state = 'sending' and lease_until <= now()
    order by message_id limit %(limit)s
    for update skip locked
), closed as (
    update message_attempts a set finished_at = %(at)s, outcome = 'unknown', reply = %(reason)s
    from lost where a.shop_id = lost.shop_id and a.message_id = lost.message_id and a.fence = lost.fence
)
update messages m set state = 'unknown', reason = %(reason)s, lease_until = null, next_at = null
from lost where m.shop_id = lost.shop_id and m.message_id = lost.message_id
returning m.message_id;

-- hold: what waits is held, with the reason
update messages set state = 'held', reason = %(reason)s, next_at = null, lease_until = null
where shop_id = %(shop_id)s and state = 'pending' and (lease_until is null or lease_until <= now());

-- let_go: what was held waits again
update messages set state = 'pending', reason = '', next_at = now()
where shop_id = %(shop_id)s and state = 'held';

-- cancel_waiting: nothing that waits is to be sent any more
update messages set state = 'cancelled', reason = %(reason)s, next_at = null, lease_until = null
where shop_id = %(shop_id)s and state in ('pending', 'held') and (lease_until is null or lease_until <= now());

-- cancel_one: one message is not to be sent any more
update messages set state = 'cancelled', reason = %(reason)s, next_at = null
where shop_id = %(shop_id)s and message_id = %(message_id)s and state in ('pending', 'held')
  and (lease_until is null or lease_until <= now());

-- send_again: by a person's wish; the same message with the same Message-ID
update messages
set state = 'pending', reason = '', next_at = now(), tried_since = null, lease_until = null
where shop_id = %(shop_id)s and message_id = %(message_id)s
  and state in ('failed', 'unknown', 'held', 'cancelled', 'pending') and (lease_until is null or lease_until <= now());

-- next_time: when something is to be done for a shop's messages
select min(case when lease_until is null then next_at else greatest(next_at, lease_until) end)
from (
    select next_at, lease_until from messages where shop_id = %(shop_id)s and state = 'pending'
    union all
    select lease_until, lease_until from messages where shop_id = %(shop_id)s and state = 'sending'
) m;

-- shops_to_look_at: shops whose messages are due, held or left behind
select shop_id from messages where state = 'pending' and next_at <= now()
union
select shop_id from messages where state = 'held'
union
select shop_id from messages where state = 'sending' and lease_until <= now()
order by shop_id limit 10000;

-- get: one message by its id alone; ids are unique over all shops
select shop_id, message_id, key, kind, recipient, subject, text, html, headers, from_name, reply_to, state, reason,
       attempts, next_at, created_at, sent_at, smtp_reply
from messages where message_id = %(message_id)s limit 1;

-- find_key: one message by what it is about
select shop_id, message_id, key, kind, recipient, subject, text, html, headers, from_name, reply_to, state, reason,
       attempts, next_at, created_at, sent_at, smtp_reply
from messages where shop_id = %(shop_id)s and key = %(key)s;

-- ending_in: ids that end in these characters
select message_id from messages where message_id like '%%' || %(ending)s order by message_id desc limit 2;

-- list_messages: newest first, without their bodies
select shop_id, message_id, key, kind, recipient, subject, '' as text, '' as html, '{}'::jsonb as headers, from_name,
       reply_to, state, reason, attempts, next_at, created_at, sent_at, smtp_reply
from messages
where (%(shop_id)s::bigint is null or shop_id = %(shop_id)s)
  and (%(state)s::text is null or state = %(state)s)
  and (%(kind)s::text is null or kind = %(kind)s)
  and (%(recipient)s::text is null or lower(recipient) = lower(%(recipient)s))
  and (%(before)s::text is null or message_id < %(before)s)
order by message_id desc
limit %(limit)s;

-- attempts: every try at a message
select attempt, server, started_at, finished_at, outcome, reply
from message_attempts where shop_id = %(shop_id)s and message_id = %(message_id)s
order by attempt limit 1000;

-- counts: messages by state, without the many that were sent
select state, count(*) from messages
where state <> 'sent' and (%(shop_id)s::bigint is null or shop_id = %(shop_id)s)
group by state order by state;

-- sent_per_hour: messages sent since, by the hour
select date_trunc('hour', sent_at) as hour, count(*)
from messages where state = 'sent' and sent_at >= %(since)s and (%(shop_id)s::bigint is null or shop_id = %(shop_id)s)
group by 1 order by 1 limit 10000;

-- delete_old: ended messages that are kept no longer
delete from messages m using (
    select shop_id, message_id from messages
    where created_at < %(before)s and state in ('sent', 'failed', 'unknown', 'cancelled')
    order by created_at limit %(limit)s for update skip locked
) old where m.shop_id = old.shop_id and m.message_id = old.message_id;

-- failures_like: failed runs of an automation with this error since
select count(*) from runs
where shop_id = %(shop_id)s and started_at >= %(since)s and state = 'failed' and automation_id = %(automation_id)s
  and error ->> 'message' = %(message)s;
