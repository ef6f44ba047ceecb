-- of_key: all that is known of a key before its shop is read, in one answer
select a.shop_id, a.automation_id, a.kind, a.name, a.options, a.topics, a.enabled, a.created_at, a.updated_at,
       s.shop_id, s.domain, s.api_url, s.plan, s.status, s.status_reason, s.auth_mode, s.client_id, s.secrets, s.token,
       s.token_expires_at, s.scopes, s.name, s.timezone, s.locations, s.channels, s.default_location_id,
       s.primary_host, s.on_unknown, s.read_at, s.created_at,
       (select json_agg(to_json(p)) from (
            select p.*, (
                select json_agg(json_build_array(m.item_id, m.location_id, m.title, m.expected))
                from pool_members m where m.shop_id = p.shop_id and m.pool_id = p.pool_id
            ) as members
            from pools p
            where p.shop_id = %(shop_id)s and p.automation_id = %(automation_id)s and p.product_id = %(subject)s
            limit 100000
       ) p) as pools,
       (select json_agg(json_build_array(i.item_id, i.variant_id, i.title)) from (
            select * from items i where i.shop_id = %(shop_id)s and i.product_id = %(subject)s limit 5000
       ) i) as items,
       (select json_agg(to_json(e)) from (
            select e.*
            from work w cross join lateral (
                select e.event_id, e.topic, e.payload, e.source, e.received_at, e.triggered_at
                from events e where e.shop_id = w.shop_id and e.event_id = w.event_id offset 0
            ) e
            where w.shop_id = %(shop_id)s and w.automation_id = %(automation_id)s and w.subject = %(subject)s
              and w.done_at is null and w.due_at <= greatest(%(now)s, now())
            order by w.due_at, w.event_id
            limit %(limit)s
       ) e) as events
from automations a join shops s using (shop_id)
where a.shop_id = %(shop_id)s and a.automation_id = %(automation_id)s;

-- begin_correction: count and record that a correction is about to be sent, and read the pool that it is of
with counted as (
    update effects set attempts = attempts + 1
    where shop_id = %(shop_id)s and effect_id = %(effect_id)s and state = 'pending'
    returning attempts
), begun as (
    insert into attempts (shop_id, effect_id, attempt, started_at)
    select %(shop_id)s, %(effect_id)s, attempts, %(at)s from counted
)
select (select attempts from counted) as attempt, s.on_unknown, to_json(p) as pool
from (
    select p.*, (
        select json_agg(json_build_array(m.item_id, m.location_id, m.title, m.expected))
        from pool_members m where m.shop_id = p.shop_id and m.pool_id = p.pool_id
    ) as members
    from pools p where p.shop_id = %(shop_id)s and p.pool_id = %(pool_id)s
) p join shops s using (shop_id);
