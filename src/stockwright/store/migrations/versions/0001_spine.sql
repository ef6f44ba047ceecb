-- The spine: shops, the inbox, runs and effects, pools and their journal.
-- Every key of a shop's rows starts with shop_id, so that rows can be spread by shop later.

create table shops (
    shop_id       bigint generated always as identity primary key,
    domain        text not null unique,             -- the myshopify.com domain, lower case
    api_url       text not null,                    -- base address of the Admin API
    plan          text not null default 'premium' check (plan in ('premium', 'free')),
    status        text not null default 'active' check (status in ('active', 'paused', 'uninstalled')),
    status_reason text not null default '',         -- why it is not active, for a person
    auth_mode     text not null check (auth_mode in ('access_token', 'client_credentials')),
    client_id     text,
    secrets       bytea not null,                   -- encrypted JSON: access_token | client_secret, webhook_secret
    token         bytea,                            -- encrypted: the current token of the client credentials grant
    token_expires_at timestamptz,
    scopes        text[] not null default '{}',     -- granted, as read at the last check
    name          text not null default '',
    timezone      text not null default 'UTC',      -- IANA name
    locations     jsonb not null default '[]',      -- [{id, name, is_active}], as read last
    default_location_id text,
    on_unknown    text not null default 'settle' check (on_unknown in ('settle', 'certain')),
    read_at       timestamptz,                      -- when name, timezone, locations and scopes were read
    created_at    timestamptz not null default now()
);

create table budgets (
    shop_id       bigint primary key references shops on delete cascade,
    capacity      double precision not null default 2000,    -- points the bucket holds
    restore_rate  double precision not null default 100,     -- points per second
    available     double precision not null default 2000,    -- points at `as_of`
    as_of         timestamptz not null default now(),
    blocked_until timestamptz                                 -- 429 with Retry-After
);

create table webhook_subscriptions (
    shop_id         bigint not null references shops on delete cascade,
    topic           text not null,                   -- shopify/inventory_levels/update
    subscription_id text not null default '',        -- gid; '' = wanted, not made yet
    uri             text not null default '',
    checked_at      timestamptz,
    problem         text not null default '',
    primary key (shop_id, topic)
);

create table automations (
    shop_id       bigint not null references shops on delete cascade,
    automation_id text not null,
    kind          text not null,
    name          text not null,
    options       jsonb not null,
    topics        text[] not null,                   -- as written, with +N.unit
    enabled       boolean not null default false,
    created_at    timestamptz not null default now(),
    updated_at    timestamptz not null default now(),
    primary key (shop_id, automation_id)
);
create unique index automations_id on automations (automation_id);

-- One row per topic of an enabled automation: what the inbox routes by.
create table subscriptions (
    shop_id       bigint not null,
    topic         text not null,
    automation_id text not null,
    delay_s       bigint not null default 0,
    primary key (shop_id, topic, automation_id),
    foreign key (shop_id, automation_id) references automations on delete cascade
);

create table deliveries (
    shop_id     bigint not null,
    webhook_id  text not null,
    received_at timestamptz not null default now(),
    primary key (shop_id, webhook_id)
);
create index deliveries_age on deliveries (received_at);

create table events (
    shop_id          bigint not null,
    event_id         text not null,
    topic            text not null,
    subject          text not null,
    payload          jsonb not null,
    source           text not null,
    automation_id    text,
    webhook_id       text,
    shopify_event_id text,
    triggered_at     timestamptz,
    received_at      timestamptz not null default now(),
    primary key (shop_id, event_id)
);
create index events_age on events (received_at);

-- One row per event and automation that listens to it.
create table work (
    shop_id       bigint not null,
    automation_id text not null,
    event_id      text not null,
    subject       text not null,
    due_at        timestamptz not null default now(),
    done_at       timestamptz,
    run_id        text,
    primary key (shop_id, event_id, automation_id)
);
create index work_waiting on work (shop_id, automation_id, subject, due_at) where done_at is null;
create index work_due on work (due_at) where done_at is null;
create index work_run on work (shop_id, run_id) where run_id is not null;

-- Retry and wake-up times of a key; the job engine only wakes.
create table keys (
    shop_id       bigint not null,
    automation_id text not null,
    subject       text not null,
    failures      integer not null default 0,         -- in a row, of runs that ended in an unexpected error
    retry_at      timestamptz,                        -- when such a run is tried again
    wake_at       timestamptz,                        -- when the key runs without a new event
    last_error    text not null default '',
    cursor        jsonb,                              -- where a scan goes on after a crash
    primary key (shop_id, automation_id, subject)
);
create index keys_wake on keys (wake_at) where wake_at is not null;
create index keys_retry on keys (retry_at) where retry_at is not null;

