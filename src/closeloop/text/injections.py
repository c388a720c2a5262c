"""Tells reviews that speak to a machine: "ignore all instructions", role marks, forged fences.

Such a text is no danger to what rules decide; it is merely not sent to a language model and not the
first to be quoted. Said of honest reviews in under one of a thousand (docs/briefs.md).
"""

from __future__ import annotations

import re
import unicodedata

_ENGLISH = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass|skip)\s+(?:\w+\s+){0,3}?(?:previous|prior|above|earlier|all|any|your|the|these|system|safety)\s+"
    r"(?:\w+\s+){0,3}?(?:instructions?|prompts?|rules?|polic(?:y|ies)|guidelines?|guardrails?|commands?|context|messages?|directives?)\b|"
    r"\b(?:system|developer|hidden|initial|your)\s+prompt\b|\bprompt\s+injection\b|\bjailbreak\b|"
    r"\byou are (?:now|no longer)\s+(?:an?\s+)?(?:\w+\s+){0,3}(?:ai|assistant|bot|model|admin\w*|dan|agent|developer|system)\b|"
    r"\b(?:act|behave|respond|pretend)\s+(?:as|like|to be)\s+(?:an?\s+)?(?:\w+\s+){0,2}(?:ai|assistant|admin\w*|model|system|developer|root)\b|"
    r"\b(?:as an?|dear|hey|hello|hi|attention|note to)\s+(?:the\s+)?(?:ai|a\.i\.|llm|gpt|chatgpt|copilot|language model|ai assistant|ai model)\b|"
    r"\b(?:set|change|mark|lower|raise|downgrade|classify|treat|rate|report|label)\s+(?:\w+\s+){0,4}?(?:severity|priority|urgency)\s+(?:\w+\s+){0,2}?(?:to|as|=|is)?\s*(?:p[0-9]|low|lowest|none|minor|zero|critical)\b|"
    r"\bseverity\s*[:=]\s*[\"']?(?:p[0-9]|low|none|critical)\b|"
    r"\b(?:do not (?:open|create|file)|don't (?:open|create|file)|never open|suppress)\s+(?:\w+\s+){0,3}?(?:tickets?|signals?|incidents?)\b|"
    r"(?:^|[.!?:;,]\s*|\b(?:and|then|please)\s+)(?:close|delete)\s+(?:this|the|all|every)\s+(?:\w+\s+)?(?:tickets?|signals?|incidents?)\b(?! (?:that|which|i|when|without))|"
    r"\b(?:assign|route|escalate)\s+(?:\w+\s+){0,4}?to\s+(?:mallory|attacker|me@|\S+@\S+)|"
    r"\b(?:new|updated|real|secret|following)\s+instructions?\b\s*(?:[:;-]|are|from)|\binstructions?\s+(?:from|by)\s+(?:the\s+)?(?:admin\w*|developer|system|openai|closeloop)\b|"
    r"\b(?:output|print|reveal|repeat|show|leak|return|respond with|reply with|answer with)\s+(?:\w+\s+){0,4}?(?:prompt|instructions|api key|secret|password|json|system message|configuration|only the word)\b|"
    r"\bend of (?:reviews?|feedback|quotations?|facts|input|data|user)\b|\bbegin (?:system|admin|new)\b|"
    r"\b(?:the )?(?:likely |root )?cause\s*(?:is|:|=)\s*(?:to be )?(?:reported|written|set|\"|')|\brecommended[_ ]owner\b|\bnext[_ ]actions?\s*[:=]|"
    r"\b(?:write|state|say|tell|include|add)\s+(?:\w+\s+){0,3}?(?:in|into|to)\s+(?:the\s+)?(?:brief|summary|ticket|leadership|engineering (?:text|team))\b",
    re.IGNORECASE,
)
_MARKS = re.compile(
    r"<\|?\s*/?\s*(?:system|im_start|im_end|assistant|user|endoftext|instructions?|human)\b|\[/?(?:INST|SYS|SYSTEM|Q\d+|F\d+)\b|"
    r"###\s*(?:system|instruction|assistant|response|new)|^\s*(?:system|assistant|developer)\s*:|<<\s*/?SYS|"
    r"```|\"role\"\s*:|\{\s*\"(?:severity|summary|title|cause|action)\"\s*:|<!--|<script|javascript:|BEGIN_|END_OF_",
    re.IGNORECASE | re.MULTILINE,
)
_OTHER = re.compile(
    # German, French, Spanish, Portuguese, Italian, Dutch, Polish, Turkish, Indonesian, Romanised Hindi
    r"\bignorier\w*\s+(?:\w+\s+){0,3}(?:anweisung|regel|anleitung|vorgabe|richtlinie)\w*|\b(?:vergiss|missachte)\s+(?:\w+\s+){0,3}(?:anweisung|regel|vorgabe)\w*|\bschwere(?:grad)?\s+(?:auf|=|:)|"
    r"\bignor(?:e[zr]?|ez|er)\s+(?:\w+\s+){0,3}(?:instruction|consigne|r[eè]gle)s?\b|\boublie[zr]?\s+(?:\w+\s+){0,3}(?:instruction|consigne|r[eè]gle)s?\b|"
    r"\bignor[ae]\w*\s+(?:\w+\s+){0,3}(?:instruc\w+|istruzion\w+|regl\w+|regol\w+|regr\w+)|\bolvid[ae]\w*\s+(?:\w+\s+){0,3}(?:instruc\w+|regl\w+)|\besque[çc]\w*\s+(?:\w+\s+){0,3}(?:instru\w+|regr\w+)|\bdimentic\w*\s+(?:\w+\s+){0,3}(?:istruzion\w+|regol\w+)|"
    r"\bnegeer\s+(?:\w+\s+){0,3}(?:instructie|regel)\w*|\bzignoruj\s+(?:\w+\s+){0,3}(?:instrukcj|polece|zasad)\w*|\btalimat\w*\s+(?:yok say|unut|görmezden gel|dikkate alma)|\babaikan\s+(?:\w+\s+){0,3}(?:instruksi|perintah|aturan)|"
    r"\b(?:sab|saare|sabhi|pichl[ei]|purane)\s+(?:\w+\s+){0,2}(?:nirdesh|instructions?|niyam|rules?)\w*\s+(?:\w+\s+){0,2}(?:bhool|bhul|ignore|andekha|chhod|chod)\w*|\b(?:nirdesh|niyam)\w*\s+(?:ko\s+)?(?:bhool|bhul|andekha|ignore)\w*|"
    r"\b(?:ticket|severity)\s+(?:\w+\s+){0,2}(?:band\s+kar|schlie|ferm|cierr|fech|chiud|tutup|kapat|sluit|zamkn)\w*|\b(?:schlie[ßs]+\w*|ferme[zr]?|cierr\w+|fech\w+|chiud\w+|sluit|zamknij|kapat\w*|tutup)\s+(?:\w+\s+){0,2}(?:ticket|tiket)\w*",
    re.IGNORECASE,
)
_SCRIPTS = re.compile(
    r"(?:निर्देश|आदेश|नियम)\S*\s*(?:\S+\s+){0,4}(?:अनदेखा|भूल|नज़रअंदाज़|नजरअंदाज|उपेक्षा|न मान)|(?:अनदेखा|नज़रअंदाज़|भूल)\S*\s*(?:\S+\s+){0,3}(?:निर्देश|नियम)|"
    r"(?:忽略|无视|無視|忘记|忘掉|不要理会|跳过).{0,12}(?:指令|指示|规则|規則|提示|命令)|(?:你|您)的系统提示|(?:关闭|不要(?:创建|打开)).{0,6}工单|"
    r"(?:指示|命令|ルール|プロンプト|規則).{0,8}(?:無視|忘れ|従わ)|システムプロンプト|(?:지시|명령|규칙|프롬프트)\S*\s*(?:\S+\s+){0,3}(?:무시|잊)|"
    r"(?:игнорируй|игнорировать|забудь|проигнорируй|не выполняй)\S*\s+(?:\S+\s+){0,4}(?:инструкц|правил|указан|команд)\S*|закр(?:ой|ыть)\S*\s+(?:\S+\s+){0,2}тикет|системн\S+\s+промпт|"
    r"(?:تجاهل|انس|تجاوز)\S*\s+(?:\S+\s+){0,4}(?:التعليمات|الأوامر|القواعد|تعليمات|أوامر)|(?:نادیده|فراموش).{0,20}(?:دستور|قانون)|(?:دستور|قوانین)\S*.{0,20}(?:نادیده|فراموش)|"
    r"(?:התעלם|שכח)\S*\s+(?:\S+\s+){0,4}(?:הוראות|ההוראות|כללים|הכללים)|(?:ไม่ต้องสนใจ|ละเว้น|เพิกเฉย).{0,20}(?:คำสั่ง|กฎ)|"
    r"bỏ qua\s+(?:\S+\s+){0,4}(?:hướng dẫn|chỉ dẫn|quy tắc|lệnh)|(?:নির্দেশ|নিয়ম)\S*\s*(?:\S+\s+){0,3}(?:উপেক্ষা|ভুলে)|(?:அறிவுறுத்தல்|விதி)\S*.{0,20}(?:புறக்கணி|மற)|(?:సూచన|నియమ)\S*.{0,20}(?:విస్మరి|మర్చి)|"
    r"(?:ігноруй|αγνόησε)\S*\s+(?:\S+\s+){0,4}(?:інструкц|правил|οδηγ|κανόν|εντολ)\S*",
    re.IGNORECASE,
)
_ENCODED = re.compile(
    r"\b(?:base64|rot13|decode)\b.{0,40}(?:execute|follow|run|obey|instructions?)|(?<![\w+/])[A-Za-z0-9+/]{60,}={0,2}(?![\w+/])",
    re.I,
)
_HIDDEN = re.compile("[\U000e0000-\U000e007f]|[\u202a-\u202e\u2066-\u2069]")
_BETWEEN = re.compile(r"(?<=\w)[\u00ad\u200b-\u200d\u2060\ufeff](?=\w)")
_SPACED = re.compile(r"(?<=\b\w)[ .*_-](?=\w\b)")


def looks_like_instruction(text: str) -> bool:
    """Return whether a text speaks to a machine that reads it, in any of some twenty languages."""
    if _HIDDEN.search(text):
        return True
    shown = _BETWEEN.sub("", unicodedata.normalize("NFKC", text))
    shown = _SPACED.sub("", shown)
    if any(p.search(shown) for p in (_ENGLISH, _MARKS, _OTHER, _ENCODED)):
        return True
    # NFKC takes some letters of Thai apart, so these are looked for in the text as it is too.
    return not text.isascii() and any(_SCRIPTS.search(t) for t in (shown, text))
