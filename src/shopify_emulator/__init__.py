"""A local stand-in for one Shopify shop: Admin API 2026-10, webhooks, orders, and faults on request.

For the demo, the tests and the benchmarks. It shares no code with the service that it is a shop for.
"""

from shopify_emulator.clock import Clock, ManualClock, RealClock
from shopify_emulator.faults import Fault, Faults, WebhookFault
from shopify_emulator.model import Location, Movement, Order, Product, ShopError, Variant, VariantSpec
from shopify_emulator.orders import SoldOut
from shopify_emulator.server import DroppedConnection, NeverAnswers, asgi_app
from shopify_emulator.shop import Shop
from shopify_emulator.switches import Switches, switch_modes, switches_from
from shopify_emulator.transport import EmulatorTransport, deliver_with

__all__ = [
    "Clock",
    "DroppedConnection",
    "EmulatorTransport",
    "Fault",
    "Faults",
    "Location",
    "ManualClock",
    "Movement",
    "NeverAnswers",
    "Order",
    "Product",
    "RealClock",
    "Shop",
    "ShopError",
    "SoldOut",
    "Switches",
    "Variant",
    "VariantSpec",
    "WebhookFault",
    "asgi_app",
    "deliver_with",
    "switch_modes",
    "switches_from",
]
