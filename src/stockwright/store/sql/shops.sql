-- insert_shop: store a new shop and a full bucket of the standard plan
with shop as (
    insert into shops (domain, api_url, auth_mode, secrets, client_id, plan, on_unknown)
    values (%(domain)s, %(api_url)s, %(auth_mode)s, %(secrets)s, %(client_id)s, %(plan)s, %(on_unknown)s)
    on conflict (domain) do nothing
    returning shop_id
), budget as (
    insert into budgets (shop_id) select shop_id from shop
)
select shop_id from shop;

-- get_shop: one shop by id
select shop_id, domain, api_url, plan, status, status_reason, auth_mode, client_id, secrets, token,
       token_expires_at, scopes, name, timezone, locations, channels, default_location_id, primary_host, on_unknown, read_at, created_at
from shops where shop_id = %(shop_id)s;

-- find_shop: one shop by domain
select shop_id, domain, api_url, plan, status, status_reason, auth_mode, client_id, secrets, token,
       token_expires_at, scopes, name, timezone, locations, channels, default_location_id, primary_host, on_unknown, read_at, created_at
from shops where domain = %(domain)s;

-- list_shops: all shops by domain
select shop_id, domain, api_url, plan, status, status_reason, auth_mode, client_id, secrets, token,
       token_expires_at, scopes, name, timezone, locations, channels, default_location_id, primary_host, on_unknown, read_at, created_at
from shops order by domain limit 10000;

-- delete_shop: remove a shop and what refers to it
delete from shops where shop_id = %(shop_id)s;

-- save_secrets: replace the sealed secrets
update shops set secrets = %(secrets)s, token = null, token_expires_at = null where shop_id = %(shop_id)s;

-- save_token: the sealed token of the client credentials grant, unless another process was faster
update shops set token = %(token)s, token_expires_at = %(expires_at)s
where shop_id = %(shop_id)s and token is not distinct from %(was)s::bytea;

-- save_shop_read: what a read of the shop showed
update shops set name = %(name)s, timezone = %(timezone)s, locations = %(locations)s, channels = %(channels)s,
    default_location_id = %(default_location_id)s, primary_host = %(primary_host)s, scopes = %(scopes)s, read_at = %(read_at)s
where shop_id = %(shop_id)s;

-- set_status: active, paused or uninstalled, and why
update shops set status = %(status)s, status_reason = %(reason)s where shop_id = %(shop_id)s;

-- move_status: the same, unless somebody changed it meanwhile
update shops set status = %(status)s, status_reason = %(reason)s
where shop_id = %(shop_id)s and status = %(was)s;

-- set_settings: plan and the rule for unknown outcomes
update shops set plan = %(plan)s, on_unknown = %(on_unknown)s where shop_id = %(shop_id)s;
