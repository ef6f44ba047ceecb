-- delete_events: old events with their work, except what still waits
with old as (
    select e.shop_id, e.event_id from events e
    where e.received_at < %(before)s and not exists (
        select from work w where w.shop_id = e.shop_id and w.event_id = e.event_id and w.done_at is null
    )
    order by e.received_at limit %(limit)s
    for update skip locked
), gone as (
    delete from work w using old where w.shop_id = old.shop_id and w.event_id = old.event_id
)
delete from events e using old where e.shop_id = old.shop_id and e.event_id = old.event_id;

-- delete_deliveries: webhook ids that no retry will bring again
delete from deliveries d using (
    select shop_id, webhook_id from deliveries where received_at < %(before)s
    order by received_at limit %(limit)s for update skip locked
) old where d.shop_id = old.shop_id and d.webhook_id = old.webhook_id;

-- delete_runs: old runs with their effects and attempts, except what is still to be done
with old as (
    select r.shop_id, r.run_id from runs r
    where r.started_at < %(before)s and r.state <> 'running' and not exists (
        select from effects e where e.shop_id = r.shop_id and e.run_id = r.run_id and e.state = 'pending'
    )
    order by r.started_at limit %(limit)s
    for update skip locked
), gone as (
    delete from effects e using old where e.shop_id = old.shop_id and e.run_id = old.run_id
)
delete from runs r using old where r.shop_id = old.shop_id and r.run_id = old.run_id;

-- delete_idle_keys: keys that say nothing any more
delete from keys k using (
    select shop_id, automation_id, subject from keys
    where failures = 0 and retry_at is null and wake_at is null and cursor is null
    order by shop_id, automation_id, subject limit %(limit)s for update skip locked
) idle where k.shop_id = idle.shop_id and k.automation_id = idle.automation_id and k.subject = idle.subject;
