"""Options and topics of automations in words. Pure."""

from stockwright.automations import KINDS
from stockwright.model import INVENTORY_UPDATE, SCHEDULER_PREFIX, USER_TRIGGER, WHOLE_SHOP, Json
from stockwright.store.automations import AutomationRow
from stockwright.web.admin.forms import fields

_TOPICS = {
    INVENTORY_UPDATE: "a stock level changes in the shop",
    USER_TRIGGER: "somebody presses Run now",
}
_SCHEDULES = {
    "hourly": "every hour",
    "daily": "every day at midnight",
    "monthly": "on the first of every month",
}


def topic_told(text: str) -> str:
    """When a topic makes an automation run, such as "every 10 minutes, 5 minutes later"."""
    topic, _, delay = text.partition("+")
    told = _TOPICS.get(topic) or _schedule_told(topic) or f"the event {topic} comes"
    count, _, unit = delay.partition(".")
    return f"{told}, {count} {unit.removesuffix('s')}{'' if count == '1' else 's'} later" if delay else told


def _schedule_told(topic: str) -> str:
    if not topic.startswith(SCHEDULER_PREFIX):
        return ""
    name = topic.removeprefix(SCHEDULER_PREFIX)
    if name.endswith("min"):
        return f"every {name.removesuffix('min')} minutes"
    return _SCHEDULES.get(name, f"every {name.capitalize()}")


def about_told(title: str, subject: str) -> str:
    """What a run is about: a title, else such as "Product 632910392"."""
    if title or subject == WHOLE_SHOP:
        return title or "The whole shop"
    return " ".join(subject.split("/")[-2:]) if subject.startswith("gid://") else subject


def options_told(row: AutomationRow) -> list[tuple[str, str]]:
    """Titles and values of an automation's options; as stored when this version does not know the kind."""
    if row.kind not in KINDS:
        return [(name, _value_told(value)) for name, value in row.options.items()]
    shown = fields(KINDS[row.kind].options, row.options)
    return [
        (field.title, _value_told(field.value).replace("_", " " if field.kind == "select" else "_"))
        for field in shown
    ]


def _value_told(value: Json) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(str(one) for one in value) or "–"
    return str(value) or "–"
