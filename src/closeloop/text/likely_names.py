"""Picks the texts that a model is asked to find names in: few of many, since a model is slow."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.text.lexicon import ENGLISH, ROMANISED_HINDI, SHARED_WORDS

Rows = npt.NDArray[np.int64]

NAMES, NUMBERS, ALL = "names", "numbers", "all"
"""What a recogniser can be asked of: texts likely to hold names, with numbers as well, or all."""

_CUES = (
    r"(?i)\bname\b|naam\b|llamo|appelle|chiamo|heiß|heisse|regards|s[iıİ]ncerely|\b(?:mr|mrs|ms|dr|prof|"
    r"shri|smt|herr|frau|mme)\b|(?:spoke|talked|spoken|chat|chatted) (?:to|w[iıİ]th)|person called|"
    r"(?-i)(?:by|ask for|agent|manager|executive) \p{Lu}\p{Ll}"
)
# A capital after a word or comma: no sentence starts there.
_INSIDE = r"[\p{L},;] +\p{Lu}\p{Ll}"
_INSIDE_WORD = re.compile(r"(?<=[^\W\d_] )[^\W\d_a-z][^\W\d_]+|(?<=[,;] )[^\W\d_a-z][^\W\d_]+")
_WORD = re.compile(r"[^\W\d_]{2,}")
_NUMBERS = r"\p{Nd}(?:[^\p{L}\p{Nd}]*\p{Nd}){5}"
_TITLE_CASE = 0.5
"""Where so many words begin with a capital, capitals tell nothing: "Very Nice App For Payment"."""

# Capitalised words of feedback that are no person's: brands, places of business, the calendar.
_COMMON_WORDS = """
    aadhaar aadhar activate add adding adhaar ads airtel already also amazon american amex
    amount android apple april assam atm atms aug august available axis bad bajaj balance
    bangalore bank banking banks baroda because bengal beta bharat bhim big bihar bob bring
    bro business canara card cards cashback central change chase check chennai christmas
    chrome cibil citi citibank city code coin coins coming company cons contact cred credit
    currently dark data date dear debit dec december delete delhi deposit design details
    developer developers device digital disney doesn don dubai due earlier east edit email
    english equitas everytime excel excellent experian extra face facebook facing fam
    famcard fampay faqs feb february federal fi flipkart fraud free freo friday frozen full
    funds galaxy gems gift giving global gmail go god gold google googlepay government gpay
    green greenlight guys hdfc hello hence hi high hindi history ho home hope hotmail
    however hyderabad iam icici id idea ids im india indian indians instagram instapay
    international internet invalid ios iphone ive jackpot jan january jio july june jupiter
    kids kindly know kolkata kotak kyc last light linkedin lite location lol look luck madam
    mahila mahindra mail maine mam march mastercard merchant microsoft mobikwik mobile
    monday money motorola mpin multiple mumbai myntra national nehi neo net netbanking
    netflix next nice niyo niyox nokia north note nov november oct october ok okay once
    oneplus online oppo order otherwise otp outlook overall page pan parent pay payments
    paypal paytm payzapp phone phonepay phonepe physical pin pixel play playstore please pls
    plz plzz poco possible pradesh premium pro process processing product protect provide
    pune punjab qr re realme reason rediffmail redmi register reliance remove rent request
    resolve response rs rupay rupee rupees sad same samsung saturday save saving savings sbi
    scan scanner search secondly security september shop shopping show showing shows sim sir
    slice small solve sometime sometimes son soon south speed spend spotify start state
    statement stop store student stupid sunday superb team tech technical teen teenagers
    teens telangana tell thank thanks think thursday ticket till times today track tuesday
    twitter uber ui union updating upi useless ux verification verify very video visa vivo
    vodafone waiting wallet walmart way wednesday went west whatsapp whenever wifi without
    world worst wow xiaomi yahoo yesterday yono youtube zip zomato
"""
_KNOWN = ENGLISH | ROMANISED_HINDI | SHARED_WORDS | frozenset(_COMMON_WORDS.split())


def likely(texts: pa.Array, *, asked: str) -> Rows:
    """Return the rows that a recogniser is to be asked of (NAMES, NUMBERS or ALL), in order.

    NAMES are texts with a cue ("my name is", "Regards") or an unknown capitalised word in the
    middle of a sentence; NUMBERS are those and texts with six digits in a row of number signs.
    """
    if asked == ALL:
        return np.flatnonzero(pc.is_valid(texts).to_numpy(zero_copy_only=False))
    picked = _matches(texts, _CUES)
    if asked == NUMBERS:
        picked |= _matches(texts, _NUMBERS)
    rows = np.flatnonzero(_matches(texts, _INSIDE) & ~picked)
    for row, text in zip(rows.tolist(), texts.take(pa.array(rows)).to_pylist(), strict=True):
        picked[row] = _has_unknown_name(text)
    return np.flatnonzero(picked)


def _has_unknown_name(text: str) -> bool:
    words = _WORD.findall(text)
    if sum(word[0].isupper() for word in words) > _TITLE_CASE * len(words):
        return False
    return any(
        not word.isupper() and word.lower() not in _KNOWN for word in _INSIDE_WORD.findall(text)
    )


def _matches(texts: pa.Array, pattern: str) -> npt.NDArray[np.bool_]:
    found = pc.fill_null(pc.match_substring_regex(texts, pattern), False)
    return np.array(found.to_numpy(zero_copy_only=False), dtype=np.bool_)
