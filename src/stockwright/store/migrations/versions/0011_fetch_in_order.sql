-- The engine's fetch reads the waiting jobs in their order and asks for each whether its lock is free. Made without
-- statistics, as after an idle time, its plan sorted all that wait and looked through all of them for each lock:
-- 60 ms for one of 1,000. These indexes leave it no other way than the good one (docs/decisions/0013).
drop index procrastinate_jobs_queue_name_idx_v1;
drop index procrastinate_jobs_id_lock_idx_v1;
create index stockwright_jobs_lock_idx on procrastinate_jobs (lock) where status in ('todo', 'doing');
