"""Common words of many languages, and sentences, numbers and addresses made of them.

No corpus is copied: what a page teaches is how lines of a script look, and that takes the shapes of real words, not their sense.
"""

from dataclasses import dataclass
from functools import cached_property
from random import Random

_LETTERS, _FIGURES = "ABCDEFGJKLPRTUVY", "1234567"


@dataclass(frozen=True)
class Language:
    """A language and how it is set. `shaped`: letters join or move, which takes raqm. `often` is its weight in a draw."""

    name: str
    text: str
    stop: str = "."
    comma: str = ","
    glue: str = " "
    cased: bool = False
    rtl: bool = False
    shaped: bool = False
    often: float = 1.0

    @cached_property
    def words(self) -> tuple[str, ...]:
        return tuple(self.text.split())

    @cached_property
    def letters(self) -> str:
        """Every character that `sentence` and `shout` can give but space and figures, sorted."""
        text = self.text + self.stop + self.comma + (self.text.upper() if self.cased else "")
        return "".join(sorted(set(text) - {" "}))


def _latin(name: str, text: str, often: float = 2.0) -> Language:
    return Language(name, text, cased=True, often=often)


def _indic(name: str, text: str, stop: str = ".") -> Language:
    return Language(name, text, stop, shaped=True)


def _arabic(name: str, text: str, stop: str) -> Language:
    return Language(name, text, stop, "،", rtl=True, shaped=True, often=1.5)


