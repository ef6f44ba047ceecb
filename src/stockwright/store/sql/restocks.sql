-- of_products: what is remembered of these products
select state, version from restocks
where shop_id = %(shop_id)s and automation_id = %(automation_id)s and product_id = any(%(product_ids)s)
order by product_id limit 1000;

-- lock_products: the same, held until the transaction ends
select state, version from restocks
where shop_id = %(shop_id)s and automation_id = %(automation_id)s and product_id = any(%(product_ids)s)
order by product_id limit 1000
for update;

-- insert_memory: a product that was never looked at
insert into restocks (shop_id, automation_id, product_id, version, quantity, wave_id, state, updated_at)
values (%(shop_id)s, %(automation_id)s, %(product_id)s, %(version)s, %(quantity)s, %(wave_id)s, %(state)s, %(at)s)
on conflict do nothing
returning true;

-- update_memory: only from the version that the decision was made from
update restocks set version = %(version)s, quantity = %(quantity)s, wave_id = %(wave_id)s, state = %(state)s,
    updated_at = %(at)s
where shop_id = %(shop_id)s and automation_id = %(automation_id)s and product_id = %(product_id)s
  and version = %(was_version)s
returning true;

-- delete_memory: the product is gone
delete from restocks
where shop_id = %(shop_id)s and automation_id = %(automation_id)s and product_id = %(product_id)s
  and version = %(was_version)s
returning true;

-- save_wave: a wave, or its newer state; whether it is confirmed now and waits for its mail
insert into restock_waves (shop_id, automation_id, wave_id, product_id, title, action, quantity, confirmed, refused,
                           closed, wants_mail, run_id, opened_at, confirmed_at)
values (%(shop_id)s, %(automation_id)s, %(wave_id)s, %(product_id)s, %(title)s, %(action)s, %(quantity)s, %(confirmed)s,
        %(refused)s, %(closed)s, %(wants_mail)s, %(run_id)s, %(opened_at)s, %(confirmed_at)s)
on conflict (shop_id, automation_id, wave_id) do update
set confirmed = excluded.confirmed, refused = excluded.refused, closed = excluded.closed,
    confirmed_at = coalesce(restock_waves.confirmed_at, excluded.confirmed_at)
returning wants_mail and mail_key is null and confirmed_at is not null;

-- unmailed: confirmed waves that no mail has told of yet, oldest first
select w.wave_id, w.product_id, w.title, w.quantity, w.confirmed, w.refused, w.confirmed_at,
       coalesce(r.state = 'running', false) as held
from restock_waves w left join runs r on r.shop_id = w.shop_id and r.run_id = w.run_id
where w.shop_id = %(shop_id)s and w.automation_id = %(automation_id)s and w.wants_mail and w.mail_key is null
  and w.confirmed_at > %(since)s
order by w.confirmed_at, w.wave_id limit 6000;

-- mark_mailed: these waves are told of by this mail; only those that no other mail tells of
update restock_waves set mail_key = %(mail_key)s
where shop_id = %(shop_id)s and automation_id = %(automation_id)s and wave_id = any(%(wave_ids)s) and mail_key is null
returning wave_id;

-- refused_of_run: the waves of a run that some channel refused, and how many there are
select count(*) over (), product_id, title, refused from restock_waves
where shop_id = %(shop_id)s and run_id = %(run_id)s and jsonb_array_length(refused) > 0
order by title, product_id limit %(limit)s;

-- list_waves: of an automation, newest first
select wave_id, product_id, title, action, quantity, confirmed, refused, closed, wants_mail, run_id, opened_at,
       confirmed_at, mail_key
from restock_waves where shop_id = %(shop_id)s and automation_id = %(automation_id)s
order by opened_at desc, wave_id limit %(limit)s;

-- delete_waves: old waves that are over
delete from restock_waves w using (
    select shop_id, automation_id, wave_id from restock_waves
    where opened_at < %(before)s and closed <> ''
    order by opened_at limit %(limit)s for update skip locked
) old where w.shop_id = old.shop_id and w.automation_id = old.automation_id and w.wave_id = old.wave_id;
