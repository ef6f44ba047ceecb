-- insert_session: somebody signed in
insert into sessions (token_hash, session_id, user_id, created_at, seen_at, address, agent)
values (%(token_hash)s, %(session_id)s, %(user_id)s, %(at)s, %(at)s, %(address)s, %(agent)s);

-- find_session: by the cookie's hash, within both limits
select s.session_id, s.user_id, u.name as user_name, s.created_at, s.seen_at, s.address, s.agent, s.flashes
from sessions s join users u using (user_id)
where s.token_hash = %(token_hash)s and s.seen_at > %(seen_after)s and s.created_at > %(created_after)s;

-- list_sessions: where a user is signed in, newest first
select s.session_id, s.user_id, u.name as user_name, s.created_at, s.seen_at, s.address, s.agent, s.flashes
from sessions s join users u using (user_id)
where s.user_id = %(user_id)s and s.seen_at > %(seen_after)s and s.created_at > %(created_after)s
order by s.seen_at desc limit 100;

-- touch: seen again
update sessions set seen_at = %(at)s where session_id = %(session_id)s;

-- save_flashes: what the next page is to say
update sessions set flashes = %(flashes)s where session_id = %(session_id)s;

-- delete_session: signed out
delete from sessions where session_id = %(session_id)s and user_id = %(user_id)s;

-- delete_sessions_of: signed out everywhere, or everywhere else
delete from sessions where user_id = %(user_id)s and session_id is distinct from %(except_id)s;

-- delete_stale: sessions beyond a limit
delete from sessions where seen_at <= %(seen_after)s or created_at <= %(created_after)s;
