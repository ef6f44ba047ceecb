"""Restock and sending: the cases 17 to 30 of the checklist, by number, through the whole service."""

from tests.journey.alerts import Alerts, play


def test_case_17_only_crossing_the_threshold_upward_tells(emptied: str) -> None:
    async def story(it: Alerts) -> None:
        await it.install(quantity=5)
        poster = it.sell_out()
        await it.wait_for(poster, "ann@example.com")
        await it.restock(poster, A=4)
        assert it.told == []
        await it.restock(poster, A=5)
        assert it.told == ["ann@example.com"]
        await it.restock(poster, A=7)
        it.shop.set_tags(poster.gid, ["new"])  # a save without a change of stock
        await it.service.settle()
        await it.wait(3600)
        assert it.told == ["ann@example.com"]
        assert (await it.people())["ann@example.com"].status == "Sent"

    play(emptied, story)
