-- receive: store a batch of events with the work and the wake-ups that follow, all or nothing
with sent as (
    select * from json_to_recordset(%(batch)s::json) as g (
        no integer, shop_id bigint, event_id text, topic text, subject text, payload jsonb, source text,
        automation_id text, webhook_id text, shopify_event_id text, triggered_at timestamptz
    )
), given as (
    select * from sent where shop_id in (select shop_id from shops)
), fresh as (
    insert into deliveries (shop_id, webhook_id)
    select shop_id, webhook_id from given where webhook_id is not null
    order by shop_id, webhook_id
    on conflict do nothing
    returning shop_id, webhook_id
), kept as (
    insert into events (shop_id, event_id, topic, subject, payload, source, automation_id, webhook_id,
                        shopify_event_id, triggered_at)
    select g.shop_id, g.event_id, g.topic, g.subject, g.payload, g.source, g.automation_id, g.webhook_id,
           g.shopify_event_id, g.triggered_at
    from given g left join fresh f using (shop_id, webhook_id)
    where g.webhook_id is null or f.webhook_id is not null
    order by g.shop_id, g.event_id
    on conflict do nothing
    returning shop_id, event_id, topic, subject, automation_id,
              case when source = 'schedule' then triggered_at else received_at end as counted_from
), routed as (
    select k.shop_id, s.automation_id, k.event_id, k.subject, k.counted_from, s.delay_s
    from kept k join subscriptions s on s.shop_id = k.shop_id and s.topic = k.topic
    where k.automation_id is null
    union all
    select k.shop_id, a.automation_id, k.event_id, k.subject, k.counted_from, coalesce(s.delay_s, 0)
    from kept k
    join automations a on a.shop_id = k.shop_id and a.automation_id = k.automation_id
    left join subscriptions s
        on s.shop_id = k.shop_id and s.topic = k.topic and s.automation_id = k.automation_id
), placed as (
    insert into work (shop_id, automation_id, event_id, subject, due_at)
    select r.shop_id, r.automation_id, r.event_id, coalesce(i.product_id, r.subject),
           coalesce(r.counted_from, now()) + r.delay_s * interval '1 second'
    from routed r
    left join items i on i.shop_id = r.shop_id and i.item_id = r.subject
    on conflict do nothing
    returning shop_id, automation_id, event_id, subject, due_at
), level as materialized ( -- one relation, so that what is joined to it is found by all columns of its key
    select k.shop_id, k.event_id, k.subject as item_id, g.payload ->> 'available' as available,
           'gid://shopify/Location/' || (g.payload ->> 'location_id') as location_id
    from kept k join given g using (shop_id, event_id)
    where k.topic = 'shopify/inventory_levels/update'
), patient as (
    -- a level that stands where its stock has it already: most likely our own write, and nothing to do
    select l.shop_id, p.automation_id, l.event_id
    from level l
    join pool_members m using (shop_id, item_id, location_id)
    join pools p using (shop_id, pool_id)
    where m.expected::text = l.available and p.status = 'active' and not p.in_doubt
    union all -- what a scan wants looked at
    select k.shop_id, k.automation_id, k.event_id
    from kept k join given g using (shop_id, event_id)
    where k.topic = 'stockwright/product/check' and g.source = 'sweep'
)
select
    (select array_agg(g.no) from given g join kept k using (shop_id, event_id)) as stored,
    (select array_agg(s.shop_id) from sent s where not exists (select from shops where shop_id = s.shop_id)) as gone,
    (select wake_keys(
        array_agg(shop_id), array_agg(automation_id), array_agg(subject), array_agg(due_at),
        array_agg(case when e.event_id is null then 0 else -1 end)
     )
     from placed left join patient e using (shop_id, automation_id, event_id) having count(*) > 0) as woken;

-- has_news: whether a webhook about one of these subjects came within the last seconds; reads only the events of those
select exists (
    select from events
    where received_at > clock_timestamp() - make_interval(secs => %(within_s)s::float8)
        and shop_id = %(shop_id)s and source = 'shopify' and subject = any (%(subjects)s::text[])
);