LANGUAGES = (
    _latin(
        "English", "the of and house water people before through which would about think light market Saturday closed entrance", 6
    ),
    _latin(
        "German", "die und der nicht Straße Haus über schön Ausgang Bahnhof geöffnet Freitag Rechnung für zwischen Mädchen", 3
    ),
    _latin("French", "le de et pour maison été déjà boulangerie sortie rue français garçon où fenêtre livre beaucoup château", 3),
    _latin("Spanish", "el de que los para niño mañana calle salida corazón después gracias abierto tienda pequeño también", 3),
    _latin("Italian", "il di che per città uscita perché strada libro giorno farmacia benvenuti ragazzo più quello"),
    _latin("Portuguese", "o de que não para coração saída rua também criança pão água escola obrigado língua"),
    _latin("Dutch", "de het een van niet straat huis uitgang fiets gelijk lezen winkel vrijdag boeken wij"),
    _latin("Polish", "i w nie się książka ulica wyjście dzień dobry źródło łąka żółty gdzie będzie mąż"),
    _latin("Czech", "a že na dům ulice východ děkuji příliš žluťoučký kůň říká město kniha více"),
    _latin("Swedish", "och att det är på gatan utgång välkommen bröd fönster kött läsa många skola"),
    _latin("Finnish", "ja on että hän talo katu uloskäynti hyvää päivää kirja työ äiti yö kahvila"),
    _latin("Turkish", "ve bir bu için çok güzel çıkış sokak kitap şehir değil gün ığdır teşekkür öğle"),
    _latin("Vietnamese", "và của là không người nhà đường phố cửa hàng được những sách tiếng Việt nước"),
    _latin("Indonesian", "yang dan di untuk tidak rumah jalan pintu keluar buku selamat pagi dengan hari"),
    _latin("Hungarian", "és a hogy nem utca ház kijárat könyv köszönöm gyógyszertár szép fűtő idő világ"),
    _latin("Romanian", "și de la nu stradă casă ieșire carte mulțumesc frumos țară când ziua oraș"),
    Language(
        "Russian", "и в не на что улица дом выход книга хлеб сегодня работа большой жизнь щука объявление", cased=True, often=3
    ),
    Language("Ukrainian", "і не що вулиця будинок вихід книга дякую їжа сьогодні життя ґанок україна є", cased=True),
    Language("Bulgarian", "и на да не улица къща изход книга благодаря хляб вода живот ще години", cased=True),
    Language("Serbian", "и да је улица кућа излаз књига хвала хлеб љубав ноћ ђак човек џеп", cased=True),
    Language(
        "Greek", "και το να δεν σπίτι δρόμος έξοδος βιβλίο ευχαριστώ ψωμί θάλασσα ημέρα ζωή πόλη ξενοδοχείο", cased=True, often=2
    ),
    Language("Armenian", "և է որ տուն փողոց ելք գիրք շնորհակալություն հաց ջուր քաղաք օր կյանք բարև", "։"),
    Language("Georgian", "და არის რომ სახლი ქუჩა გასასვლელი წიგნი მადლობა პური წყალი ქალაქი დღე ცხოვრება ჭამა"),
    _arabic("Arabic", "في من على بيت شارع مخرج كتاب شكرا خبز ماء مدينة يوم الحياة السلام عليكم مفتوح صيدلية", "."),
    _arabic("Persian", "و در به که خانه خیابان خروج کتاب ممنون نان آب شهر روز زندگی پارسی گل چای", "."),
    _arabic("Urdu", "اور کے میں ہے گھر سڑک باہر کتاب شکریہ روٹی پانی شہر دن زندگی پاکستان لڑکی", "۔"),
    Language(
        "Hebrew", "של את לא בית רחוב יציאה ספר תודה לחם מים עיר יום חיים שלום פתוח צהריים", rtl=True, shaped=True, often=1.5
    ),
    Language("Hindi", "और के में है घर सड़क निकास किताब धन्यवाद रोटी पानी शहर दिन जीवन नमस्ते विद्यालय", "।", shaped=True, often=1.5),
    _indic("Nepali", "र छ मा घर बाटो किताब धन्यवाद खाना पानी सहर दिन जीवन नेपाल बिहान", "।"),
    Language("Bengali", "এবং আমি না বাড়ি রাস্তা বাহির বই ধন্যবাদ ভাত পানি শহর দিন জীবন বাংলাদেশ ক্ষুদ্র", "।", shaped=True, often=1.5),
    _indic("Punjabi", "ਅਤੇ ਹੈ ਵਿੱਚ ਘਰ ਸੜਕ ਬਾਹਰ ਕਿਤਾਬ ਧੰਨਵਾਦ ਰੋਟੀ ਪਾਣੀ ਸ਼ਹਿਰ ਦਿਨ ਜੀਵਨ ਪੰਜਾਬ", "।"),
    _indic("Gujarati", "અને છે માં ઘર રસ્તો બહાર પુસ્તક આભાર રોટલી પાણી શહેર દિવસ જીવન ગુજરાત"),
    _indic("Tamil", "மற்றும் இது வீடு தெரு வெளியே புத்தகம் நன்றி சோறு தண்ணீர் நகரம் நாள் வாழ்க்கை தமிழ்நாடு ஒரு"),
    _indic("Telugu", "మరియు ఇది ఇల్లు వీధి బయట పుస్తకం ధన్యవాదాలు అన్నం నీరు నగరం రోజు జీవితం తెలుగు"),
    _indic("Kannada", "ಮತ್ತು ಇದು ಮನೆ ರಸ್ತೆ ಹೊರಗೆ ಪುಸ್ತಕ ಧನ್ಯವಾದ ಅನ್ನ ನೀರು ನಗರ ದಿನ ಜೀವನ ಕನ್ನಡ"),
    _indic("Malayalam", "ഇത് ഒരു വീട് തെരുവ് പുറത്ത് പുസ്തകം നന്ദി ചോറ് വെള്ളം നഗരം ദിവസം ജീവിതം കേരളം"),
    _indic("Sinhala", "සහ මෙය නිවස පාර පිටත පොත ස්තුතියි බත් වතුර නගරය දවස ජීවිතය ලංකාව"),
    Language("Thai", "และ ที่ ไม่ บ้าน ถนน ทางออก หนังสือ ขอบคุณ ข้าว น้ำ เมือง วัน ชีวิต สวัสดี ประเทศไทย", "", "", "", shaped=True, often=1.5),
    Language("Lao", "ແລະ ບໍ່ ເຮືອນ ຖະໜົນ ທາງອອກ ປຶ້ມ ຂອບໃຈ ເຂົ້າ ນ້ຳ ເມືອງ ວັນ ຊີວິດ", "", "", "", shaped=True),
    Language("Khmer", "និង មិន ផ្ទះ ផ្លូវ ច្រកចេញ សៀវភៅ អរគុណ បាយ ទឹក ក្រុង ថ្ងៃ ជីវិត", "។", "", "", shaped=True),
    Language("Burmese", "နှင့် အိမ် လမ်း ထွက်ပေါက် စာအုပ် ကျေးဇူး ထမင်း ရေ မြို့ နေ့ ဘဝ မြန်မာ", "။", "၊", "", shaped=True),
    Language(
        "Chinese",
        "的 我们 不是 房子 街道 出口 图书 谢谢 米饭 水果 城市 今天 生活 中国 银行 有限公司 学校 请勿",
        "。",
        "，",
        "",
        often=3,
    ),
    Language(
        "Traditional Chinese",
        "的 我們 不是 房屋 街道 出口 圖書 謝謝 米飯 城市 今天 生活 臺灣 銀行 學校 請勿",
        "。",
        "，",
        "",
        often=1.5,
    ),
    Language(
        "Japanese",
        "の です ありがとう いえ 出口 本屋 東京 駅 ください カフェ ラーメン 今日 注意 そして 学校 株式会社",
        "。",
        "、",
        "",
        often=3,
    ),
    Language("Korean", "그리고 나는 집 거리 출구 책 감사합니다 밥 물 도시 오늘 생활 한국 은행 학교 주의", often=2),
    Language("Amharic", "እና ነው ቤት መንገድ መውጫ መጽሐፍ አመሰግናለሁ ዳቦ ውሃ ከተማ ቀን ሕይወት ኢትዮጵያ", "።", "፣"),
)


