-- insert_user: a new user, unless the name is taken
insert into users (user_id, name, name_key, password_hash, created_at, password_changed_at)
values (%(user_id)s, %(name)s, %(name_key)s, %(password_hash)s, %(at)s, %(at)s)
on conflict (name_key) do nothing;

-- get_user: by id
select user_id, name, name_key, password_hash, created_at, password_changed_at, last_sign_in_at
from users where user_id = %(user_id)s;

-- find_user: by name in any case
select user_id, name, name_key, password_hash, created_at, password_changed_at, last_sign_in_at
from users where name_key = %(name_key)s;

-- list_users: all, by name
select user_id, name, name_key, password_hash, created_at, password_changed_at, last_sign_in_at
from users order by name_key limit 1000;

-- any_user: is there somebody who can sign in
select exists (select from users);

-- delete_user: unless it is the last one
delete from users where user_id = %(user_id)s and (select count(*) from users) > 1;

-- lock_users: two removals at once must not remove the last two
select user_id from users order by user_id for update;

-- save_password: a new hash
update users set password_hash = %(password_hash)s, password_changed_at = %(at)s where user_id = %(user_id)s;

-- rehash: the same password under newer parameters
update users set password_hash = %(password_hash)s where user_id = %(user_id)s and password_hash = %(was)s;

-- signed_in: note when
update users set last_sign_in_at = %(at)s where user_id = %(user_id)s;

-- insert_attempt: count a try before it is checked, so that many at once are counted too
insert into sign_in_attempts (attempt_id, at, name_key, address)
values (%(attempt_id)s, %(at)s, %(name_key)s, %(address)s);

-- count_attempts: tries since then, by name and address, by address, by name
select count(*) filter (where name_key = %(name_key)s and address = %(address)s) as of_both,
       count(*) filter (where address = %(address)s) as of_address,
       count(*) filter (where name_key = %(name_key)s) as of_name
from sign_in_attempts where at > %(since)s and (name_key = %(name_key)s or address = %(address)s);

-- forgive: a sign-in that succeeded clears the tries of that name from that address
delete from sign_in_attempts where name_key = %(name_key)s and address = %(address)s;

-- delete_attempts: tries that count no more
delete from sign_in_attempts where at < %(before)s;

-- insert_setup_link: a link by which the first user can be made
insert into setup_links (token_hash, expires_at) values (%(token_hash)s, %(expires_at)s);

-- has_setup_link: is it one of ours, and still good
select exists (select from setup_links where token_hash = %(token_hash)s and expires_at > %(now)s);

-- delete_setup_links: all of them; the first user is there
delete from setup_links returning token_hash, expires_at;
