-- Back-in-stock notifications: offers, subscriptions, restock waves, notifications, and what privacy asks for.

-- A pre-order offer. Its variants may be asked about while it is active and lets people order when out of stock.
create table offers (
    shop_id        bigint not null references shops on delete cascade,
    offer_id       text not null,
    name           text not null,
    description    text not null default '',         -- internal
    status         text not null default 'draft'
                   check (status in ('draft', 'scheduled', 'active', 'paused', 'completed', 'archived')),
    pause_reason   text not null default ''
                   check (pause_reason in ('', 'manual', 'auto_back_in_stock', 'limit_reached')),
    mode           text not null check (mode in ('out_of_stock', 'in_stock', 'always')),
    auto_disable   boolean not null default false,    -- stop the pre-order of a variant that is back in stock
    resume         boolean not null default true,     -- and take it up again when that variant is sold out again
    starts_at      timestamptz,                       -- null = at once; starts_at <= now < ends_at
    ends_at        timestamptz,                       -- null = no end
    limit_total    integer check (limit_total > 0),           -- units of the whole offer; null = unlimited
    limit_per_customer integer check (limit_per_customer > 0),
    limit_per_order    integer check (limit_per_order > 0),
    pause_at_limit boolean not null default false,    -- pause when limit_total is reached
    problem        text not null default '',          -- why its schedule could not be followed; '' = it was
    version        bigint not null default 1,         -- changes so far: who saves from an older one is refused
    created_at     timestamptz not null default now(),
    updated_at     timestamptz not null default now(),
    activated_at   timestamptz,
    completed_at   timestamptz,
    primary key (shop_id, offer_id),
    check ((status = 'paused') = (pause_reason <> '')),
    check (ends_at is null or starts_at is null or starts_at < ends_at)
);
create index offers_timed on offers (shop_id, status) where status in ('scheduled', 'active', 'paused');

create table offer_items (
    shop_id       bigint not null,
    offer_id      text not null,
    product_id    text not null,                      -- gid
    variant_id    text not null default '',           -- gid; '' = every variant of the product
    product_title text not null default '',
    variant_title text not null default '',
    is_missing    boolean not null default false,     -- the shop has deleted it
    added_at      timestamptz not null default now(),
    primary key (shop_id, offer_id, product_id, variant_id),
    foreign key (shop_id, offer_id) references offers on delete cascade
);
create index offer_items_of_product on offer_items (shop_id, product_id);

-- What was last seen of each variant of an offer with auto-disable, and whether its pre-order is stopped.
create table offer_variants (
    shop_id    bigint not null,
    offer_id   text not null,
    product_id text not null,
    variant_id text not null,
    is_out     boolean not null,                      -- sold out, and not back since
    stopped_at timestamptz,                           -- since when its pre-order is stopped; null = it is not
    primary key (shop_id, offer_id, variant_id),
    foreign key (shop_id, offer_id) references offers on delete cascade
);

-- Units ordered ahead under an offer: what its limits count.
create table offer_orders (
    shop_id     bigint not null,
    offer_id    text not null,
    order_id    text not null,                        -- gid
    line_id     text not null,                        -- gid
    variant_id  text not null,
    customer_id text not null default '',
    quantity    integer not null check (quantity >= 0),
    ordered_at  timestamptz not null,
    primary key (shop_id, offer_id, order_id, line_id),
    foreign key (shop_id, offer_id) references offers on delete cascade
);
create index offer_orders_of_customer on offer_orders (shop_id, offer_id, customer_id);

-- Up to where the orders of a shop were counted for the limits of its offers.
create table offer_counting (
    shop_id    bigint primary key references shops on delete cascade,
    counted_to timestamptz not null,                  -- orders made until then are counted
    looked_at  timestamptz not null,
    problem    text not null default ''               -- why they cannot be counted; '' = they are
);

-- The offers as the theme reads them, in metafields of the app: what is written there, and what is to be.
create table offer_themes (
    shop_id    bigint primary key references shops on delete cascade,
    wanted     bigint not null default 1,             -- grows with each change of offers
    written    bigint not null default 0,             -- the change up to which the shop has them
    digests    jsonb not null default '{}',           -- by key of the metafield: what was written last
    attempts   integer not null default 0,            -- failed in a row
    next_at    timestamptz not null default now(),    -- the next look, or the next attempt after a failure
    problem    text not null default '',              -- why the last attempt failed; '' = it did not
    written_at timestamptz
);