create table schedule_marks (
    shop_id  bigint not null references shops on delete cascade,
    topic    text not null,
    fired_at timestamptz not null,                    -- the slot, not the moment
    primary key (shop_id, topic)
);

create table runs (
    shop_id       bigint not null,
    run_id        text not null,
    automation_id text not null,
    kind          text not null,
    subject       text not null,
    title         text not null default '',           -- what a person calls the subject
    state         text not null check (state in ('running', 'succeeded', 'failed', 'cancelled')),
    because       text not null default '',
    error         jsonb,                              -- {message, ...details} when the run reports an error
    plan          jsonb,                              -- versioned: what was decided
    input         jsonb,                              -- versioned: events, facts, options, ledger, now: enough to decide again
    progress      jsonb,                              -- {done, total, unit} of long work
    requests      integer not null default 0,         -- Admin API requests made for it
    started_at    timestamptz not null,
    finished_at   timestamptz,
    primary key (shop_id, run_id)
);
create index runs_of_automation on runs (shop_id, automation_id, run_id desc);
create index runs_recent on runs (run_id desc);
create index runs_failed on runs (shop_id, started_at) where state = 'failed';
create index runs_age on runs (started_at);

create table effects (
    shop_id       bigint not null,
    effect_id     text not null,
    run_id        text not null,
    automation_id text not null,
    subject       text not null,
    kind          text not null,
    payload       jsonb not null,
    state         text not null default 'pending' check (state in ('pending', 'done', 'failed', 'unknown', 'cancelled')),
    attempts      integer not null default 0,
    next_at       timestamptz,
    result        jsonb,
    created_at    timestamptz not null default now(),
    finished_at   timestamptz,
    primary key (shop_id, effect_id)
);
create index effects_of_run on effects (shop_id, run_id);
create index effects_open on effects (shop_id, automation_id, subject) where state = 'pending';

create table attempts (
    shop_id     bigint not null,
    effect_id   text not null,
    attempt     integer not null,
    started_at  timestamptz not null,
    finished_at timestamptz,
    outcome     text not null default 'started',
    detail      jsonb,
    primary key (shop_id, effect_id, attempt),
    foreign key (shop_id, effect_id) references effects on delete cascade
);

-- Which product an inventory item belongs to, as last read: routing, never truth.
create table items (
    shop_id    bigint not null,
    item_id    text not null,
    product_id text not null,
    variant_id text not null,
    title      text not null default '',
    seen_at    timestamptz not null default now(),
    primary key (shop_id, item_id)
);
create index items_of_product on items (shop_id, product_id);

create table pools (
    shop_id       bigint not null,
    pool_id       text not null,
    automation_id text not null,
    product_id    text not null,
    location_id   text not null,                      -- '*' when all chosen locations are one level
    title         text not null,
    version       bigint not null,                    -- fencing number: journal entries so far
    state         jsonb not null,                     -- ledger state, as ledger.wire writes it
    stock         bigint not null,                    -- S, in base units
    status        text not null check (status in ('active', 'frozen')),
    reason        text not null default '',
    in_doubt      boolean not null default false,     -- an intent is open
    assumed       integer not null default 0,
    wake_at       timestamptz,
    updated_at    timestamptz not null default now(),
    primary key (shop_id, pool_id)
);
create unique index pools_place on pools (shop_id, automation_id, product_id, location_id);
create index pools_of_product on pools (shop_id, product_id);
create index pools_frozen on pools (shop_id, updated_at) where status = 'frozen';
create index pools_in_doubt on pools (shop_id) where in_doubt;

-- A level belongs to one pool: the primary key refuses a second claim.
create table pool_members (
    shop_id     bigint not null,
    item_id     text not null,
    location_id text not null,
    pool_id     text not null,
    title       text not null default '',
    expected    bigint not null,
    primary key (shop_id, item_id, location_id),
    foreign key (shop_id, pool_id) references pools on delete cascade
);
create index pool_members_of_pool on pool_members (shop_id, pool_id);

create table journal (
    shop_id bigint not null,
    pool_id text not null,
    seq     bigint not null,
    at      timestamptz not null,
    kind    text not null,
    data    jsonb not null,
    run_id  text,
    primary key (shop_id, pool_id, seq)
);
