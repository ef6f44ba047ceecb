-- insert_import: a file of people that is to be checked or imported
insert into people_imports (shop_id, import_id, file_name, file, made_by, consent, state, total_rows, created_at, due_at)
values (%(shop_id)s, %(import_id)s, %(file_name)s, %(file)s, %(made_by)s, %(consent)s, %(state)s, %(total_rows)s, %(at)s,
        %(at)s);

-- get_import: one import by its id alone; ids are unique over all shops
select shop_id, import_id, file_name, made_by, consent, state, reason, total_rows, next_row, added, doubles, refused,
       created_at, due_at, finished_at, file is not null as has_file
from people_imports where import_id = %(import_id)s limit 1;

-- list_imports: the newest imports of a shop
select shop_id, import_id, file_name, made_by, consent, state, reason, total_rows, next_row, added, doubles, refused,
       created_at, due_at, finished_at, file is not null as has_file
from people_imports where shop_id = %(shop_id)s order by import_id desc limit %(limit)s;

-- refusals_of: lines that cannot be used, by line
select line, reason from people_import_refusals
where shop_id = %(shop_id)s and import_id = %(import_id)s order by line limit %(limit)s;

-- due_imports: imports that a worker goes on with
select shop_id, import_id from people_imports
where state in ('checking', 'importing') and due_at <= %(at)s and (lease_until is null or lease_until <= %(at)s)
order by due_at limit %(limit)s;

-- claim_import: lend an import to one worker; its fence grows
update people_imports
set lease_until = %(at)s::timestamptz + %(lease_s)s * interval '1 second', fence = fence + 1, reason = ''
where shop_id = %(shop_id)s and import_id = %(import_id)s and state in ('checking', 'importing') and file is not null
  and (lease_until is null or lease_until <= %(at)s)
returning state, consent, file_name, file, next_row, fence, created_at;

-- is_ours: lock an import whose newest fence is this one
select import_id from people_imports
where shop_id = %(shop_id)s and import_id = %(import_id)s and fence = %(fence)s and state = %(state)s
for update;

-- progress: a batch is done
update people_imports
set next_row = %(next_row)s, added = added + %(added)s, doubles = doubles + %(doubles)s, refused = refused + %(refused)s,
    lease_until = %(at)s::timestamptz + %(lease_s)s * interval '1 second'
where shop_id = %(shop_id)s and import_id = %(import_id)s;

-- add_refusals: lines of a batch that cannot be used
insert into people_import_refusals (shop_id, import_id, line, reason)
select %(shop_id)s, %(import_id)s, line, reason
from unnest(%(lines)s::integer[], %(reasons)s::text[]) as r (line, reason)
on conflict do nothing;

-- end_import: an import is through: checked, or done and its file forgotten
update people_imports
set state = case when state = 'checking' then 'checked' else 'done' end, lease_until = null, finished_at = %(at)s,
    file = case when state = 'checking' then file end
where shop_id = %(shop_id)s and import_id = %(import_id)s and fence = %(fence)s and state in ('checking', 'importing');

-- put_off: an import goes on later, or ends without success
update people_imports
set reason = %(reason)s, due_at = %(due_at)s, lease_until = null,
    state = case when %(failed)s then 'failed' else state end,
    file = case when %(failed)s then null else file end,
    finished_at = case when %(failed)s then %(at)s::timestamptz end
where shop_id = %(shop_id)s and import_id = %(import_id)s and fence = %(fence)s and state in ('checking', 'importing');

-- start_import: what was checked is imported now
with started as (
    update people_imports
    set state = 'importing', consent = %(consent)s, next_row = 0, added = 0, doubles = 0, refused = 0, due_at = %(at)s,
        lease_until = null, finished_at = null
    where shop_id = %(shop_id)s and import_id = %(import_id)s and state = 'checked' and file is not null
    returning shop_id, import_id
), cleared as (
    delete from people_import_refusals r using started
    where r.shop_id = started.shop_id and r.import_id = started.import_id
)
select import_id from started;

-- cancel_import: nothing more of it is imported
update people_imports set state = 'cancelled', reason = %(reason)s, finished_at = %(at)s, file = null, lease_until = null
where shop_id = %(shop_id)s and import_id = %(import_id)s and state in ('checking', 'checked', 'importing');

-- waiting_among: which of these pairs of address and variant wait already
select s.address_hash, s.variant_id from subscribers s
join unnest(%(address_hashes)s::bytea[], %(variant_ids)s::text[]) as g (address_hash, variant_id)
    on g.address_hash = s.address_hash and g.variant_id = s.variant_id
where s.shop_id = %(shop_id)s and s.state in ('unconfirmed', 'pending', 'queued');

-- add_people: subscribers out of a file; who waits already is left as they are
with given as (
    select * from json_to_recordset(%(batch)s::json) as g (
        subscriber_id text, email text, address_hash text, product_id text, variant_id text, product_title text,
        variant_title text, locale text, first_name text, customer_id text, quantity integer, created_at timestamptz
    )
), made as (
    insert into subscribers (shop_id, subscriber_id, email, address_hash, product_id, variant_id, product_title,
                             variant_title, state, locale, first_name, customer_id, quantity, source, consent, created_at,
                             confirmed_at)
    select %(shop_id)s, g.subscriber_id, g.email, decode(g.address_hash, 'hex'), g.product_id, g.variant_id,
           g.product_title, g.variant_title, %(state)s, g.locale, g.first_name, g.customer_id, g.quantity, 'import',
           %(consent)s, g.created_at, case when %(state)s::text = 'pending' then %(at)s::timestamptz end
    from given g order by g.subscriber_id
    on conflict (shop_id, address_hash, variant_id) where state in ('unconfirmed', 'pending', 'queued') do nothing
    returning subscriber_id, product_id
), told as (
    insert into subscriber_steps (shop_id, subscriber_id, at, what, detail, actor)
    select %(shop_id)s, subscriber_id, %(at)s, 'imported', %(detail)s, %(actor)s from made
)
select subscriber_id, product_id from made order by subscriber_id;

-- forget_imports: delete what was imported or given up long ago
delete from people_imports where created_at < %(before)s and (state not in ('checking', 'importing') or created_at < %(at)s::timestamptz - interval '30 days');

-- forget_files: files that were checked and not imported are not kept for long
update people_imports set file = null, state = 'cancelled', reason = 'Not imported within a day.', finished_at = %(at)s
where state = 'checked' and created_at < %(before)s and file is not null;