-- A subscriber: one request of one address to be told when one variant is back. Many may have ended; one can wait.
create table subscribers (
    shop_id         bigint not null references shops on delete cascade,
    subscriber_id text not null,
    email           text not null,                    -- normalised; '' = erased
    address_hash    bytea not null,                   -- keyed hash of the address; random once it is erased
    product_id      text not null,
    variant_id      text not null,
    product_title   text not null default '',
    variant_title   text not null default '',         -- '' = the product has one variant without a name
    offer_id        text not null default '',         -- under which it was made
    state           text not null
                    check (state in ('unconfirmed', 'pending', 'queued', 'sent', 'unknown', 'failed', 'bounced',
                                     'unsubscribed', 'cancelled', 'expired', 'suppressed')),
    reason          text not null default '',         -- why it is in that state, or why it still waits
    delivered       text not null default '' check (delivered in ('', 'sent', 'failed')), -- the last of the three words
    status          text not null generated always as (  -- the word that merchants see; as notify.states.shown
                        case when state in ('sent', 'unknown') then 'Sent'
                             when state in ('failed', 'bounced') then 'Failed'
                             when state in ('unconfirmed', 'pending', 'queued') or delivered = '' then 'Pending'
                             when delivered = 'sent' then 'Sent'
                             else 'Failed' end) stored,
    locale          text not null default 'en',
    first_name      text not null default '',
    customer_id     text not null default '',         -- gid; '' = guest
    quantity        integer not null default 1 check (quantity > 0),
    source          text not null,                    -- proxy, direct, import, admin, api
    page            text not null default '',         -- where it was made
    consent         jsonb not null default '{}',      -- {wording, version, locale, at}
    cycle           integer not null default 1,       -- times this person asked for this variant
    confirm_hash    bytea,                            -- of the key in the confirm mail; a new one voids the old
    confirm_expires_at timestamptz,
    confirm_sent_at timestamptz,
    wave_id         text not null default '',         -- the wave that told, or is telling, of it
    message_id      text not null default '',
    created_at      timestamptz not null,
    confirmed_at    timestamptz,
    notified_at     timestamptz,                      -- only when it was sent
    unsubscribed_at timestamptz,
    ended_at        timestamptz,
    primary key (shop_id, subscriber_id)
);
create unique index subscribers_waiting on subscribers (shop_id, address_hash, variant_id)
    where state in ('unconfirmed', 'pending', 'queued');
create index subscribers_in_line on subscribers (shop_id, variant_id, created_at, subscriber_id)
    where state = 'pending';
create index subscribers_of_product on subscribers (shop_id, product_id, variant_id)
    include (state, created_at, quantity) where state in ('unconfirmed', 'pending', 'queued');
create index subscribers_of_address on subscribers (shop_id, address_hash);
create index subscribers_by_state on subscribers (shop_id, state, subscriber_id desc);
create index subscribers_by_status on subscribers (shop_id, status, subscriber_id desc);
create index subscribers_by_variant on subscribers (shop_id, variant_id, subscriber_id desc);
create index subscribers_by_product on subscribers (shop_id, product_id, subscriber_id desc);
create index subscribers_by_offer on subscribers (shop_id, offer_id, subscriber_id desc) where offer_id <> '';
create index subscribers_of_customer on subscribers (shop_id, customer_id) where customer_id <> '';
create index subscribers_by_email on subscribers (shop_id, email text_pattern_ops);
create index subscribers_of_message on subscribers (shop_id, message_id) where message_id <> '';
create index subscribers_unconfirmed on subscribers (created_at) where state = 'unconfirmed';
create index subscribers_ended on subscribers (ended_at) where ended_at is not null;

