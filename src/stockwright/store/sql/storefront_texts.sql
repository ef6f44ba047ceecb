-- list_texts: all texts that a shop has of its own
select locale, name, text, updated_at from storefront_texts
where shop_id = %(shop_id)s order by locale, name limit 10000;

-- save_text: one text in one language
insert into storefront_texts (shop_id, locale, name, text, updated_at)
values (%(shop_id)s, %(locale)s, %(name)s, %(text)s, %(at)s)
on conflict (shop_id, locale, name) do update set text = excluded.text, updated_at = excluded.updated_at;

-- restore_text: back to the built-in text
delete from storefront_texts where shop_id = %(shop_id)s and locale = %(locale)s and name = %(name)s;

-- delete_language: a language goes with all its texts
delete from storefront_texts where shop_id = %(shop_id)s and locale = %(locale)s;
