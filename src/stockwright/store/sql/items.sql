-- upsert_items: remember which product inventory items belong to
insert into items (shop_id, item_id, product_id, variant_id, title, seen_at)
select %(shop_id)s, i.item_id, %(product_id)s, i.variant_id, i.title, %(seen_at)s
from unnest(%(item_ids)s::text[], %(variant_ids)s::text[], %(titles)s::text[]) as i (item_id, variant_id, title)
order by i.item_id
on conflict (shop_id, item_id) do update
set product_id = excluded.product_id, variant_id = excluded.variant_id, title = excluded.title, seen_at = excluded.seen_at
where (items.product_id, items.variant_id, items.title) is distinct from (excluded.product_id, excluded.variant_id, excluded.title);
