-- uninstalled: shops at work that sent app/uninstalled after we last read them
select s.shop_id from shops s
where s.status <> 'uninstalled' and exists (
    select from events e
    where e.shop_id = s.shop_id and e.topic = 'shopify/app/uninstalled'
      and e.received_at > coalesce(s.read_at, s.created_at)
)
order by s.shop_id limit 10000;

-- is_uninstalled: whether a shop sent app/uninstalled after we last read it
select s.shop_id from shops s
where s.shop_id = %(shop_id)s and exists (
    select from events e
    where e.topic = 'shopify/app/uninstalled' and e.shop_id = s.shop_id
      and e.received_at > coalesce(s.read_at, s.created_at)
);

-- last_webhook: when a shop last sent us anything; event ids sort by age
select received_at from events
where shop_id = %(shop_id)s and source = 'shopify'
order by event_id desc limit 1;

-- outcome: whether an automation has dealt with an event, and in which run
select done_at is not null as done, run_id from work
where shop_id = %(shop_id)s and event_id = %(event_id)s and automation_id = %(automation_id)s;

-- waiting_of_automation: how many events wait for an automation's runs now
select count(*) from work
where shop_id = %(shop_id)s and automation_id = %(automation_id)s and done_at is null and due_at <= now();

-- woken_waiting: events that an automation sent itself while a run of it went on, and that still wait
select count(*) from work w join events e using (shop_id, event_id)
where w.shop_id = %(shop_id)s and w.automation_id = %(automation_id)s and w.done_at is null
  and w.event_id > %(after)s and w.event_id < %(before)s and e.source in ('sweep', 'automation');
