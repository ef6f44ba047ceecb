-- insert_run: a run, finished or still going on; one that was ended by others does not go on
insert into runs (shop_id, run_id, automation_id, kind, subject, title, state, because, error, plan, input, progress,
                  requests, started_at, finished_at)
values (%(shop_id)s, %(run_id)s, %(automation_id)s, %(kind)s, %(subject)s, %(title)s, %(state)s, %(because)s,
        %(error)s, %(plan)s, %(input)s, %(progress)s, %(requests)s, %(started_at)s, %(finished_at)s)
on conflict (shop_id, run_id) do update
set state = excluded.state, because = excluded.because, error = excluded.error, plan = excluded.plan,
    progress = excluded.progress, requests = excluded.requests, finished_at = excluded.finished_at
where excluded.state <> 'running' or runs.state = 'running';

-- add_requests: requests made for a run's effects
update runs set requests = requests + %(requests)s where shop_id = %(shop_id)s and run_id = %(run_id)s;

-- get_run: one run, by its id alone
select shop_id, run_id, automation_id, kind, subject, title, state, because, error, plan, input, progress, requests,
       started_at, finished_at
from runs where run_id = %(run_id)s limit 1;

-- list_runs: newest first, of one automation, one state or all
select shop_id, run_id, automation_id, kind, subject, title, state, because, error, null::jsonb as plan,
       null::jsonb as input, progress, requests, started_at, finished_at
from runs
where (%(automation_id)s::text is null or automation_id = %(automation_id)s)
  and (%(shop_id)s::bigint is null or shop_id = %(shop_id)s)
  and (%(state)s::text is null or state = %(state)s)
  and (%(before)s::text is null or run_id < %(before)s)
order by run_id desc
limit %(limit)s;

-- events_of_run: what a run was about
select e.event_id, e.topic, e.payload, e.source, e.received_at, e.triggered_at
from work w join events e on e.shop_id = w.shop_id and e.event_id = w.event_id
where w.shop_id = %(shop_id)s and w.run_id = %(run_id)s
order by e.event_id
limit 1000;

-- insert_effect: something to be done once
insert into effects (shop_id, effect_id, run_id, automation_id, subject, kind, payload, state, attempts, next_at, result,
                     created_at, finished_at)
values (%(shop_id)s, %(effect_id)s, %(run_id)s, %(automation_id)s, %(subject)s, %(kind)s, %(payload)s, %(state)s, 0,
        null, %(result)s, %(created_at)s, %(finished_at)s);

-- begin_attempt: count and record that an effect is about to be tried
with counted as (
    update effects set attempts = attempts + 1
    where shop_id = %(shop_id)s and effect_id = %(effect_id)s and state = 'pending'
    returning attempts
)
insert into attempts (shop_id, effect_id, attempt, started_at)
select %(shop_id)s, %(effect_id)s, attempts, %(at)s from counted
returning attempt;

-- end_attempt: what came of the newest attempt
update attempts set finished_at = %(at)s, outcome = %(outcome)s, detail = %(detail)s
where shop_id = %(shop_id)s and effect_id = %(effect_id)s and attempt = %(attempt)s;

-- finish_effect: the effect's state for good
update effects set state = %(state)s, result = %(result)s, finished_at = %(at)s
where shop_id = %(shop_id)s and effect_id = %(effect_id)s;

-- orphan_corrections: corrections that a crash left behind; the pool's open intent settles them
update effects set state = 'unknown', finished_at = %(at)s, result = %(result)s
where shop_id = %(shop_id)s and automation_id = %(automation_id)s and subject = %(subject)s
  and kind = 'correct' and state = 'pending'
returning effect_id;

-- orphan_placements: publishing that a crash left behind; the next read shows what became of it
update effects set state = 'unknown', finished_at = %(at)s, result = %(result)s
where shop_id = %(shop_id)s and automation_id = %(automation_id)s and subject = %(subject)s
  and kind in ('publish', 'unpublish') and state = 'pending'
returning payload;

-- report_error: an effect of a run was refused; a run that still goes on says so at its end
update runs set error = %(error)s, state = 'failed'
where shop_id = %(shop_id)s and run_id = %(run_id)s and state = 'succeeded'
returning true;

-- failed_with_code: failed runs of an automation with errors of one kind since
select count(*) from runs
where shop_id = %(shop_id)s and started_at >= %(since)s and state = 'failed' and automation_id = %(automation_id)s
  and error ->> 'code' = %(code)s;

-- effects_of_run: what a run decided to do, and what came of it
select effect_id, kind, payload, state, attempts, result, created_at, finished_at
from effects where shop_id = %(shop_id)s and run_id = %(run_id)s
order by effect_id limit 10000;

-- attempts_of_run: every try
select a.effect_id, a.attempt, a.started_at, a.finished_at, a.outcome, a.detail
from attempts a join effects e using (shop_id, effect_id)
where e.shop_id = %(shop_id)s and e.run_id = %(run_id)s
order by a.effect_id, a.attempt limit 10000;
