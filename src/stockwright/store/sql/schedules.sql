-- scheduled_topics: the schedules that somebody listens to, with the shop's time zone and the last slot
select s.shop_id, s.topic, h.timezone, m.fired_at
from (select distinct shop_id, topic from subscriptions where starts_with(topic, 'mechanic/scheduler/')) s
join shops h on h.shop_id = s.shop_id and h.status = 'active'
left join schedule_marks m on m.shop_id = s.shop_id and m.topic = s.topic
order by s.shop_id, s.topic
limit 100000;

-- mark: one process wins a slot, and only a later slot than the last
insert into schedule_marks (shop_id, topic, fired_at) values (%(shop_id)s, %(topic)s, %(slot)s)
on conflict (shop_id, topic) do update set fired_at = excluded.fired_at
where schedule_marks.fired_at < excluded.fired_at;

-- forget_marks: a schedule that nobody listened to starts afresh
delete from schedule_marks m where not exists (
    select from subscriptions s where s.shop_id = m.shop_id and s.topic = m.topic
);
