"""The part of the story that a shopper plays: asks at a sold-out variant, is told once when it is back, unsubscribes.

She uses what a browser without script would: the product page, its form, and the links in her mail.
"""

import asyncio
import json
import re
from time import monotonic

from stockwright.bundled_shop import ShopProduct, ShopVariant, SunkMail
from stockwright.demo_scene import ASK_EVERY_S, LIMIT_S, Failed, Scene, tell
from stockwright.explaining import clock_text
from stockwright.model import gid_number
from stockwright.notify.states import State
from stockwright.people_told import STATES, story_of
from stockwright.schedules import time_zone
from stockwright.store import people
from stockwright.store.people import PersonRow, Wanted

WAITED_FOR = "Tide Calendar"  # sold out in part in the first catalogue
_SHOPPER = "ann@example.com"
_RESTOCKED, _RESTOCKED_AGAIN = 4, 9
_MAIL_LIMIT_S = 60.0
_PROXY = "/apps/stockwright/notify-me"
_FIRST = re.compile(r"data-first>\s*(\{.*?\})\s*</script>", re.DOTALL)  # the page's first state, from Liquid
_LINK = re.compile(r"<(http\S+/u/\S+)>")


async def ask(scene: Scene) -> str:
    """Sign up on the page of a product, for each of its variants that is sold out."""
    product = await scene.product(WAITED_FOR)
    wanted = _sold_out(product, count=2)
    await _until_button(scene, product, wanted)
    said = {await _sign_up(scene, product, variant) for variant in wanted}
    confirmed = await _mails(scene, "We will tell you", at_least=len(wanted))
    _check_states(await _requests(scene), {one.id: "pending" for one in wanted})
    return (
        f"the page of {WAITED_FOR} has the button at {_titles(wanted)} and at no other size; asked there, it said "
        f"{'; '.join(sorted(said))!r}, and {len(confirmed)} mails confirmed it."
    )


async def restock(scene: Scene) -> str:
    """Stock of one of them comes in, its webhook comes twice, and more stock follows: one mail."""
    product = await scene.product(WAITED_FOR)
    back, still_out = _sold_out(product, count=2)
    shop = scene.stage.shop
    await shop.fail_next("webhook_duplicate")
    started = monotonic()
    await shop.edit(product, location=scene.location, available=_RESTOCKED, only=back)
    await _mails(scene, "back in stock", at_least=1)
    took_s = monotonic() - started
    await scene.until_still()
    await shop.edit(product, location=scene.location, available=_RESTOCKED_AGAIN, only=back)
    mail = await _the_mail(scene)
    _check_mail(mail, shop.page_of(product, back), shop.page_of(product, still_out))
    await _until_button(scene, product, (still_out,))
    _check_states(await _requests(scene), {back.id: "sent", still_out.id: "pending"})
    return (
        f"{back.title} was restocked and told twice, then stocked up: one mail, {took_s * 1000:.0f} ms after the "
        f"first, {mail.subject!r}, with a link to {back.title} and one-click unsubscribing. {still_out.title} waits on."
    )


async def unsubscribe(scene: Scene) -> str:
    """Open the link, which changes nothing; press the button; what comes back then is not told."""
    product = await scene.product(WAITED_FOR)
    [still_out] = _sold_out(product, count=1)
    link = _link_of(await _the_mail(scene))
    before = await _requests(scene)
    page = await scene.stage.shopper.page(link)
    if await _requests(scene) != before or 'value="all"' not in page:
        raise Failed("Opening the link should show a button and change nothing.")
    await scene.stage.shopper.send(link, {"what": "all"})
    states = {row.variant_id: row.state for row in before} | {still_out.id: "unsubscribed"}
    _check_states(await _requests(scene), states)
    await scene.stage.shop.edit(product, location=scene.location, available=_RESTOCKED, only=still_out)
    await _the_mail(scene)
    _check_states(await _requests(scene), states)
    return f"looking at the page changed nothing, its button did: {still_out.title} came back too, and no mail went out."


async def show_reason(scene: Scene) -> None:
    """Everything that happened to each request, as the admin site tells it."""
    zone = time_zone("UTC")
    assert zone is not None, "UTC is known everywhere"
    for row in reversed(await _requests(scene)):
        story = await story_of(scene.stage.deps, row)
        tell(f"\n{row.email} and {row.product_title}, {row.variant_title}: {story.because}")
        for one in story.told:
            tell(f"  {clock_text(one.at, zone)}  {one.text}{f': {one.detail}' if one.detail else ''}")


