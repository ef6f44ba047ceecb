"""Subscribers: who waits, who was told, and what people want. One module per tab, like Settings."""

from stockwright.web.admin import (
    demand,
    subscriber_imports,
    subscribers_bulk,
    subscribers_list,
    subscribers_person,
)
from stockwright.web.admin.site import Section

SECTION = Section(
    title="Subscribers",
    href=subscribers_list.HREF,
    icon="people",
    routes=(
        *subscribers_list.ROUTES,
        *subscribers_bulk.ROUTES,  # before /subscribers/{subscriber_id}
        *subscribers_person.ROUTES,
        *demand.ROUTES,
        *subscriber_imports.ROUTES,
    ),
    tabs=(subscribers_list.TAB, demand.TAB, subscriber_imports.TAB),
    samples=(
        *subscribers_list.SAMPLES,
        *subscribers_person.SAMPLES,
        *demand.SAMPLES,
        *subscriber_imports.SAMPLES,
    ),
)
