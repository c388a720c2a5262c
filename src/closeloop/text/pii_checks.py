"""Validators of masking rules: check sums, and the numbers that are never personal."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

Check = Callable[[re.Match[str]], bool]
"""Whether a match is what its rule looks for."""

# Lengths of IBANs by country (the SWIFT registry).
_IBAN_LENGTHS = {
    **dict.fromkeys(("NO",), 15),
    **dict.fromkeys(("BE",), 16),
    **dict.fromkeys(("DK", "FI", "FO", "GL", "NL"), 18),
    **dict.fromkeys(("MK", "SI"), 19),
    **dict.fromkeys(("AT", "BA", "EE", "KZ", "LT", "LU", "XK"), 20),
    **dict.fromkeys(("CH", "HR", "LI", "LV"), 21),
    **dict.fromkeys(("BG", "BH", "CR", "DE", "GB", "GE", "IE", "ME", "RS"), 22),
    **dict.fromkeys(("AE", "GI", "IL", "IQ", "TL"), 23),
    **dict.fromkeys(("AD", "CZ", "ES", "MD", "PK", "RO", "SA", "SE", "SK", "TN", "VG"), 24),
    **dict.fromkeys(("PT",), 25),
    **dict.fromkeys(("IS", "TR"), 26),
    **dict.fromkeys(("FR", "GR", "IT", "MC", "MR", "SM"), 27),
    **dict.fromkeys(("AL", "AZ", "BY", "CY", "DO", "GT", "HU", "LB", "PL", "SV"), 28),
    **dict.fromkeys(("BR", "EG", "PS", "QA", "UA"), 29),
    **dict.fromkeys(("JO", "KW", "MU"), 30),
    **dict.fromkeys(("MT", "SC"), 31),
}
_NOT_ALNUM = re.compile(r"[\W_]+")
_NOT_DIGIT = re.compile(r"\D+")


def digits_of(text: str) -> list[int]:
    """Return the decimal digits of a text, of any script, as numbers."""
    return [int(d) for d in _NOT_DIGIT.sub("", text)]


def luhn(digits: list[int]) -> bool:
    """Whether the last digit is the check digit of ISO/IEC 7812."""
    doubled = [sum(divmod(2 * d, 10)) for d in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def is_card(match: re.Match[str]) -> bool:
    """12 to 19 digits of an issuer that exists, with a right check digit."""
    digits = digits_of(match[0])
    return 12 <= len(digits) <= 19 and 1 <= digits[0] <= 6 and any(digits[1:]) and luhn(digits)


def iban_end(match: re.Match[str]) -> int | None:
    """Return where the IBAN that starts the match ends (mod 97 is 1), None where there is none."""
    text = match[0]
    wanted = _IBAN_LENGTHS.get(text[:2].upper())
    if wanted is None:
        return None
    seen = 0
    for position, character in enumerate(text):
        seen += character.isalnum()
        if seen == wanted:
            plain = _NOT_ALNUM.sub("", text[: position + 1]).upper()
            if not plain.isascii():
                return None
            number = "".join(str(int(c, 36)) for c in plain[4:] + plain[:4])
            return match.start() + position + 1 if int(number) % 97 == 1 else None
    return None


def is_ssn(match: re.Match[str]) -> bool:
    """A US social security number that can be issued (area, group and serial not void)."""
    digits = "".join(str(d) for d in digits_of(match[0]))
    return digits[:3] not in {"000", "666"} and digits[3:5] != "00" and digits[5:] != "0000"


def is_ipv4(match: re.Match[str]) -> bool:
    """Four octets that are no version: eight digits or more, or a well-known private range."""
    octets = [int(part) for part in match[0].split(".")]
    if max(octets) > 255:
        return False
    return len(match[0]) >= 11 or octets[0] in (10, 127) or octets[:2] == [192, 168]


def is_ipv6(match: re.Match[str]) -> bool:
    """An address of version 6 with six hex digits or more."""
    try:
        ipaddress.IPv6Address(match[0])
    except ValueError:
        return False
    return len(match[0].replace(":", "")) >= 6


def is_varied_number(match: re.Match[str]) -> bool:
    """Digits that are not nearly all the same."""
    digits = digits_of(match[0])
    commonest = max(map(digits.count, set(digits)), default=0)
    return len(set(digits)) > 2 and commonest <= 0.7 * len(digits)


def is_personal_number(match: re.Match[str]) -> bool:
    """Digits that could be somebody's: not nearly all the same, not round."""
    return is_varied_number(match) and any(digits_of(match[0])[-3:])


