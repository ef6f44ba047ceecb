-- Each webhook asks which stock has its level. Before the table's first statistics the planner thought an index that
-- begins with the shop as good as the primary key, and read every level of the shop: 1.5 ms of 2 for 2,000 levels.
-- A pool's id is its own; an index on it alone can be used for nothing but the levels of that pool.
drop index pool_members_of_pool;
create index pool_members_of_pool on pool_members (pool_id);
