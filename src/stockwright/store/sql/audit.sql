-- insert_entry: somebody changed something
insert into audit_log (entry_id, at, user_id, user_name, action, target, detail)
values (%(entry_id)s, %(at)s, %(user_id)s, %(user_name)s, %(action)s, %(target)s, %(detail)s);

-- list_entries: newest first, of one kind of thing or all
select entry_id, at, user_id, user_name, action, target, detail
from audit_log
where (%(before)s::text is null or entry_id < %(before)s)
  and (%(about)s::text is null or action like %(about)s || '.%%')
order by entry_id desc limit %(limit)s;
