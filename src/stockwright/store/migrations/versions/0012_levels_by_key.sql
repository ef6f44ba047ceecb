-- Before a table's first statistics the planner thinks any index that begins with the shop as good as the primary key, and
-- reads all rows of the shop: every level for each webhook (1.5 ms of 2 for 2,000 levels), every effect for each effect.
-- These begin with what is sought instead; the shop stands behind it, so that no second index is asked for it.
drop index pool_members_of_pool;
create index pool_members_of_pool on pool_members (pool_id, shop_id);

drop index effects_of_run;
create index effects_of_run on effects (run_id, shop_id);
