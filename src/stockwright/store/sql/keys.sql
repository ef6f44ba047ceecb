-- pending: the work of a key that is due, oldest first
select e.event_id, e.topic, e.payload, e.source, e.received_at, e.triggered_at
from work w join events e using (shop_id, event_id)
where w.shop_id = %(shop_id)s and w.automation_id = %(automation_id)s and w.subject = %(subject)s
  and w.done_at is null and w.due_at <= greatest(%(now)s, now())
order by w.due_at, w.event_id
limit %(limit)s;

-- finish: the work went into a run
update work set done_at = now(), run_id = %(run_id)s
where shop_id = %(shop_id)s and automation_id = %(automation_id)s and event_id = any(%(event_ids)s) and done_at is null;

-- reroute: the work belongs to another subject
update work set subject = %(new_subject)s
where shop_id = %(shop_id)s and automation_id = %(automation_id)s and event_id = any(%(event_ids)s) and done_at is null;

-- cancel: nothing that waits for this automation is to be done any more; a scan sees it between two pages
with forgotten as (
    delete from keys where shop_id = %(shop_id)s and automation_id = %(automation_id)s
), ended as (
    update runs set state = 'cancelled', cancel_asked_by = coalesce(cancel_asked_by, 'disabling the automation'),
        because = 'The automation was disabled meanwhile. What was done before stays done.', finished_at = now()
    where shop_id = %(shop_id)s and automation_id = %(automation_id)s and state = 'running'
)
update work set done_at = now()
where shop_id = %(shop_id)s and automation_id = %(automation_id)s and done_at is null;

-- state: what is known of a key besides its work
select failures, retry_at, wake_at, last_error, cursor from keys
where shop_id = %(shop_id)s and automation_id = %(automation_id)s and subject = %(subject)s;

-- set_wake_at: when the key has to run again without a new event
insert into keys (shop_id, automation_id, subject, wake_at)
values (%(shop_id)s, %(automation_id)s, %(subject)s, %(wake_at)s)
on conflict (shop_id, automation_id, subject) do update set wake_at = excluded.wake_at;

-- set_cursor: where a long scan goes on; it came forward, so failures before count no more
insert into keys (shop_id, automation_id, subject, cursor)
values (%(shop_id)s, %(automation_id)s, %(subject)s, %(cursor)s)
on conflict (shop_id, automation_id, subject) do update
set cursor = excluded.cursor, failures = 0, retry_at = null, last_error = '';

-- record_failure: count it, and when to try again
insert into keys (shop_id, automation_id, subject, failures, retry_at, last_error)
values (%(shop_id)s, %(automation_id)s, %(subject)s, 1, %(next_at)s, %(error)s)
on conflict (shop_id, automation_id, subject) do update
set failures = keys.failures + 1, retry_at = excluded.retry_at, last_error = excluded.last_error
returning failures;

-- clear: the failures are over, and the wake-up that this run answered is done
update keys
set failures = 0, retry_at = null, last_error = '', wake_at = case when wake_at > %(started_at)s then wake_at end
where shop_id = %(shop_id)s and automation_id = %(automation_id)s and subject = %(subject)s
  and (failures > 0 or last_error <> '' or wake_at <= %(started_at)s)
returning true;

-- give_up: after the last failure the due work is closed; schedules and new events start afresh
with closed as (
    update work set done_at = now(), run_id = %(run_id)s
    where shop_id = %(shop_id)s and automation_id = %(automation_id)s and subject = %(subject)s
      and done_at is null and due_at <= now()
)
update keys
set failures = 0, retry_at = null, last_error = %(error)s, wake_at = case when wake_at > now() then wake_at end
where shop_id = %(shop_id)s and automation_id = %(automation_id)s and subject = %(subject)s;
