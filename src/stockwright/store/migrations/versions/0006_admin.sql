-- The admin site: who may enter, what they changed, and statistics that stay cheap to read.

create table users (
    user_id             text primary key,
    name                text not null,
    name_key            text not null unique,            -- case-folded: "Ann" and "ann" are one person
    password_hash       text not null,                   -- argon2id, parameters included
    created_at          timestamptz not null,
    password_changed_at timestamptz not null,
    last_sign_in_at     timestamptz
);

create table sessions (
    token_hash bytea primary key,                        -- SHA-256 of the cookie; the cookie itself is nowhere
    session_id text not null unique,                     -- names the session on pages
    user_id    text not null references users on delete cascade,
    created_at timestamptz not null,
    seen_at    timestamptz not null,                     -- to the minute
    address    text not null,
    agent      text not null,
    flashes    jsonb not null default '[]'               -- [{kind, text}] for the next page
);
create index sessions_of_user on sessions (user_id);
create index sessions_age on sessions (seen_at);

-- Tries to sign in that did not succeed (or are being checked right now).
create table sign_in_attempts (
    attempt_id text primary key,
    at         timestamptz not null,
    name_key   text not null,
    address    text not null
);
create index sign_in_attempts_by_name on sign_in_attempts (name_key, at);
create index sign_in_attempts_by_address on sign_in_attempts (address, at);
create index sign_in_attempts_age on sign_in_attempts (at);

-- Links by which the first user is made.
create table setup_links (
    token_hash bytea primary key,
    expires_at timestamptz not null
);

create table api_tokens (
    token_id     text primary key,
    name         text not null,
    scope        text not null check (scope in ('read', 'write')),  -- write includes read
    token_hash   bytea not null unique,
    created_by   text not null,                          -- name of the user or "command line"
    created_at   timestamptz not null,
    last_used_at timestamptz,                            -- to the minute
    revoked_at   timestamptz
);

-- Who changed what. Rows are only added; names are kept as they were.
create table audit_log (
    entry_id  text primary key,                          -- sorts by age
    at        timestamptz not null,
    user_id   text,
    user_name text not null,
    action    text not null,                             -- shop.add, user.remove, ...
    target    text not null,                             -- what it was done to, as a person names it
    detail    jsonb not null default '{}'
);
create index audit_log_by_action on audit_log (action, entry_id desc);

-- Counts per hour, filled by a chore: charts read these and never count runs.
create table hourly (
    shop_id bigint not null,
    what    text not null,                               -- events | webhooks | runs | failed_runs | mails | done:<effect kind>
    hour    timestamptz not null,                        -- its start
    count   bigint not null,
    last_at timestamptz not null,                        -- the newest thing counted
    primary key (shop_id, what, hour)
);
create index hourly_age on hourly (hour);

create index effects_done on effects (finished_at) where state = 'done';
create index pools_assumed on pools (shop_id, assumed) where assumed > 0;

-- paused: the shop does not let us in, and is asked again. stopped: a person paused it, and only a person goes on.
alter table shops drop constraint shops_status_check;
alter table shops add constraint shops_status_check check (status in ('active', 'paused', 'stopped', 'uninstalled'));
