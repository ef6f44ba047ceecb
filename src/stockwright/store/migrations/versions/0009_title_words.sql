-- Words of the titles of shared stocks, so that a search by title reads an index and not every stock.
-- A table of its own: stocks change with every sale, their titles hardly ever.

-- Lower case, cut at everything that is neither letter nor digit.
create function title_words(title text) returns text[] language sql immutable parallel safe
return (
    select coalesce(array_agg(distinct left(word, 100)), '{}')
    from unnest(regexp_split_to_array(lower(title), '[^[:alnum:]]+')) as word
    where word <> ''
);

create table pool_words (
    shop_id bigint not null,
    pool_id text not null,
    words   tsvector not null,
    primary key (shop_id, pool_id),
    foreign key (shop_id, pool_id) references pools on delete cascade
);
create unique index pool_words_id on pool_words (pool_id);
create index pool_words_found on pool_words using gin (words);

create function note_title_words() returns trigger language plpgsql as $$
begin
    insert into pool_words (shop_id, pool_id, words)
    values (new.shop_id, new.pool_id, array_to_tsvector(title_words(new.title)))
    on conflict (shop_id, pool_id) do update set words = excluded.words;
    return null;
end
$$;

create trigger title_is_new after insert on pools for each row execute function note_title_words();
create trigger title_changed after update of title on pools for each row
when (old.title is distinct from new.title) execute function note_title_words();

insert into pool_words (shop_id, pool_id, words)
select shop_id, pool_id, array_to_tsvector(title_words(title)) from pools;