def sentence(random: Random, language: Language, figures: bool) -> list[str]:
    """The words of a sentence with its marks; `figures` allows numbers among them."""
    words = [random.choice(language.words) for _ in range(random.randint(4, 14))]
    if language.cased:
        words[0] = words[0][:1].upper() + words[0][1:]
    for i in range(1, len(words) - 1):
        if random.random() < 0.1:
            words[i] += language.comma
        elif figures and random.random() < 0.05:
            words[i] = str(random.randint(2, 2030))
    words[-1] += language.stop
    return words


def phrase(random: Random, language: Language, most: int) -> str:
    """One to `most` words without marks, as in a heading."""
    words = [random.choice(language.words) for _ in range(random.randint(1, most))]
    if len("".join(words)) < 4:  # a very short word may read alike when it is turned
        words.append(max(language.words, key=len))
    return language.glue.join(words)


def shout(random: Random, language: Language, most: int) -> str:
    """A phrase as signs and headings have it: often in capitals where there are any."""
    text = phrase(random, language, most)
    if not language.cased:
        return text
    return text.upper() if random.random() < 0.5 else text[:1].upper() + text[1:]


def price(random: Random) -> str:
    return random.choice(("€ {}", "${}", "{} €", "{}", "£{}")).format(f"{random.randint(0, 199)}.{random.randint(0, 99):02}")


def date(random: Random) -> str:
    day, month, year = random.randint(1, 28), random.randint(1, 12), random.randint(1960, 2029)
    return random.choice(("{d:02}.{m:02}.{y}", "{y}-{m:02}-{d:02}", "{m}/{d}/{y}")).format(d=day, m=month, y=year)


def contact(random: Random) -> str:
    """A web or mail address or a telephone number."""
    word = random.choice(LANGUAGES[0].words).lower()
    number = random.randint(1_000_000, 9_999_999)
    return random.choice(
        (f"www.{word}.com", f"info@{word}.org", f"Tel. +{random.randint(20, 99)} {number}", f"https://{word}.net/{word}")
    )


def plate(random: Random) -> str:
    """Letters and figures as on a number plate, only such as do not read alike upside down."""
    letters = "".join(random.choices(_LETTERS, k=random.randint(2, 3)))
    return f"{letters} {''.join(random.choices(_FIGURES, k=random.randint(2, 4)))}"
