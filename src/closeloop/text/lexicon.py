"""Small lexicons that tell English and romanised Hindi in texts too short for a model."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ENGLISH = _words(
    """
    able about absolutely account after again ago all also always am amazing an and another
    any anyone app application apps are as at awesome awful awsm back bad bank be because been
    before being best better bill bills blocked bug bugs but by can can't cannot cant card
    care cash cashback charge charges cheat cheating children convenient cool could crash
    crashes crashing credit customer day days debit did didn't disappointed disappointing do
    does doesn't doesnt doing don't done dont down download downloaded easily easy error even
    ever every everyone everything excellent experience fail failed failing fake fantastic
    fast feature features fee fees fine first five fix for fraud friendly from genuine get
    getting give given gives good got gr8 great grt gud guys had happy has hate have he help
    helpful helps her here highly him his horrible how i i'm i've if improve improvement in
    install installed interest interface into is isn't issue issues it it'll it's its job just
    keep keeps kept kids latest let lets like liked limit loading loan log login love loved
    loving made make makes many may me might money month more most much my need needed needs
    network never new nice no not nothing now number of off offer offers okay old on one one's
    only open opening opens option options or osm other our out over paid parents pathetic pay
    paying payment paytm pending people perfect phone platform please pls plz poor problem
    problems quick quickly rating really receive received recharge recommend recommended
    refund reliable review reward rewards right safe safety satisfied scam score screen second
    secure send sending sent server service services she should sign simple since sir slow
    smooth so some something star stars still stuck super superb support take takes team
    terrible than thank thanks thankyou that the their them then there they this thx time to
    too totally transaction transactions transfer tried trusted trustworthy try trying two
    unable under uninstall uninstalled up update updated us use used useful useless user users
    using version very want wanted wants was waste we well what when where which while who why
    will with won't wonderful work worked working works worse worst worth would wow wrong year
    years yes you your zero
    """
)
"""Words of reviews that are English in nearly every text that holds them."""

INTERNATIONAL = _words(
    "super application applications cool excellent simple service services option options "
    "interface version bug bugs parents genuine secure ok top"
)
"""English words that other languages of Europe use as well: alone they prove nothing."""

ROMANISED_HINDI = _words(
    """
    aaj aapka aapke aapki aapko aapne aata aate aati aaya aaye aayega aayi ab abhi accha acchi
    acha ache achha achhe achhi achi agar apna apne apni asli ata ati aur aya aye ayega baad
    badhai badhia badhiya badiya bahoot bahot bahut bakwaas bakwas bandh barbaad barbad bas
    batao bataya bdiya bekar bewakuf bhai bhaisahab bhaiya bhej bheja bhejne bhejo bhi bhot
    bhut bilkool bilkul bina bohot boht bol bolo bolta bolte btao chaahiye chahie chahiye
    chaiye chal chalata chale chalta chalu chor dekh dekha dekho dena dene deta dete deti
    dhanyavad dhanyawad dhoka dhokha dijiye dikha dikhata diya diye diyo dost dosto faaltu
    faltu fir gaa galat gaya gaye gayi ghatia ghatiya gya gye gyi hae hai hain hamara hamare
    hame hamesha hoga hogi honge hoon hota hote hoti hua hue hui hum hume humko hun inka iska
    iske isko isme ismein isse itna itni jaata jab jada jai jaisa jaise jaldi jana jao jata
    jate jati jay jaye jayega jayegi jhoota jhoothi jhuta jo jyada ka kab kabhi kaha kahan
    kahi kahin kaisa kaise kam kamina kar kare karega karen karenge karke karna karne karo
    karta karte karti karvao karwa karwao kaun ke kese kharab khata khol kholo khrab khul
    khulne khulta khush ki kia kitna kitne kiya kiye ko koi kon konsa krega kripya krke krna
    krne kro krta krte krti krupya kuch kuchh kya kyo kyoki kyonki kyu kyun kyunki lag laga
    lagi lagta lagte leke lekin lena lene leta lete lia liya liye logo logon loot lootera
    lutera magar mai maloom malum mast matlab maza mazaa mein mera mere mereko meri mila
    milega milta milti muje mujhe mujhko naa nahi nahii nahin nai nakli namaste nhi nhin nikal
    nikala nikalo pahle paisa paisaa paise pasand pata pehle pese phir phle pta raat raha rahe
    rahi rakha rakho rha rhe rhi rupay rupaye rupiya rupya saala saath sab sabhi sabse sahi
    sakta sakte sakti sala samajh samjh sath sham shree shukriya sirf subah tab tak tarah
    tarika tera tere tha thi thoda thodi toh tum tumhara unka unke unko uska uske usko usme
    vala vale vapas vapis voh waise wala wale wali wapas wapis wo woh yaar yah yar ye yeh yrr
    zindabad zyada
    """
)
"""Words of romanised Hindi, without those that are words of English or German as well."""

SHARED_WORDS = _words(
    "aap are band bola do hi hu is kal lo log main mat me mil na par pe se so to us ya"
)
"""Words that other languages use too: half a Hindi word where a Hindi word stands beside them."""
