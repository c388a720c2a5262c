"""How negative a text is, before anything was learned: a small lexicon, negation, and the stars."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from closeloop.text.words import Words

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

VERSION = "lexicon-1"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STRONG_NEGATIVE = _words(
    """
    worst horrible terrible pathetic useless garbage trash awful disgusting scam fraud fraudster
    cheat cheats cheated cheater cheating thief thieves stolen stole steal hate hated rubbish
    ridiculous disappointing disappointed disappointment crap bekar bekaar bakwas bakwaas ghatiya
    faltu wahiyat chor dhokha loot nul nulle arnaque horrible affreux scammers frauds scammer
    hacked unusable harassment harass shame nonsense worthless dreadful atrocious
    """
)
NEGATIVE = _words(
    """
    bad poor slow fail fails failed failing failure crash crashes crashed crashing bug bugs buggy
    error errors problem problems issue issues broken stuck freeze freezes frozen lag lags laggy
    hang hangs annoying annoyed confusing confused complicated unable cannot cant wont doesnt didnt
    isnt wasnt couldnt wrong waste wasted missing lost lose late delay delayed declined denied
    rejected blocked locked suspended unauthorized unauthorised fake misleading hidden expensive
    overcharged ugly cluttered unresponsive rude ignored ignore never nothing nobody unfortunately
    uninstall uninstalled uninstalling deleted delete refund deducted debited pending waiting glitch
    glitches glitchy unreliable unstable unhappy unsatisfied dissatisfied sucks suck sick boring
    irritating irritated frustrating frustrated frustration disconnects unsafe worse down stopped
    keeps trouble difficult impossible stupid dumb spam harass complaint complain laggy junk fix
    nahi nahin nhi kharab galat dikkat pareshan problem ganda band paisa kat mauvais mauvaise
    probleme probleme problemes bogue erreur lent lente impossible marche plante décevant deçu déçu
    dommage pire perte bloqué inutile बेकार खराब नहीं गलत
    """
)
POSITIVE = _words(
    """
    good great love loved loving best awesome excellent amazing nice easy helpful useful perfect
    perfectly super superb fantastic wonderful happy satisfied smooth smoothly fast quick quickly
    reliable recommend recommended friendly simple thanks thank thankyou brilliant cool convenient
    secure safe enjoy enjoyed enjoying favourite favorite impressive impressed outstanding osm gud
    gr8 grt nyc wow fabulous beautiful seamless hassle-free trusted helped works worth genuine
    accha acha achha badhiya badiya mast zabardast shandar sahi bahut bhadiya bon bonne bien
    super excellent excellente génial géniale parfait parfaite merci facile pratique utile j'adore
    adore top अच्छा बढ़िया शानदार
    """
)
STRONG_POSITIVE = _words(
    "love loved best awesome excellent amazing perfect superb fantastic outstanding brilliant génial parfait"
)
NEGATORS = _words(
    """
    not no never dont doesnt didnt isnt wasnt arent cant cannot couldnt wont wouldnt without nor
    hardly nahi nahin nhi na mat pas jamais ne aucun less nothing नहीं
    """
)
BUT = _words("but however lekin par magar mais although")

_WEIGHTS = {
    **dict.fromkeys(POSITIVE, -1.0),
    **dict.fromkeys(STRONG_POSITIVE, -1.5),
    **dict.fromkeys(NEGATIVE, 0.8),
    **dict.fromkeys(STRONG_NEGATIVE, 1.8),
}
_STARS = {1: 2.0, 2: 1.4, 3: 0.5, 4: -0.9, 5: -1.8}

GENERIC = _words(
    """
    a an the is was are am be been it its this that i me my we us you your u so very too much more
    most and or of for in on at to from with just really only ever all all-time one app apps
    application applications aap ap apk bank banking game site website product service wallet
    payment-app thing hai h he ho ye yeh bahut bhut bohot sabse ka ki ke ko se aur bhai bro sir mam
    dear team thanks thank star stars rating five four three two zero 1 2 3 4 5 10 100 percent
    un une le la les des et est très tres trop cette ce j je application appli pour dans
    bad worst poor good nice great best super superb love like loved likes liked ok okay okk oke k
    fine cool wow awesome excellent amazing fantastic wonderful perfect happy satisfied osm gud gr8
    grt nyc nic vgood goood goog well better outstanding fabulous brilliant beautiful mast accha
    acha achha badhiya badiya zabardast shandar lovely marvelous marvellous incredible favourite
    favorite recommended recommend must experience experienced feel feeling job work works working
    worked use using used user users useful useless helpful easy horrible terrible pathetic garbage
    trash rubbish awful waste bekar bekaar bakwas bakwaas ghatiya faltu hate disappointed
    disappointing not dont do did does has have had no yes yup ya yeah hi hello please pls plz time
    day today now ever world india hey lol haha hmm lot lots always never seen thing things
    everything everyone overall far till first top mostly super duper 👍 fake third class
    keep it up way also but can if an will would should as by than guys friends try
    bon bonne bien génial parfait parfaite merci excellent excellente nul nulle mauvais mauvaise
    अच्छा बढ़िया बहुत है ऐप बेकार खराब शानदार एप
    """
)
"""Words that alone, or only with one another, give nobody anything to act on."""

_GIBBERISH = re.compile(r"(.)\1{3,}|^[^aeiouyáàâéèêëïîôöûùü\d]{5,}$|[bcdfghjklmnpqrstvwxz]{6,}")


def text_log_odds(words: Words) -> Floats:
    """Return the log odds that each text is negative, by its words alone [texts].

    A positive word within three words after a negation counts as negative, a negative one as
    neither; what follows a "but" counts half as much again. Weights are a start, not fitted.
    """
    weight = words.weights(_WEIGHTS)
    negated = np.zeros(len(weight), np.bool_)
    negator = words.marks(NEGATORS)
    for reach in (1, 2, 3):
        near = negator[:-reach] & (words.rows[:-reach] == words.rows[reach:])
        negated[reach:] |= near
    positive = (weight < 0) & negated
    weight = np.where(positive, 1.2, weight)
    weight = np.where(negated & ~negator & (weight > 0) & ~positive, 0.3 * weight, weight)
    behind = np.cumsum(words.marks(BUT))
    first = np.searchsorted(words.rows, words.rows, side="left")
    before = np.concatenate([[0], behind])[first] if len(behind) else behind
    weight = np.where(behind > before, 1.5 * weight, weight)
    total = words.sums(weight)
    hits = words.sums(weight != 0)
    return np.asarray(2.2 * total / np.sqrt(1.0 + 0.6 * hits), np.float64)


def with_stars(log_odds: Floats, ratings: Floats) -> Floats:
    """Return the log odds with the stars as evidence (nan: none)."""
    stars = np.nan_to_num(np.rint(ratings), nan=0.0).astype(np.int64)
    table = np.array([0.0, *(_STARS[star] for star in range(1, 6))])
    return np.asarray(log_odds + table[np.clip(stars, 0, 5)], np.float64)


def conflicts(text_probability: Floats, ratings: Floats) -> Flags:
    """Return where text and stars disagree: 4-5 stars at P(negative) > .85, 1-2 at < .15.

    On 136k reviews of finance apps the first kind is mostly a real problem, the second a mis-tap.
    """
    return ((ratings >= 4) & (text_probability > 0.85)) | (
        (ratings <= 2) & (ratings >= 1) & (text_probability < 0.15)
    )


def content_free(words: Words) -> Flags:
    """Return which texts say nothing that could be acted on [texts].

    So is a text of generic words only ("nice app", "worst app ever"), of emoji only, of keys hit
    at random, or one that is empty.
    """
    free = np.fromiter(
        (w in GENERIC or len(w) == 1 or bool(_GIBBERISH.search(w)) for w in words.vocabulary),
        np.bool_,
        len(words.vocabulary),
    )
    said = ~free[words.codes] if len(free) else np.zeros(0, np.bool_)
    return np.asarray(words.sums(said) == 0, np.bool_)
