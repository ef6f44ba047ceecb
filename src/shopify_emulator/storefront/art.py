"""A drawing for products without a picture: hills and a sun, the same for the same number."""

from __future__ import annotations

from random import Random

SKIES = ("#f3e3c8", "#dfe8ea", "#f2d9cc", "#e7e4d4", "#d9e2d5")
HILLS = ("#7d9488", "#4e6a68", "#2f4750", "#a5653f", "#7a2e1d", "#c79a58")


def drawing(number: int) -> str:
    """An SVG of 640 by 640."""
    chance = Random(number)  # a picture, not a secret
    colors = chance.sample(HILLS, 3)
    sun = f'<circle cx="{chance.randint(150, 490)}" cy="{chance.randint(140, 250)}" r="{chance.randint(46, 84)}" fill="#fbf6ea"/>'
    hills = "".join(_hill(chance, 300 + 105 * row, color) for row, color in enumerate(colors))
    sky = f'<rect width="640" height="640" fill="{chance.choice(SKIES)}"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 640">{sky}{sun}{hills}</svg>'


def _hill(chance: Random, height: int, color: str) -> str:
    left, middle, right = (height + chance.randint(-45, 45) for _ in range(3))
    bend = chance.randint(60, 140) * chance.choice((-1, 1))
    return (
        f'<path d="M0 {left} Q160 {left - bend} 320 {middle} T640 {right} V640 H0 Z" '
        f'fill="{color}" fill-opacity=".92"/>'
    )
