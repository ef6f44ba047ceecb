-- hold: until the transaction ends, nobody else who holds them decides whether these addresses may be mailed
select pg_advisory_xact_lock(%(lock)s::integer, number) from unnest(%(numbers)s::integer[]) as number;

-- among: why some of these addresses must not be mailed
select address_hash, reason from suppressions
where shop_id = %(shop_id)s and address_hash = any(%(address_hashes)s::bytea[]);

-- get: why an address must not be mailed
select reason from suppressions where shop_id = %(shop_id)s and address_hash = %(address_hash)s;

-- unsubscribe: an address wants no mail of this shop; what was known of it before says more
insert into suppressions (shop_id, address_hash, reason, at)
values (%(shop_id)s, %(address_hash)s, 'unsubscribed', %(at)s)
on conflict (shop_id, address_hash) do nothing;

-- lift: the person behind an address asked to be mailed again
delete from suppressions
where shop_id = %(shop_id)s and address_hash = %(address_hash)s and reason in ('unsubscribed', 'erased');
