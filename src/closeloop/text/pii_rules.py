"""The table of masking rules: what is looked for, what proves it, which token takes its place."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from closeloop.text import pii_checks as checks

MASKER_VERSION = "2"
"""Grows with every change of a rule; stored with each text that was masked."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One masking rule, for texts that were cleaned.

    `pattern` finds candidates; the group "value", where there is one, is what is masked, else the
    whole match. `look` are RE2 patterns that all hold in every text in which the rule can find
    something; None means that the rule is asked of every text. `check` refuses candidates, `end`
    finds where a match really ends. A `guarded` rule gives way to prices, dates, versions and
    error codes.
    """

    name: str
    token: str
    pattern: re.Pattern[str]
    look: tuple[str, ...] | None
    check: Callable[[re.Match[str]], bool] | None = None
    end: Callable[[re.Match[str]], int | None] | None = None
    joinable: bool = False
    guarded: bool = False


def _i(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


# Looks see the digits of every script as ASCII's. Letters beyond ASCII are any character there: the
# tables of Unicode would take milliseconds to compile. re.IGNORECASE lets i match ı and İ,
# RE2's (?i) does not: hence [iıİ] in the looks.
DIGIT = r"\p{Nd}"
"""What looks have in common stands first in them: it is asked once, the rest of what it leaves."""
_L = r"A-Za-z\x{80}-\x{10FFFF}"
_THREE_DIGITS = r"[0-9][^0-9]*[0-9][^0-9]*[0-9]"
_SIX_DIGITS = r"[0-9](?:[^A-Za-z0-9]*[0-9]){5}"
_NUMBER = (DIGIT, _THREE_DIGITS, _SIX_DIGITS)
_DIGITS_IN_A_WORD = rf"(?:[{_L}0-9/_\-]*[0-9]){{3}}"
_GLUE = r"(?:\s|[:#=.,\-(<\[\"']|is\b|was\b|are\b)"
_MARK = r"(?:\b(?:id|ids|no|nos|num|number|numbers|code|ref|reference)\b|n[°º]|#|-(?=\d{4}))"
_MARKS = rf"(?:{_MARK}{_GLUE}{{0,3}}){{1,3}}"
_VALUE = r"(?<![^\W_])(?P<value>[A-Z\d](?:[A-Z\d]|[\-/_](?=[A-Z\d])){2,35})(?![^\W_]|[.,]\d)"
_CAP = r"[^\W\d_a-zß-öø-ÿ](?:[^\W\d_]+(?:['’\-][^\W\d_]+)*|\.)"
# Capitalised words that go on after a name, but are none.
_NOT_THE_NAME = (
    r"(?!(?:I|And|This|It|The|My|But|Please|Pls|So|We|In|On|From|App|Is|Here|Mam|Sir)\b)"
)
_NAMES = rf"{_CAP}(?: {_NOT_THE_NAME}{_CAP}){{0,3}}"
_NOT_IN_A_NUMBER = r"(?<![\w,+#$₹€£])(?<!\d[.\-/])"
_NUMBER_ENDS = r"(?![^\W_]|[.,\-/]\d|\s?%)"
_EXTENSION = r"(?:\s?(?:x|ext\.?)\s?\d{1,6})?"
_PAGES = r"(?:t\.me|wa\.me|bit\.ly|goo\.gl|youtu\.be|tinyurl\.com|forms\.gle)/"
_MAILERS = "(?:gmail|googlemail|yahoo|ymail|rediffmail|hotmail|outlook|icloud|proton(?:mail)?)"
_PAYMENT_HANDLES = (
    "(?:ok(?:axis|sbi|icici|hdfcbank)|ybl|ibl|axl|yapl|apl|paytm|pty[a-z]{2,3}|upi|sbi|hdfcbank|"
    "icici|axisbank|kotak|fbl|idfcbank|indus|yesbank|jupiteraxis|freecharge|ikwik|fam|slice)"
)
_ORDER_WORDS = (
    "(?:orders?|transactions?|txn|trxn|utr|rrn|references?|refs?|tickets?|complaints?|case|"
    "grievance|booking|pnr|invoice|shipment|tracking|awb|request|receipt)"
)
_ACCOUNT_WORDS = (
    "(?:accounts?|acct?|acc|a/?c|customer|client|user|member(?:ship)?|loan|policy|wallet|crn|cif)"
)
_IDENTITY_WORDS = (
    "(?:licen[cs]es?|passports?|aa?dhaa?r|pan|ssn|social security|national id|voter|tax|cpf|nino)"
)
# The same words for RE2, and what stands between them and the number. Looks leave out where a word
# begins (\b of RE2 knows ASCII only), and are else the rules without what looks around.
_LOOK_GLUE = r"(?:\s|[:#=.,\-(<\[\"']|[iıİ]s|was|are)"
_LOOK_MARK = r"(?:(?:[iıİ]ds?|nos?|num|numbers?|code|ref|reference)\b|n[°º]|#|-)"
_LOOK_MARKS = rf"(?:{_LOOK_MARK}{_LOOK_GLUE}{{0,3}}){{1,3}}"
_LOOK_ORDER = (
    r"(?:orders?|transact[iıİ]ons?|txn|trxn|utr|rrn|references?|refs?|t[iıİ]ckets?|"
    r"compla[iıİ]nts?|case|gr[iıİ]evance|book[iıİ]ng|pnr|[iıİ]nvo[iıİ]ce|sh[iıİ]pment|"
    r"track[iıİ]ng|awb|request|rece[iıİ]pt)"
)
_LOOK_ACCOUNT = (
    r"(?:accounts?|acct?|acc|a/?c|customer|cl[iıİ]ent|user|member(?:sh[iıİ]p)?|loan|"
    r"pol[iıİ]cy|wallet|crn|c[iıİ]f)"
)
_LOOK_IDENTITY = (
    r"(?:l[iıİ]cen[cs]es?|passports?|aa?dhaa?r|pan|ssn|soc[iıİ]al secur[iıİ]ty|"
    r"nat[iıİ]onal [iıİ]d|voter|tax|cpf|n[iıİ]no)"
)
_CUE = (
    r"(?i)order|transact|txn|trxn|utr|rrn|ref|t[iıİ]cket|compla|case|gr[iıİ]ev|book|pnr|nvo|sh[iıİ]pment|"
    r"track|awb|request|rece|acc|act|a/?c|cust|cl[iıİ]ent|user|mem|loan|pol|wallet|crn|c[iıİ]f|l[iıİ]cen|pass|"
    r"adh|pan|ssn|secur|nat[iıİ]onal|vote|tax|cpf|n[iıİ]no|otp|cv[vc]|p[iıİ]n|pwd"
)
"""What all numbers after their name have in common: a quick look before four exact ones."""
COMMON_LOOKS = frozenset({DIGIT, _THREE_DIGITS, _SIX_DIGITS, _CUE})
"""Looks that many texts pass. What comes after the same ones is rare: it is looked for together."""
_LOOK_PHONE = (
    r"(?i)phone|tel|mob|cell|whats ?app|fax|call|contact|my n|ph|reach|sms|text|messages to|"
    r"answer[iıİ]ng at|off[iıİ]ce|d[iıİ]al"
)
_LOOK_SPACE = rf"{_LOOK_GLUE}{{0,3}}(?:{_LOOK_MARKS})?{_LOOK_GLUE}{{0,3}}"
_PHONE_WORDS = (
    "(?:phone|tel|telephone|mobile|mob|cell|whats ?app|fax|call|contact|my (?:no|number)|ph|reach|"
    "sms|text|messages to|answering at|office|dial)"
)
_STREETS = (
    "(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Boulevard|Blvd|Court|Terrace|Crescent|Square|"
    "Nagar|Marg|Highway|Parkway)"
)

RULES: tuple[Rule, ...] = (
    Rule(
        "address of a page",
        "URL",
        _i(rf"(?:(?:https?|ftp)://|\bwww\.|\b{_PAGES})[^\s<>\"']*[^\s<>\"'.,;:!?)]"),
        (rf"(?i)://|www\.|{_PAGES}",),
    ),
    Rule(
        "e-mail",
        "EMAIL",
        _i(
            r"[\w.+%'\-]{1,64}@(?:[\w\-]{1,63}\.){1,6}[^\W\d_]{2,24}"
            rf"|[\w.+%\-]{{2,64}}\s?(?:@|\(at\)|\[at\])\s?{_MAILERS}\b(?:\s?\.\s?c(?:om?)?\b)?"
            rf"|\b[\w.+%\-]{{2,64}} at {_MAILERS} dot com\b"
        ),
        (
            r"(?i)@|\(at\)|\[at\]| at .{4,12} dot com",
            r"(?i)\S@[^\s@.]+\.\S| at .{4,12} dot com"
            r"|(?:@|\(at\)|\[at\])\s?(?:g|goog|y|yahoo|red[iıİ]ff|hot|out|[iıİ]cloud|proton)",
        ),
    ),
    Rule(
        "payment address",
        "ACCOUNT",
        _i(rf"(?<![\w.])[\w.\-]{{2,64}}@{_PAYMENT_HANDLES}\b"),
        (r"@", rf"\S\S@[{_L}]"),
        joinable=True,
    ),
    Rule(
        "IBAN",
        "IBAN",
        _i(r"(?<![^\W_])[A-Z]{2}\d{2}(?:[ \-]?[A-Z0-9]){11,30}"),
        (
            DIGIT,
            rf"[{_L}]{{2}}[0-9]{{2}}",
            rf"[{_L}]{{2}}[0-9]{{2}}(?:[ \-]?[{_L}0-9]){{11}}",
        ),
        end=checks.iban_end,
    ),
    Rule(
        "card",
        "CARD",
        re.compile(r"(?<![\w.])(?<!\d[ \-])\d(?:[ \-]?\d){11,18}(?![^\W_]|[ \-]?\d)"),
        (*_NUMBER, r"[0-9](?:[ \-]?[0-9]){11}"),
        check=checks.is_card,
    ),
    Rule(
        "US social security number",
        "SSN",
        re.compile(r"(?<![\w\-])[0-8]\d{2}-\d{2}-\d{4}(?![\w\-])"),
        (*_NUMBER, r"[0-9]{3}-[0-9]{2}-[0-9]{4}"),
        check=checks.is_ssn,
    ),
    Rule(
        "IP address, version 6",
        "IP",
        _i(r"(?<![\w:])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:])"),
        (r":[0-9A-Fa-f]{0,4}:",),
        check=checks.is_ipv6,
    ),
    Rule(
        "IP address, version 4",
        "IP",
        _i(
            r"(?<![\w.])(?<!version )(?<!update )(?<!build )(?<!ver )\d{1,3}(?:\.\d{1,3}){3}(?!\.?\w)"
        ),
        (DIGIT, _THREE_DIGITS, r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]"),
        check=checks.is_ipv4,
    ),
    Rule(
        "postcode",
        "POSTCODE",
        _i(
            r"\b(?:(?:zip|post|postal|pin) ?code|zip|pin(?=[ :\-]{1,3}\d{6}\b))(?: ?(?:no|number))?\b"
            rf"{_GLUE}{{0,5}}(?P<value>\d[\d\-]{{1,8}}\d|\d{{3}} \d{{2,3}}"
            r"|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2})\b"
        ),
        (
            DIGIT,
            r"(?i)(?:(?:z[iıİ]p|post|postal|p[iıİ]n) ?code|z[iıİ]p|p[iıİ]n)(?: ?(?:no|number))?"
            rf"{_LOOK_GLUE}{{0,5}}[{_L}]{{0,2}}[0-9]",
        ),
        guarded=True,
    ),
    Rule(
        "password or one-time code",
        "SECRET",
        _i(
            r"\b(?:otp|cvv|cvc|m?pin|passcode|password|pwd)\b(?! ?code)"
            rf"{_GLUE}{{1,6}}(?P<value>[^\s,;]*\d[^\s,;]{{2,40}})"
        ),
        (
            DIGIT,
            _THREE_DIGITS,
            _CUE,
            rf"(?i)(?:otp|cvv|cvc|p[iıİ]n|passcode|password|pwd){_LOOK_GLUE}{{1,6}}"
            r"[^\s,;]*[0-9]",
        ),
        check=checks.has_digits(3),
        guarded=True,
    ),
    Rule(
        "order, transaction or case number",
        "ORDER",
        _i(
            rf"\b{_ORDER_WORDS}(?![^\W_]){_GLUE}{{0,3}}(?P<mark>{_MARKS})?"
            rf"{_GLUE}{{0,3}}(?:\bof\s)?{_VALUE}"
        ),
        (
            DIGIT,
            _THREE_DIGITS,
            _CUE,
            rf"(?i){_LOOK_ORDER}{_LOOK_SPACE}(?:of\s)?{_DIGITS_IN_A_WORD}",
        ),
        check=checks.is_reference,
        joinable=True,
        guarded=True,
    ),
    Rule(
        "order number by its prefix",
        "ORDER",
        re.compile(r"(?<![\w\-])(?:ORD|TXN|INV|TKT|AWB)[\-_#]?\d{4,30}(?![\w])"),
        (DIGIT, _THREE_DIGITS, r"(?:ORD|TXN|INV|TKT|AWB)[\-_#]?[0-9]"),
        joinable=True,
    ),
    Rule(
        "identity document",
        "NATIONAL_ID",
        _i(
            rf"\b{_IDENTITY_WORDS}(?![^\W_])(?: ?card)?{_GLUE}{{0,3}}(?:{_MARKS})?{_GLUE}{{0,3}}"
            r"(?<![^\W_])(?P<value>[A-Z]{0,5}\d[A-Z\d]{0,3}(?:[ \-]?[A-Z]{0,2}\d[A-Z\d]{0,3}){1,8})(?![^\W_]|[.,]\d)"
        ),
        (
            DIGIT,
            _THREE_DIGITS,
            _CUE,
            rf"(?i){_LOOK_IDENTITY}(?: ?card)?{_LOOK_SPACE}[{_L}]{{0,5}}[0-9]",
        ),
        check=checks.has_digits(5, 16),
        guarded=True,
    ),
    Rule(
        "Indian identity numbers",
        "NATIONAL_ID",
        re.compile(
            r"(?<![^\W_])[A-Z]{3}[ABCFGHLJPT][A-Z]\d{4}[A-Z](?![^\W_])"
            r"|(?<![\w\-.])[2-9]\d{3}([ \-])\d{4}\1\d{4}(?![\w\-]| \d{4}(?!\d))"
        ),
        (DIGIT, _THREE_DIGITS, r"[A-Z]{5}[0-9]|[0-9]{4}[ \-][0-9]{4}[ \-][0-9]{4}"),
        guarded=True,
    ),
    Rule(
        "account or customer number",
        "ACCOUNT",
        _i(rf"\b{_ACCOUNT_WORDS}(?![^\W_]){_GLUE}{{0,3}}{_MARKS}{_GLUE}{{0,3}}{_VALUE}"),
        (
            DIGIT,
            _THREE_DIGITS,
            _CUE,
            rf"(?i){_LOOK_ACCOUNT}{_LOOK_GLUE}{{0,3}}{_LOOK_MARKS}{_LOOK_GLUE}{{0,3}}"
            rf"{_DIGITS_IN_A_WORD}",
        ),
        check=checks.has_digits(4),
        joinable=True,
        guarded=True,
    ),
    Rule(
        "phone with country code",
        "PHONE",
        _i(rf"(?<![\w+])\+\d{{1,3}}(?:[ .\-()/]{{0,3}}\d){{6,13}}{_EXTENSION}(?!\d)"),
        (*_NUMBER, r"\+[0-9]"),
        check=checks.is_varied_number,
    ),
    Rule(
        "phone after its announcement",
        "PHONE",
        _i(
            rf"\b{_PHONE_WORDS}\b[^\w\n+(]{{0,3}}(?:\s?\b(?:no|number|me|us|him|her|is|on|at|to|by)\b[^\w+(]{{0,3}}){{0,4}}\s*"
            rf"(?P<value>\+?\(?\d(?:[ .\-()/]{{0,2}}\d){{5,14}}{_EXTENSION})(?![^\W_]|[.,]\d|\s?%)"
        ),
        (*_NUMBER, _LOOK_PHONE),
        check=checks.is_cued_phone,
        guarded=True,
    ),
    Rule(
        "phone before its kind",
        "PHONE",
        _i(
            rf"{_NOT_IN_A_NUMBER}(?P<value>\(?\d(?:[ .\-()]{{0,2}}\d){{5,14}}{_EXTENSION})"
            r"[\s\-,(]{0,3}(?:office|fax|home|mobile|cell|phone)\b"
        ),
        (*_NUMBER, r"(?i)off[iıİ]ce|fax|home|mob[iıİ]le|cell|phone"),
        check=checks.is_cued_phone,
        guarded=True,
    ),
    Rule(
        "North American phone",
        "PHONE",
        _i(
            rf"{_NOT_IN_A_NUMBER}(?:(?:00)?1[ .\-])?(?:\(\d{{3}}\) ?|\d{{3}}[ .\-])\d{{3}}[ .\-]\d{{4}}"
            rf"{_EXTENSION}{_NUMBER_ENDS}"
        ),
        (*_NUMBER, r"[0-9]{3}(?:\) ?|[ .\-])[0-9]{3}[ .\-][0-9]{4}"),
        check=checks.is_varied_number,
        guarded=True,
    ),
    Rule(
        "mobile or national phone without spaces",
        "PHONE",
        re.compile(rf"{_NOT_IN_A_NUMBER}(?:(?:91)?[6-9]\d{{9}}|0[1-9]\d{{8,9}}){_NUMBER_ENDS}"),
        (*_NUMBER, r"[0-9]{10}"),
        check=checks.is_mobile,
        guarded=True,
    ),
    Rule(
        "phone in groups",
        "PHONE",
        _i(
            rf"{_NOT_IN_A_NUMBER}(?P<value>\(?\d{{2,5}}\)?(?:[ .\-]{{1,2}}\d{{2,7}}){{1,5}}{_EXTENSION})"
            rf"{_NUMBER_ENDS}"
        ),
        (*_NUMBER, r"[0-9]{2}\)?[ .\-]{1,2}[0-9]{2}"),
        check=checks.is_grouped_phone,
        guarded=True,
    ),
    Rule(
        "long number or identifier",
        "ID",
        _i(rf"{_NOT_IN_A_NUMBER}[A-Z]{{0,6}}\d{{11,40}}[A-Z\d]{{0,20}}{_NUMBER_ENDS}"),
        (*_NUMBER, r"[0-9]{11}"),
        check=checks.is_personal_number,
        guarded=True,
    ),
    Rule(
        "identifier of a device or request",
        "ID",
        _i(r"(?<![\w\-])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![\w\-])"),
        (r"[0-9A-Fa-f]-[0-9A-Fa-f]{4}-",),
    ),
    Rule(
        "street address",
        "ADDRESS",
        re.compile(
            rf"\b\d{{1,5}}[A-Za-z]?,? (?:{_CAP},? ){{1,3}}{_STREETS}\b\.?"
            r"(?:,? (?:Apt|Suite|Unit|Flat)\.? ?\d{1,5})?|\bP\.? ?O\.? ?[Bb]ox \d{1,7}"
        ),
        (
            DIGIT,
            rf" {_STREETS}|[Bb]ox ",
            rf"[0-9][{_L}]?,? (?:\S+ ){{1,3}}{_STREETS}|[Bb]ox [0-9]",
        ),
    ),
    Rule(
        "address after its announcement",
        "ADDRESS",
        _i(
            r"\b(?:my|home|new|shipping|delivery|billing) (?:new )?address (?:is|:)\s*:?\s*"
            r"(?P<value>[^\n!?]{0,60}\d[^\n.!?]{0,40})"
        ),
        (DIGIT, r"(?i)address"),
    ),
    Rule(
        "name after its announcement",
        "NAME",
        re.compile(
            r"(?i:\bmy (?:full |real )?name(?:'s|’s| is\b|:| :)|\bmera na+m\b(?: hai\b)?|\bme llamo|\bje m['’]appelle"
            r"|\bmi chiamo|\bmein name ist|\bich heiße)(?:\s*:)?\s*"
            rf"(?P<value>[^\W\d_]{{2,30}}(?:['’\-][^\W\d_]+)?(?: {_NOT_THE_NAME}{_CAP}){{0,3}})"
        ),
        (
            r"(?i)my (?:full |real )?name(?:['’]s| [iıİ]s| ?:)|mera na+m|llamo|appelle|ch[iıİ]amo|"
            r"me[iıİ]n name|he[iıİ](?:ß|ss|ẞ)e",
        ),
        check=checks.is_name,
    ),
    Rule(
        "name after a label or a title",
        "NAME",
        re.compile(
            rf"(?:\b[Nn]ame ?: ?|\b(?:Mr|Mrs|Ms|Dr|Prof|Shri|Smt|Herr|Frau|Mme|Señora?)(?:\. ?| ))"
            rf"(?P<value>{_NAMES})(?![^\W_])"
        ),
        (r"[Nn]ame ?:|(?:Mr|Mrs|Ms|Dr|Prof|Shri|Smt|Herr|Frau|Mme|Señora?)[. ]",),
        check=checks.is_written_name,
    ),
    Rule(
        "name under a letter",
        "NAME",
        re.compile(
            r"(?i:\b(?:regards|sincerely|yours (?:truly|faithfully)|cheers))\s?[,:\-–!.]?\s{0,3}"
            rf"(?P<value>{_NAMES})\s*$",
            re.MULTILINE,
        ),
        (r"(?i)(?:regards|s[iıİ]ncerely|truly|fa[iıİ]thfully|cheers)\s?[,:\-–!.]?\s{0,3}\S",),
        check=checks.is_written_name,
    ),
)

_GUARD_SPECS: tuple[tuple[str, Callable[[re.Match[str]], bool] | None], ...] = (
    # Dates, with or without a time.
    (
        r"(?<![\w.\-/])(\d{1,4})[./\-](\d{1,2})[./\-](\d{1,4})(?![\-./]?\d)"
        r"(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?",
        checks.is_date,
    ),
    # Prices: a currency before or after a figure.
    (
        r"(?:[$€£₹¥]|\b(?:rs|inr|usd|eur|gbp|aed|rupees?)\b\.?) ?"
        r"(?:\d{1,3}(?:[ ,.]\d{2,3})+|\d{1,9})(?:[.,]\d{1,2})?(?!\d)",
        None,
    ),
    (
        r"(?<![\w.,])(?:\d{1,3}(?:[ ,.]\d{2,3})+|\d{1,9})(?:[.,]\d{1,2})? ?"
        r"(?:[$€£₹¥%]|/-|(?:rs|inr|usd|eur|gbp|aed|rs|rupees?|rupay|dollars?|euros?|lakhs?|crores?|k|cr)\b)",
        None,
    ),
    # Versions, builds, error codes.
    (
        r"\b(?:v|ver|version|build|update|release|android|ios|miui|error|err|errno|exception|http|"
        r"status)(?:(?: ?code| ?no| ?number| ?id| is|[ :#.\-]){0,4})(?=[\d\-])[\w.\-]{1,25}",
        None,
    ),
)
GUARDS = tuple((re.compile(pattern, re.IGNORECASE), check) for pattern, check in _GUARD_SPECS)
"""What guarded rules give way to, each with a check of its own."""