def _sold_out(product: ShopProduct, *, count: int) -> tuple[ShopVariant, ...]:
    if len(product.sold_out) != count:
        raise Failed(f"{count} variants of {product.title} should be sold out, not {len(product.sold_out)}.")
    return product.sold_out


# --- the page ---------------------------------------------------------------------------------------------


async def _until_button(scene: Scene, product: ShopProduct, wanted: tuple[ShopVariant, ...]) -> None:
    """Wait until the page has the button at these variants and at no other."""
    started, numbers = monotonic(), {gid_number(one.id) for one in wanted}
    while (shown := await _open_variants(scene, product)) != numbers:
        if monotonic() - started > LIMIT_S:
            raise Failed(
                f"The button of {product.title} should stand at variants {sorted(numbers)}, not {sorted(shown)}."
            )
        await asyncio.sleep(ASK_EVERY_S)


async def _open_variants(scene: Scene, product: ShopProduct) -> set[str]:
    html = await scene.stage.shopper.page(scene.stage.shop.page_of(product))
    found = _FIRST.search(html)
    return set(json.loads(found[1])["open"]) if found else set()


async def _sign_up(scene: Scene, product: ShopProduct, variant: ShopVariant) -> str:
    """What the service said."""
    fields = {
        "product": gid_number(product.id),
        "variant": gid_number(variant.id),
        "email": _SHOPPER,
        "locale": "en",
        "page": f"/products/{product.handle}",
        "website": "",
    }
    url = f"{scene.stage.shop.url}{_PROXY}"
    answer = json.loads(await scene.stage.shopper.send(url, fields, accept="application/json"))
    if not answer["ok"]:
        raise Failed(f"The sign-up for {variant.title} was refused: {answer['message']}")
    return str(answer["message"])


def _titles(variants: tuple[ShopVariant, ...]) -> str:
    return " and ".join(one.title for one in variants)


# --- the mail ---------------------------------------------------------------------------------------------


async def _mails(scene: Scene, words: str, *, at_least: int) -> list[SunkMail]:
    """The mails to the shopper with these words in the subject, once there are so many."""
    started = monotonic()
    while len(found := await _found(scene, words)) < at_least:
        if monotonic() - started > _MAIL_LIMIT_S:
            raise Failed(f"{len(found)} mails {words!r} reached {_SHOPPER}, not {at_least}.")
        await asyncio.sleep(ASK_EVERY_S)
    return found


async def _found(scene: Scene, words: str) -> list[SunkMail]:
    mails = await scene.stage.sink.mails()
    return [one for one in mails if _SHOPPER in one.to and words in one.subject]


async def _the_mail(scene: Scene) -> SunkMail:
    """The only mail that told of a restock, once all is still."""
    await scene.until_still()
    found = await _found(scene, "back in stock")
    if len(found) != 1:
        raise Failed(f"{len(found)} mails told {_SHOPPER} of {WAITED_FOR}; there should be one.")
    return found[0]


def _check_mail(mail: SunkMail, back: str, still_out: str) -> None:
    if back not in mail.text or still_out in mail.text:
        raise Failed(f"The mail should lead to {back} and nowhere else in the shop: {mail.text}")
    if mail.headers.get("List-Unsubscribe-Post") != "List-Unsubscribe=One-Click":
        raise Failed("The mail has no one-click unsubscribing.")
    _link_of(mail)


def _link_of(mail: SunkMail) -> str:
    found = _LINK.fullmatch(mail.headers.get("List-Unsubscribe", ""))
    if found is None or found[1] not in mail.text:
        raise Failed("The mail has not the same link to unsubscribe in its header and in its text.")
    return found[1]


# --- the requests -----------------------------------------------------------------------------------------


async def _requests(scene: Scene) -> list[PersonRow]:
    """What the shopper asked for, newest first."""
    wanted = Wanted(shop_id=scene.shop_id, address=_SHOPPER)
    async with scene.stage.deps.database.connection() as conn:
        return await people.people(conn, wanted, limit=10)


def _check_states(rows: list[PersonRow], wanted: dict[str, str]) -> None:
    found = {row.variant_id: row.state for row in rows}
    if found != wanted:
        told = ", ".join(f"{row.variant_title} {STATES[State(row.state)]}" for row in rows)
        raise Failed(f"The requests should be {', '.join(wanted.values())} and are: {told or 'none'}.")
