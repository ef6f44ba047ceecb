-- installed: every automation with its newest run and its failed runs since a time, counted up to a limit
select a.shop_id, a.automation_id, a.kind, a.name, a.enabled, r.run_id as last_run_id, r.started_at as last_run_at,
       r.state as last_run_state,
       (select count(*)
        from (select from runs f
              where f.shop_id = a.shop_id and f.automation_id = a.automation_id and f.state = 'failed'
                and f.started_at >= %(failed_since)s
              limit %(failed_limit)s) failed) as failed_runs
from automations a
left join lateral (
    select run_id, started_at, state from runs
    where shop_id = a.shop_id and automation_id = a.automation_id
    order by run_id desc limit 1
) r on true
order by a.shop_id, a.automation_id;
