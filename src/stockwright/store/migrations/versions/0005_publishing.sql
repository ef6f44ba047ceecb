-- Publishing: the sales channels of a shop, what is remembered of a product, and each return to stock.

alter table shops add column channels jsonb not null default '[]';  -- [{id, name, app_title}], as read last

create table restocks (
    shop_id       bigint not null,
    automation_id text not null,
    product_id    text not null,
    version       bigint not null,                    -- changes so far: who decided from an older one is refused
    quantity      bigint,                             -- available stock at the last look
    wave_id       text,                               -- the open wave
    state         jsonb not null,                     -- versioned: automations.restock.Memory
    updated_at    timestamptz not null default now(),
    primary key (shop_id, automation_id, product_id),
    foreign key (shop_id, automation_id) references automations on delete cascade
);

-- One publishing, or taking down, of one product; kept as history. Its id is the key of its mail.
create table restock_waves (
    shop_id       bigint not null,
    automation_id text not null,
    wave_id       text not null,
    product_id    text not null,
    title         text not null,
    action        text not null check (action in ('publish', 'unpublish')),
    quantity      bigint not null,                    -- available when it was decided
    confirmed     jsonb not null default '[]',        -- names of the channels that Shopify confirmed
    refused       jsonb not null default '[]',        -- [{channel, message}]
    closed        text not null default '',           -- how it ended; '' = it goes on
    wants_mail    boolean not null,
    run_id        text not null,                      -- the run that decided it
    opened_at     timestamptz not null,
    confirmed_at  timestamptz,                        -- the first channel
    mail_key      text,                               -- the mail that tells of it; set once
    primary key (shop_id, automation_id, wave_id)
);
create index restock_waves_unmailed on restock_waves (shop_id, automation_id, confirmed_at)
    where wants_mail and mail_key is null and confirmed_at is not null;
create index restock_waves_of_run on restock_waves (shop_id, run_id);
create index restock_waves_recent on restock_waves (shop_id, confirmed_at) where confirmed_at is not null;
create index restock_waves_age on restock_waves (opened_at);
