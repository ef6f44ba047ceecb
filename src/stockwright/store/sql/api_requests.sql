-- take: one request out of a token's bucket, filled up since the last one; nothing comes back when it is empty
insert into api_rates as r (token_id, available, as_of)
values (%(token_id)s, %(burst)s::double precision - 1, %(at)s)
on conflict (token_id) do update
set available = least(%(burst)s, r.available + greatest(0, extract(epoch from excluded.as_of - r.as_of)) * %(per_s)s) - 1,
    as_of = greatest(r.as_of, excluded.as_of)
where least(%(burst)s, r.available + greatest(0, extract(epoch from excluded.as_of - r.as_of)) * %(per_s)s) >= 1
returning available;

-- waiting_time: how long until a bucket holds one request
select greatest(0, (1 - available) / %(per_s)s::double precision - greatest(0, extract(epoch from %(at)s - as_of)))::double precision
from api_rates where token_id = %(token_id)s;

-- begin: claim a key for a request; forgets old keys; nothing comes back when the key is taken
with old as (
    select token_id, key from api_replies where created_at < %(before)s
    order by created_at limit 100 for update skip locked
), gone as (
    delete from api_replies r using old where r.token_id = old.token_id and r.key = old.key
)
insert into api_replies as r (token_id, key, request_hash, created_at)
values (%(token_id)s, %(key)s, %(request_hash)s, %(at)s)
on conflict (token_id, key) do update
set request_hash = excluded.request_hash, status = null, location = '', body = '', created_at = excluded.created_at
where r.created_at < %(before)s
returning true;

-- reply_of: what was answered under a key
select request_hash, status, location, body from api_replies where token_id = %(token_id)s and key = %(key)s;

-- keep: how the request of a key was answered
update api_replies set status = %(status)s, location = %(location)s, body = %(body)s
where token_id = %(token_id)s and key = %(key)s;

-- forget: the request of a key did nothing; it may be made again
delete from api_replies where token_id = %(token_id)s and key = %(key)s and status is null;
