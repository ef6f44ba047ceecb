-- get: why an address must not be mailed
select reason from suppressions where shop_id = %(shop_id)s and address_hash = %(address_hash)s;

-- unsubscribe: an address wants no mail of this shop; what was known of it before says more
insert into suppressions (shop_id, address_hash, reason, at)
values (%(shop_id)s, %(address_hash)s, 'unsubscribed', %(at)s)
on conflict (shop_id, address_hash) do nothing;

-- lift: the person behind an address asked to be mailed again
delete from suppressions
where shop_id = %(shop_id)s and address_hash = %(address_hash)s and reason in ('unsubscribed', 'erased');
