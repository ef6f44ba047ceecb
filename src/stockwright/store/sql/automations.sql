-- insert_automation: a new automation of a shop
insert into automations (shop_id, automation_id, kind, name, options, topics, enabled)
values (%(shop_id)s, %(automation_id)s, %(kind)s, %(name)s, %(options)s, %(topics)s, %(enabled)s);

-- update_automation: a new name, options, topics or state of an automation
update automations
set name = %(name)s, options = %(options)s, topics = %(topics)s, enabled = %(enabled)s, updated_at = now()
where shop_id = %(shop_id)s and automation_id = %(automation_id)s;

-- delete_automation: an automation goes, with its subscriptions
delete from automations where shop_id = %(shop_id)s and automation_id = %(automation_id)s;

-- delete_pools_of: its pools and claims go with it
delete from pools where shop_id = %(shop_id)s and automation_id = %(automation_id)s;

-- delete_keys_of: its waiting work goes with it; a scan sees it between two pages
with gone as (
    delete from keys where shop_id = %(shop_id)s and automation_id = %(automation_id)s
), ended as (
    update runs set state = 'cancelled', cancel_asked_by = coalesce(cancel_asked_by, 'removing the automation'),
        because = 'The automation was removed meanwhile. What was done before stays done.', finished_at = now()
    where shop_id = %(shop_id)s and automation_id = %(automation_id)s and state = 'running'
)
delete from work
where shop_id = %(shop_id)s and automation_id = %(automation_id)s and done_at is null;

-- get_automation: one automation by its shop and id
select shop_id, automation_id, kind, name, options, topics, enabled, created_at, updated_at
from automations where shop_id = %(shop_id)s and automation_id = %(automation_id)s;

-- lock_automation: one automation, against a second change; rows that refer to it can still be added
select shop_id, automation_id, kind, name, options, topics, enabled, created_at, updated_at
from automations where shop_id = %(shop_id)s and automation_id = %(automation_id)s
for no key update;

-- find_automation: one automation by its id alone, for the command line
select shop_id, automation_id, kind, name, options, topics, enabled, created_at, updated_at
from automations where automation_id = %(automation_id)s;

-- list_automations: all automations, or one shop's, oldest first
select shop_id, automation_id, kind, name, options, topics, enabled, created_at, updated_at
from automations
where %(shop_id)s::bigint is null or shop_id = %(shop_id)s
order by shop_id, automation_id
limit 10000;

-- clear_subscriptions: before the topics of an automation are written anew
delete from subscriptions where shop_id = %(shop_id)s and automation_id = %(automation_id)s;

-- insert_subscription: one topic that an enabled automation listens to
insert into subscriptions (shop_id, topic, automation_id, delay_s)
values (%(shop_id)s, %(topic)s, %(automation_id)s, %(delay_s)s)
on conflict (shop_id, topic, automation_id) do update set delay_s = least(subscriptions.delay_s, excluded.delay_s);

-- topics_of_shop: every topic that an enabled automation of the shop listens to
select distinct topic from subscriptions where shop_id = %(shop_id)s order by topic limit 1000;
