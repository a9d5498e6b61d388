"""How people can be reached: email addresses and telephone numbers, all fictional, as people type them.

Addresses lie in domains reserved for examples (RFC 2606), American numbers in the exchange 555.
"""

import itertools
import random
from collections.abc import Iterator
from typing import Final

import phonenumbers

from mynatca_sandbox.world.names import to_ascii

DOMAINS: Final = (
    "example.com",
    "example.org",
    "example.net",
    "mail.example.com",
    "mail.example.net",
    "home.example.org",
    "post.example.com",
    "tower.example.org",
)
LONG_DOMAIN: Final = "a-very-long-department-name.of-an-even-longer-division.headquarters.example.org"

_AREA_CODES = """
    201 202 203 205 206 207 208 209 210 212 213 214 215 216 217 218 219 224 225 228 229 231 234 239
    240 248 251 252 253 254 256 260 262 267 269 270 276 281 301 302 303 304 305 307 308 309 310 312
    313 314 315 316 317 318 319 320 321 323 325 330 334 336 337 347 352 360 361 386 401 402 404 405
    406 407 408 409 410 412 413 414 415 417 419 423 425 432 434 435 440 443 469 478 479 480 484 501
    502 503 504 505 507 508 509 510 512 513 515 516 517 518 520 530 540 541 551 559 561 562 563 567
    570 571 573 574 580 585 586 601 602 603 605 606 607 608 609 610 612 614 615 616 617 618 619 620
    623 626 630 631 636 641 646 650 651 660 661 662 678 682 701 702 703 704 706 707 708 712 713 714
    715 716 717 718 719 720 724 727 731 732 734 740 754 757 760 763 765 770 772 773 774 775 781 785
    786 801 802 803 804 805 806 808 810 812 813 814 815 816 817 818 828 830 831 832 843 845 847 850
    856 857 858 859 860 863 864 865 870 901 903 904 906 907 908 909 910 912 913 914 915 916 917 918
    919 920 925 928 931 936 937 940 941 947 949 951 952 954 956 970 971 972 973 978 979 980 985 989
"""
AREA_CODES: Final = tuple(_AREA_CODES.split())
PHONE_STYLES: Final = (
    "({area}) {exchange}-{line}",
    "{area}-{exchange}-{line}",
    "{area}{exchange}{line}",
    "{area}.{exchange}.{line}",
    "+1 {area} {exchange} {line}",
    "1-{area}-{exchange}-{line}",
    "({area}){exchange}-{line} ",
    "{area}{exchange}{line} x12",
    "{area} {exchange} {line} ext. 7",
)
_PHONE_STYLE_WEIGHTS: Final = (40, 25, 20, 6, 4, 2, 1, 1, 1)
UNUSABLE_PHONES: Final = (None, "", "n/a", "none", "unlisted", "-", "see office", "555")
INTERNATIONAL_PHONES: Final = ("+44 20 7946 0{:03d}", "+353 20 914 0{:03d}", "+61 2 5550 0{:03d}")
"""Ranges kept for fiction by the regulators of Britain, Ireland and Australia."""


def phone_numbers(rng: random.Random) -> Iterator[tuple[str, str, str]]:
    """Different American numbers without end: area code, exchange, line; 555-01xx first."""
    areas = list(AREA_CODES)
    rng.shuffle(areas)
    for line in itertools.count(100):
        for area in areas:
            yield area, "555", f"{line:04d}"


def typed_phone(rng: random.Random, number: tuple[str, str, str]) -> str | None:
    """The number as a person types it; one in twelve gives nothing usable, one in a hundred lives abroad."""
    chance = rng.random()
    if chance < 1 / 12:
        return rng.choice(UNUSABLE_PHONES)
    if chance > 1 - 1 / 100:
        return rng.choice(INTERNATIONAL_PHONES).format(rng.randrange(1000))
    (style,) = rng.choices(PHONE_STYLES, _PHONE_STYLE_WEIGHTS)
    area, exchange, line = number
    return style.format(area=area, exchange=exchange, line=line)


def e164(phone: str | None) -> str | None:
    """The number in E.164 form, without its extension; None where there is none. Default region: US."""
    try:
        number = phonenumbers.parse(phone or "", "US")
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


class Mailboxes:
    """Hands out email addresses that fit a name, each once."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._taken: set[str] = set()

    def address(self, given: str, family: str) -> str:
        """A new address, in lower case."""
        first, last = to_ascii(given) or "member", to_ascii(family) or "natca"
        local = self._rng.choice((f"{first}.{last}", f"{first[0]}{last}", f"{last}{first[0]}", f"{first}_{last}"))
        domain = self._rng.choice(DOMAINS)
        address = f"{local}@{domain}"
        while address in self._taken:
            address = f"{local}{self._rng.randrange(10, 10_000)}@{domain}"
        self._taken.add(address)
        return address


def typed_email(rng: random.Random, address: str) -> str:
    """The address as a person types it: one in twenty is odd, be it the same mailbox or another one."""
    if rng.random() > 1 / 20:
        return address
    local, domain = address.split("@")
    return rng.choice(
        (
            address.upper(),
            f"{address} ",
            f" {address}",
            f"{local.title()}@{domain}",
            f"{local}+natca@{domain}",
            f"{local}.with-a-very-long-mailbox-name-for-union-business-only"[:64] + f"@{LONG_DOMAIN}",
        )
    )