def is_mobile(match: re.Match[str]) -> bool:
    """Ten digits and more that start as mobiles do; with four zeros at the end they are an amount."""
    return is_varied_number(match) and any(digits_of(match[0])[-4:])


def is_grouped_phone(match: re.Match[str]) -> bool:
    """8 to 13 digits in groups as phones are written; guards refuse dates and prices before."""
    text = match["value"]
    groups = [g for g in _NOT_DIGIT.split(text) if g]
    count = sum(map(len, groups))
    if not 8 <= count <= 13 or len(groups) < 2 or not is_personal_number(match):
        return False
    separators = set(text) & set(" .-")
    if len(separators) > 1 and not text.startswith("("):
        return False
    if groups[0].startswith("0") or text.startswith("("):
        return count >= 9
    return (len(groups) >= 3 and count >= 9) or (len(groups) == 4 and separators == {"-"})


def has_digits(least: int, most: int = 99) -> Check:
    """Return a check that the value holds so many digits."""

    def check(match: re.Match[str]) -> bool:
        return least <= len(digits_of(match["value"])) <= most

    return check


def is_cued_phone(match: re.Match[str]) -> bool:
    """7 to 15 digits beside a word that announces a phone number; round ones from ten on.

    "Reach 1250000 customers" is none; one phone in a thousand ends with three zeros.
    """
    count = len(digits_of(match["value"]))
    if not 7 <= count <= 15:
        return False
    return is_varied_number(match) if count >= 10 else is_personal_number(match)


def is_reference(match: re.Match[str]) -> bool:
    """A cued order or case: three digits after a marker (no., id, #), else six, and not round.

    "order 2 pizzas", "transaction 10000" and "order 2023" are none.
    """
    value = match["value"]
    digits = digits_of(value)
    if match["mark"]:
        return len(digits) >= 3
    mixed = any(c.isalpha() for c in value)
    return len(digits) >= (4 if mixed else 6) and any(digits[-3:])


def is_date(match: re.Match[str]) -> bool:
    """Three numbers that can be a day, a month and a year in some order."""
    first, second, third = (int(part) for part in match.groups()[:3])
    if first > 31:
        return 1900 <= first <= 2100 and 1 <= second <= 12 and 1 <= third <= 31
    in_order = 1 <= second <= 12 or (first <= 12 and second <= 31)
    return 1 <= first <= 31 and in_order and (third <= 99 or 1900 <= third <= 2100)


# What a sentence goes on with after "my name is" when it does not tell a name.
_NO_NAMES = """
    not wrong incorrect showing coming written spelled spelt already different the a an in on is
    changed mismatch same correct there available registered updated displayed being also still
    and but or to for of with my your it this that no never now only invalid missing displaying
    getting matching right valid given as from at all mentioned very so team support app user
    customer service everyone sir madam bank google play regards thanks thank best kind warm dear
    office excel word teams says hai ka ki he ram nothing me all family
"""
_NOT_NAMES = frozenset(_NO_NAMES.split())


def is_name(match: re.Match[str]) -> bool:
    """A cued name whose first word is no word that a sentence would go on with."""
    words = match["value"].casefold().split()
    return bool(words) and not any(w.strip(".,") in _NOT_NAMES for w in words[:2])


def is_written_name(match: re.Match[str]) -> bool:
    """A name as is_name has it, that starts with a capital (many scripts have none)."""
    return match["value"][0].isupper() and is_name(match)
