-- Mail: messages with their attempts, a shop's mail settings and queue, the pace of sending, changed templates.

create table messages (
    shop_id     bigint not null references shops on delete cascade,
    message_id  text not null,
    key         text not null,                      -- what the message is about; a second one of the same key is refused
    kind        text not null,                      -- staff_back_in_stock, error_report, test_mail, ...
    recipient   text not null,                      -- one address
    subject     text not null,
    text        text not null,
    html        text not null default '',
    headers     jsonb not null default '{}',        -- more header lines: {name: value}
    from_name   text not null default '',           -- '' = as the mail settings say when it is sent
    reply_to    text not null default '',
    state       text not null default 'pending'
                check (state in ('pending', 'sending', 'sent', 'failed', 'unknown', 'held', 'cancelled')),
    reason      text not null default '',           -- why it is in that state, for a person
    attempts    integer not null default 0,
    next_at     timestamptz,                        -- pending: when it is due
    tried_since timestamptz,                        -- the first attempt that counts towards giving up
    lease_until timestamptz,                        -- a sender has it until then
    fence       bigint not null default 0,          -- grows with each claim: an older sender's writes are refused
    created_at  timestamptz not null default now(),
    sent_at     timestamptz,
    smtp_reply  text not null default '',           -- the server's last word
    primary key (shop_id, message_id)
);
create unique index messages_once on messages (shop_id, key);
create index messages_due on messages (shop_id, next_at) where state = 'pending';
create index messages_sending on messages (shop_id, lease_until) where state = 'sending';
create index messages_by_state on messages (shop_id, state, message_id desc);
create index messages_open on messages (state, shop_id) where state <> 'sent';
create index messages_sent on messages (sent_at) where state = 'sent';
create index messages_recent on messages (message_id desc);
create index messages_age on messages (created_at);

create table message_attempts (
    shop_id     bigint not null,
    message_id  text not null,
    attempt     integer not null,
    fence       bigint not null,
    server      text not null,                      -- host:port
    started_at  timestamptz not null,
    finished_at timestamptz,
    outcome     text not null default 'started',    -- started, sent, unknown or a class of failure
    reply       text not null default '',
    primary key (shop_id, message_id, attempt),
    foreign key (shop_id, message_id) references messages on delete cascade
);

-- What a shop sets over the installation's mail service. Without a host, the service is the installation's.
create table mail_settings (
    shop_id         bigint primary key references shops on delete cascade,
    host            text not null default '',
    port            integer,                        -- null = the usual one of `security`
    security        text not null default 'starttls' check (security in ('none', 'starttls', 'tls')),
    username        text not null default '',
    password        bytea,                          -- encrypted
    from_address    text not null default '',
    from_name       text not null default '',
    reply_to        text not null default '',
    rate_per_minute integer,
    verify          boolean not null default true,  -- check the server's certificate
    allow_plain     boolean not null default false, -- `security` none beyond this machine
    owner_email     text not null default '',       -- who is told of failed runs
    updated_at      timestamptz not null default now()
);

-- How sending stands for a shop.
create table mail_queues (
    shop_id       bigint primary key references shops on delete cascade,
    stopped_at    timestamptz,                      -- set: nothing is sent until the settings change or work again
    stop_reason   text not null default '',
    stopped_with  text not null default '',         -- digest of the settings that did not work
    look_at       timestamptz,                      -- when stopped settings are tried again, without a message
    paused_until  timestamptz,                      -- the server is away or asked for patience
    pause_reason  text not null default '',
    pauses        integer not null default 0,       -- in a row
    policy_in_row integer not null default 0        -- refusals by policy since the last success
);

-- The pace of one mail service over all processes: when the next message may go.
create table mail_paces (
    shop_id bigint primary key,                     -- 0 = the installation's service, shared by shops
    free_at timestamptz not null
);

create table mail_templates (
    shop_id    bigint not null references shops on delete cascade,
    kind       text not null,
    locale     text not null,                       -- en, fr, fr-CA
    subject    text not null,
    text       text not null,
    html       text not null,
    updated_at timestamptz not null default now(),
    primary key (shop_id, kind, locale)
);
