-- take: refill the bucket, take the points if they are there, return the seconds to wait (0 = taken)
with locked as materialized (
    select capacity, restore_rate, available, as_of, blocked_until
    from budgets where shop_id = %(shop_id)s
    for update
), refilled as materialized (
    select capacity, restore_rate, blocked_until, now_.at,
           least(capacity, available + restore_rate * greatest(0, extract(epoch from now_.at - as_of)::float8)) as points
    from locked cross join lateral (select clock_timestamp() as at where locked.capacity is not null) as now_
), verdict as materialized (
    select *, greatest(
        (least(%(cost)s::float8 + %(reserve_share)s::float8 * capacity, capacity) - points) / restore_rate,
        extract(epoch from blocked_until - at)::float8,
        0
    ) as wait_s
    from refilled
), written as (
    update budgets b
    set available = v.points - case when v.wait_s = 0 then %(cost)s::float8 else 0 end, as_of = v.at
    from verdict v
    where b.shop_id = %(shop_id)s
)
select case when wait_s = 0 then 0 else greatest(wait_s, 0.05) end, set_config('synchronous_commit', 'off', true)
from verdict;

-- open: give a shop a full bucket of the standard plan, unless it has one
insert into budgets (shop_id) values (%(shop_id)s) on conflict (shop_id) do nothing;

-- settle: refund, and follow the server's figures where they are lower
update budgets set
    capacity = %(capacity)s::float8,
    restore_rate = %(restore_rate)s::float8,
    available = least(
        %(capacity)s::float8,
        %(server_available)s::float8,
        available + restore_rate * greatest(0, extract(epoch from clock_timestamp() - as_of)::float8)
            + %(refund)s::float8
    ),
    as_of = clock_timestamp()
where shop_id = %(shop_id)s and set_config('synchronous_commit', 'off', true) is not null;

-- block: nobody takes points until then
update budgets
set blocked_until = greatest(blocked_until, clock_timestamp() + make_interval(secs => %(delay_s)s::float8))
where shop_id = %(shop_id)s;
