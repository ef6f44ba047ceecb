-- events_to_repeat: what went into a run, as long as events are kept
select e.topic, e.payload
from work w join events e on e.shop_id = w.shop_id and e.event_id = w.event_id
where w.shop_id = %(shop_id)s and w.run_id = %(run_id)s
order by e.event_id
limit 1000;

-- hurry: repeated events do not wait for the delay of their topic again
update work set due_at = now()
where shop_id = %(shop_id)s and automation_id = %(automation_id)s and event_id = any(%(event_ids)s) and done_at is null;

-- ask_to_stop: a wish, for the scan to see; the first who asks is remembered
update runs set cancel_asked_by = coalesce(cancel_asked_by, %(by)s)
where shop_id = %(shop_id)s and run_id = %(run_id)s and state = 'running';

-- asked_to_stop: who wants the run to stop
select cancel_asked_by from runs where shop_id = %(shop_id)s and run_id = %(run_id)s;

-- goes_on: a run whose automation is at work, and stays so to the end of the transaction
select from runs r join automations a using (shop_id, automation_id)
where r.shop_id = %(shop_id)s and r.run_id = %(run_id)s and r.state = 'running' and a.enabled
for share of a;

-- close: end a run that nothing works on any more
update runs set state = 'cancelled', because = %(because)s, finished_at = %(at)s
where shop_id = %(shop_id)s and run_id = %(run_id)s and state = 'running';
