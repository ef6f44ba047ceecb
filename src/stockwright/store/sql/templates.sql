-- get: a shop's own texts of a kind in one of these locales, the first that there is
select kind, locale, subject, text, html, updated_at from mail_templates
where shop_id = %(shop_id)s and kind = %(kind)s and locale = any(%(locales)s::text[])
order by array_position(%(locales)s::text[], locale) limit 1;

-- list_own: all that a shop has changed
select kind, locale, subject, text, html, updated_at from mail_templates
where shop_id = %(shop_id)s order by kind, locale limit 10000;

-- save: a shop's own texts of a kind in a locale
insert into mail_templates (shop_id, kind, locale, subject, text, html, updated_at)
values (%(shop_id)s, %(kind)s, %(locale)s, %(subject)s, %(text)s, %(html)s, %(updated_at)s)
on conflict (shop_id, kind, locale) do update
set subject = excluded.subject, text = excluded.text, html = excluded.html, updated_at = excluded.updated_at;

-- restore: back to the built-in texts
delete from mail_templates where shop_id = %(shop_id)s and kind = %(kind)s and locale = %(locale)s;
