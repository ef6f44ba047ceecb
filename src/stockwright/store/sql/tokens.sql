-- insert_token: a new API token
insert into api_tokens (token_id, name, scope, token_hash, created_by, created_at)
values (%(token_id)s, %(name)s, %(scope)s, %(token_hash)s, %(created_by)s, %(at)s);

-- find_token: one that is not revoked, by its hash
select token_id, name, scope, created_by, created_at, last_used_at, revoked_at
from api_tokens where token_hash = %(token_hash)s and revoked_at is null;

-- get_token: by id
select token_id, name, scope, created_by, created_at, last_used_at, revoked_at
from api_tokens where token_id = %(token_id)s;

-- list_tokens: those in force first, newest first
select token_id, name, scope, created_by, created_at, last_used_at, revoked_at
from api_tokens order by revoked_at is not null, token_id desc limit 1000;

-- use_token: note when, to the minute
update api_tokens set last_used_at = %(at)s
where token_id = %(token_id)s and (last_used_at is null or last_used_at < %(at)s::timestamptz - interval '1 minute');

-- revoke_token: for good
update api_tokens set revoked_at = %(at)s where token_id = %(token_id)s and revoked_at is null;
