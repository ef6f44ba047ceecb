-- The JSON API: request rates, answers kept for repeated requests, and the wish to stop a scan.

-- How many requests a token may still make: a bucket that fills up with time. One row per token, for all processes.
create table api_rates (
    token_id  text primary key references api_tokens on delete cascade,
    available double precision not null,             -- requests at `as_of`
    as_of     timestamptz not null
);

-- Requests that carried an Idempotency-Key, and how they were answered.
create table api_replies (
    token_id     text not null references api_tokens on delete cascade,
    key          text not null,
    request_hash bytea not null,                     -- SHA-256 of method, path and body: a key stands for one request
    status       integer,                            -- null: being worked on, or its process died
    location     text not null default '',
    body         text not null default '',
    created_at   timestamptz not null,
    primary key (token_id, key)
);
create index api_replies_age on api_replies (created_at);

-- A person's wish to stop a scan, seen by it between two pages.
alter table runs add column cancel_asked_by text;

create index runs_in_state on runs (state, run_id desc) where state <> 'succeeded';
create unique index pools_id on pools (pool_id);