-- What the automation last saw of a variant that somebody waits for or an offer covers.
create table watched_variants (
    shop_id       bigint not null references shops on delete cascade,
    variant_id    text not null,
    product_id    text not null,
    product_title text not null default '',
    variant_title text not null default '',
    available     bigint,                             -- at the chosen locations; null = not tracked, always in stock
    is_in         boolean not null,                   -- crossed the threshold upward, and 0 has not been seen since
    wave_seq      integer not null default 0,         -- restocks so far
    seen_at       timestamptz not null,
    primary key (shop_id, variant_id)
);
create index watched_variants_of_product on watched_variants (shop_id, product_id);

-- A restock of one product: its variants that came back together. Its id is part of each message's key.
create table waves (
    shop_id       bigint not null references shops on delete cascade,
    wave_id       text not null,
    product_id    text not null,
    product_title text not null default '',
    state         text not null check (state in ('settling', 'sending', 'resting', 'held', 'done', 'dropped')),
    reason        text not null default '',           -- why it is in that state
    opened_at     timestamptz not null,
    settle_until  timestamptz not null,
    next_at       timestamptz,                        -- the next batch
    closed_at     timestamptz,
    run_id        text not null default '',           -- the run that opened it
    source        text not null default 'restock',    -- restock, person
    fence         bigint not null default 0,          -- grows with each batch
    primary key (shop_id, wave_id)
);
create unique index waves_open on waves (shop_id, product_id) where closed_at is null;
create index waves_over on waves (closed_at) where closed_at is not null;
create index waves_due on waves (next_at) where closed_at is null;
create index waves_recent on waves (shop_id, wave_id desc);

create table wave_variants (
    shop_id       bigint not null,
    wave_id       text not null,
    variant_id    text not null,
    seq           integer not null,                   -- the variant's restock number
    variant_title text not null default '',
    available     bigint,                             -- when it was found; null = it never runs out
    ready_at      timestamptz not null,               -- its settle time ends: nobody is told of it before
    told          integer not null default 0,         -- notifications queued
    told_in_turn  integer not null default 0,         -- of those, in the current interval
    turn_at       timestamptz,                        -- when the current interval began
    turn_limit    integer,                            -- people who may be told in it; null = everybody
    over          text not null default '',           -- why no more are told of it; '' = it goes on
    primary key (shop_id, wave_id, variant_id),
    foreign key (shop_id, wave_id) references waves on delete cascade
);
create unique index wave_variants_once on wave_variants (shop_id, variant_id, seq);

-- One telling of one person of one wave, with what came of it; or why it was not done.
create table notifications (
    shop_id         bigint not null,
    subscriber_id text not null,
    wave_id         text not null,
    kind            text not null default 'back_in_stock',
    message_id      text not null default '',
    state           text not null check (state in ('queued', 'sent', 'failed', 'unknown', 'held', 'dropped')),
    reason          text not null default '',
    smtp_reply      text not null default '',
    created_at      timestamptz not null,
    finished_at     timestamptz,
    primary key (shop_id, subscriber_id, wave_id, kind),
    foreign key (shop_id, subscriber_id) references subscribers on delete cascade
);
create index notifications_of_wave on notifications (shop_id, wave_id, state);
create index notifications_of_message on notifications (shop_id, message_id) where message_id <> '';

-- What happened to a subscriber, step by step, for "why was this (not) sent".
create table subscriber_steps (
    shop_id         bigint not null,
    subscriber_id text not null,
    step_no         bigint generated always as identity,
    at              timestamptz not null,
    what            text not null,                    -- signed_up, confirmed, queued, held, sent, failed, unsubscribed, ...
    detail          text not null default '',
    wave_id         text not null default '',
    actor           text not null default '',         -- a user's name; '' = the service or the shopper
    primary key (shop_id, subscriber_id, step_no),
    foreign key (shop_id, subscriber_id) references subscribers on delete cascade
);

-- Addresses that must not be mailed. Only the keyed hash is kept.
create table suppressions (
    shop_id      bigint not null references shops on delete cascade,
    address_hash bytea not null,
    reason       text not null check (reason in ('unsubscribed', 'bounced', 'complained', 'refused', 'erased')),
    detail       text not null default '',
    at           timestamptz not null,
    primary key (shop_id, address_hash)
);

