-- drop_others: forget topics that are no longer wanted
delete from webhook_subscriptions
where shop_id = %(shop_id)s and topic <> all(%(topics)s::text[]);

-- upsert: what the last check showed for each wanted topic
insert into webhook_subscriptions (shop_id, topic, subscription_id, uri, problem, checked_at)
select %(shop_id)s, w.topic, w.subscription_id, w.uri, w.problem, %(checked_at)s
from unnest(%(topics)s::text[], %(subscription_ids)s::text[], %(uris)s::text[], %(problems)s::text[])
    as w (topic, subscription_id, uri, problem)
order by w.topic
on conflict (shop_id, topic) do update
set subscription_id = excluded.subscription_id, uri = excluded.uri, problem = excluded.problem,
    checked_at = excluded.checked_at;

-- of_shop: wanted topics of a shop
select topic, subscription_id, uri, problem, checked_at
from webhook_subscriptions where shop_id = %(shop_id)s order by topic limit 1000;

-- uris_of: addresses used before
select distinct uri from webhook_subscriptions
where shop_id = %(shop_id)s and uri <> '' order by uri limit 100;