-- Soft bounces and reports, each once.
create table bounces (
    shop_id      bigint not null references shops on delete cascade,
    bounce_id    text not null,                       -- digest of the report: reading it twice counts once
    address_hash bytea not null,
    message_id   text not null default '',
    action       text not null,                       -- failed, delayed, complained, ...
    status       text not null default '',            -- x.y.z
    diagnostic   text not null default '',
    is_hard      boolean not null,
    source       text not null,                       -- imap, relay, post
    at           timestamptz not null,
    primary key (shop_id, bounce_id)
);
create index bounces_of_address on bounces (shop_id, address_hash, at);

-- Fixed windows of sign-ups per client and per address.
create table signup_counts (
    shop_id   bigint not null,
    bucket    bytea not null,                         -- keyed hash of what is limited
    window_at timestamptz not null,
    count     integer not null,
    primary key (shop_id, bucket, window_at)
);
create index signup_counts_age on signup_counts (window_at);

-- A shop's own wording of what shoppers read on the storefront and on our pages.
create table storefront_texts (
    shop_id    bigint not null references shops on delete cascade,
    locale     text not null,
    name       text not null,
    text       text not null,
    updated_at timestamptz not null default now(),
    primary key (shop_id, locale, name)
);

-- customers/data_request, customers/redact, shop/redact: what was asked, and what was done.
create table compliance_requests (
    shop_id     bigint not null,                      -- no reference: it outlives the shop
    request_id  text not null,
    domain      text not null,
    topic       text not null,
    address_hash bytea,
    customer_id text not null default '',
    received_at timestamptz not null,
    due_at      timestamptz not null,
    done_at     timestamptz,
    result      jsonb,                                -- {subscribers: n, messages: n}; never an address
    note        text not null default '',             -- why it waits for a person
    data        bytea,                                -- encrypted: the answer to a data request, for the merchant
    primary key (shop_id, request_id)
);

-- What a variant costs, as last read from the shop: for what people wait for is worth.
create table variant_prices (
    shop_id    bigint not null references shops on delete cascade,
    variant_id text not null,
    sku        text not null default '',
    price      numeric(20, 4) not null,
    currency   text not null,                         -- ISO 4217
    seen_at    timestamptz not null,
    primary key (shop_id, variant_id)
);

-- A file of people: checked, then imported in batches, with a cursor that survives a crash.
create table people_imports (
    shop_id     bigint not null references shops on delete cascade,
    import_id   text not null,
    file_name   text not null,
    file        bytea,                                -- null once nobody needs it any more
    made_by     text not null,
    consent     text not null check (consent in ('kept', 'asked')), -- asked: everybody gets a mail to confirm
    state       text not null check (state in ('checking', 'checked', 'importing', 'done', 'failed', 'cancelled')),
    reason      text not null default '',             -- why it failed, or why it pauses
    total_rows  integer not null,
    next_row    integer not null default 0,
    added       integer not null default 0,           -- or would be, while it is checked
    doubles     integer not null default 0,           -- wait already, or stand twice in the file
    refused     integer not null default 0,
    created_at  timestamptz not null,
    due_at      timestamptz not null,                 -- when a worker goes on with it
    lease_until timestamptz,
    fence       bigint not null default 0,
    finished_at timestamptz,
    primary key (shop_id, import_id)
);
create index people_imports_due on people_imports (due_at) where state in ('checking', 'importing');

create table people_import_refusals (
    shop_id   bigint not null,
    import_id text not null,
    line      integer not null,                       -- of the file; the heading is line 1
    reason    text not null,
    primary key (shop_id, import_id, line),
    foreign key (shop_id, import_id) references people_imports on delete cascade
);

create index events_of_privacy on events (topic, shop_id, received_at)
    where topic in ('shopify/app/uninstalled', 'shopify/customers/data_request', 'shopify/customers/redact',
                    'shopify/shop/redact');

create index messages_of_recipient on messages (shop_id, lower(recipient));

alter table shops add column primary_host text not null default ''; -- where customers find it, such as www.example.com

alter table mail_settings add column dkim_domain text not null default '';
alter table mail_settings add column dkim_selector text not null default '';
alter table mail_settings add column dkim_key bytea;                        -- encrypted PEM
alter table mail_settings add column postal_address text not null default '';
alter table mail_settings add column bounce_address text not null default ''; -- envelope sender; '' = from_address
