"""Personal data is found and masked; public numbers, amounts and addresses of incidents stay."""

from __future__ import annotations

import pytest
from hypothesis import given

from tawasul_nlp.text import find_personal_data, mask_personal_data
from tawasul_nlp.text.personal.mask import PLACEHOLDERS
from tests.growth import LINEAR, growth
from tests.robustness import masks
from tests.text.test_normalize import ANYTHING

EVERYTHING = frozenset(PLACEHOLDERS)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("الرقم الشخصي 881106745 للمتقدم", "cpr", "881106745"),
        ("CPR ٨٧٠٤١٢٣٥٦", "cpr", "870412356"),
        ("رقمي ٣٦٦٠٠١٤٢ موجود عندكم", "phone", "36600142"),
        ("call +973 3660 0142 please", "phone", "97336600142"),
        ("جوال 0097339407715", "phone", "0097339407715"),
        ("اتصلوا 17 515 555", "phone", "17515555"),
        ("رقم 6633-0912", "phone", "66330912"),
        ("تلفون/39001234", "phone", "39001234"),
        ("Tel.39001234", "phone", "39001234"),
        ("ت.39001234", "phone", "39001234"),
        ("رقمي39001234 وشكرا", "phone", "39001234"),
        ("39001234وشكرا", "phone", "39001234"),
        ("رقمي 39 00 12 34", "phone", "39001234"),
        ("رقمي 3900 12 34", "phone", "39001234"),
        ("تلفون 3 9 0 0 1 2 3 4", "phone", "39001234"),
        ("97339001234", "phone", "97339001234"),
        ("973-39001234", "phone", "97339001234"),
        ("wa.me/97339001234", "phone", "97339001234"),
        ("رقمي+97339001234", "phone", "97339001234"),
        ("اتصلوا على 13052024", "phone", "13052024"),
        ("هاتف 31122024", "phone", "31122024"),
        ("call me at 17032024", "phone", "17032024"),
        ("مجمع 973 39001234", "phone", "39001234"),
        ("طريق 3612 3900 1234", "phone", "39001234"),
        ("CPR-870412356", "cpr", "870412356"),
        ("CPR.870412356", "cpr", "870412356"),
        ("الرقم الشخصي/870412356", "cpr", "870412356"),
        ("cpr870412356", "cpr", "870412356"),
        ("البطاقة850101234", "cpr", "850101234"),
        ("870412356- بلا رد", "cpr", "870412356"),
        ("8704 12356", "cpr", "870412356"),
        ("ايميلي sara.t_91@example.com.", "email", "sara.t_91@example.com"),
        ("آيبان BH67 BMAG 0000 1299 1234 56 الجديد", "iban", "BH67BMAG00001299123456"),
        ("IBAN GB82WEST12345698765432", "iban", "GB82WEST12345698765432"),
        ("حسابي BH67BMAG00001299123457", "iban", "BH67BMAG00001299123457"),
        ("حساب الكهرباء رقم 1234567 مقطوع", "account", "1234567"),
        ("السجل التجاري رقم 12345-1", "cr", "123451"),
        ("السجل التجاري للمحل 98765-2", "cr", "987652"),
        ("رقم حسابنا بالكهرب ١١٢٢٣٣٤٤٥٥", "account", "1122334455"),
        ("our CR no. 88213-1", "cr", "882131"),
        ("رقم الطلب 40217 بدون رد", "request", "40217"),
        ("طلب إسكاني رقم 3390/2018", "request", "33902018"),
        ("لوحة المركبة 297315 واقفة", "plate", "297315"),
        ("رقم السيارة ١٢٩٤", "plate", "1294"),
        # A word behind a number that only begins like a unit, and a unit behind what is called a phone or a CPR.
        ("رقمي 39001234 متروس رسائل", "phone", "39001234"),
        ("CPR 870412356 دينار واحد ما عندي", "cpr", "870412356"),
        ("دقوا على 33441209 يوم الأحد", "phone", "33441209"),
        ("أنا 940218357 مواطن بحريني", "cpr", "940218357"),
        ("الرقم الشخصي: 87 04 12 356", "cpr", "870412356"),
        ("الرقم الشخصي للزوجة 870-412-356", "cpr", "870412356"),
        ("الرقم السكاني 20412356", "cpr", "20412356"),
        ("هاتف 39001234/5", "phone", "39001234"),
        ("تلفون: 3900.1234", "phone", "39001234"),
        ("الأول 1-39001234", "phone", "39001234"),
        ("للتواصل 17 00 12 34", "phone", "17001234"),
        ("نمرتي 3900 1234", "phone", "39001234"),
        ("هاتف البيت 17 345 678", "phone", "17345678"),
        ("تلفون البيت 17 68 12 34", "phone", "17681234"),
        ("رقم المكتب 17 68 12 34", "phone", "17681234"),
        ("009733900 1234", "phone", "0097339001234"),
        ("رقم ولدي +973 (39) 001234", "phone", "97339001234"),
        ("ارقام اهله +966 50 123 4567", "phone", "966501234567"),
        ("رقم طلبي 1234 / 2015", "request", "12342015"),
        ("لدي طلب إسكان برقم ٣٠٢١/٢٠١٤", "request", "30212014"),
        ("رقم الطلب الاسكاني القديم 1234", "request", "1234"),
        ("والطلب رقم 12345 معلق", "request", "12345"),
        ("طلب سكني رقم 4412", "request", "4412"),
        ("رقم الطلب مالي 67120", "request", "67120"),
        ("رقم ملفي في الاسكان 9912/2010", "request", "99122010"),
        ("رقم المعاملة 55012-2023", "request", "550122023"),
        ("رقم الطلب 12345وشكرا", "request", "12345"),
        ("housing app no. 12345", "request", "12345"),
        ("raqm el 6alab 4471/2015", "request", "44712015"),
        ("حساب الكهرباء والماء رقم 10482297", "account", "10482297"),
        ("حساب الكهربا حقي 30012987 طالع", "account", "30012987"),
        ("رقم الحساب 1234 5678 9012", "account", "123456789012"),
        ("رقم حسابي هو: 1002-0030-0401", "account", "100200300401"),
        ("حسابي في بنك البحرين والكويت رقم 100200300401", "account", "100200300401"),
        ("س.ت. 77120-1 نشاط مطعم", "cr", "771201"),
        ("رقم السجل 94417-2", "cr", "944172"),
        ("السيارة نمرتها 88214 واقفة", "plate", "88214"),
        ("سيارة طراز 2006 رقمها 274518", "plate", "274518"),
        ("plate no: 123 456", "plate", "123456"),
        ("no 12 BH67BMAG00001299123456", "iban", "BH67BMAG00001299123456"),
        ("IBAN GB82 WEST 1234 5698 7654 32 please", "iban", "GB82WEST12345698765432"),
        ("طلبي الاسكاني المرقم 3321/2009", "request", "33212009"),
        ("صاحب طلب 3321 لسنة 2009", "request", "3321"),
        ("رقم طلبي الاسكاني من عام 2005 هو 4455", "request", "4455"),
        ("الموافقة على طلب التقوية رقم 77310", "request", "77310"),
        ("رقم المشترك 10234567", "account", "10234567"),
        ("مركبة حمراء رقم 229618", "plate", "229618"),
        ("ahmed @gmail ,com", "email", "ahmed @gmail ,com"),
        # Marks that nobody sees, kashida, harakat, and letters written for one another.
        ("رقمي 39\u200b00\u200c1234", "phone", "39001234"),
        ("\u202a+973 3900\u200e1234\u202c", "phone", "97339001234"),
        ("رقـــم الطلب الإســـكاني 4021", "request", "4021"),
        ("الرَّقْم الشَّخصي: 87 04 12 356", "cpr", "870412356"),
        ("رقم البطاقه الذكيه 20412356", "cpr", "20412356"),
        ("رقمى الشخصى 20412356", "cpr", "20412356"),
        ("الاستماره رقم 55123", "request", "55123"),
        ("user @ gmail.com", "email", "user @ gmail.com"),
        ("ارسلوا على user@gmail وشكرا", "email", "user@gmail"),
        # What a spreadsheet makes of numbers, and how forms and agents write them.
        ("البطاقة 900101234.0", "cpr", "900101234"),
        ("39001234.0", "phone", "39001234"),
        ("هاتف صاحب الشكوى ٣٩ ٢٨ ٤٤ ١٠", "phone", "39284410"),
        ("(39) 815-274 هذا رقمي", "phone", "39815274"),
        ("+973 (0) 39771604", "phone", "973039771604"),
        ("جوالي السعودي 0501234567", "phone", "0501234567"),
        ("رقم جوالي بالسعودية 966501234567", "phone", "966501234567"),
        ("+44 (0)7700 900 123", "phone", "4407700900123"),
        ("رقمي: 3900,1274", "phone", "39001274"),
        ("هاتف: 17575715 (973)", "phone", "17575715973"),
        ("المتصل 3 9 5 5 1 7 2 8 يشتكي", "phone", "39551728"),
        ("my mob is (3 937 0054) ok", "phone", "39370054"),
        ("هاتفي بالضبط هو 3961 2024", "phone", "39612024"),
        ("00966 050 914 2273", "phone", "009660509142273"),
        ("رقم الجواز (هندي) Z4410926", "passport", "Z4410926"),
        ("حساب التوفير بالبنك 900142233 مجمد", "account", "900142233"),
        ("الرقم المرجعي 24-00917", "request", "2400917"),
        ("رگم الطلب ط-4471/2023", "request", "ط44712023"),
        ("plate no. 37 75 41", "plate", "377541"),
        ("رقمه بالهند 91 98450 27183", "phone", "919845027183"),
        ("o'brien@example.com", "email", "o'brien@example.com"),
        ("The maid (Z4410926) left", "passport", "Z4410926"),
        ("966+ 50 123 4567", "phone", "966501234567"),
        ("الكامري البيضاء 318742", "plate", "318742"),
        ("محضر رقم 4471/2024", "request", "44712024"),
        ("الـ ref مالي هو 88124", "request", "88124"),
        ("my complaint about the road, no. 90124", "request", "90124"),
        ("الباص الأبيض 88412 واقف", "plate", "88412"),
        ("رقمي 3941  -  5526", "phone", "39415526"),
        ("sara.t@\nexample.com", "email", "sara.t@\nexample.com"),
        ("الرقم الشخصي 1041863 من الاكسل", "cpr", "1041863"),
        ("السجل السكاني 40117928", "cpr", "40117928"),
        ("خصموا 20 دينار من 4111 1111 1111 1111", "card", "4111111111111111"),
        ("card 5555-5555-5555-4444 exp 12/26", "card", "5555555555554444"),
        ("بطاقتي البنكية رقم 4111 1111 1111 1112", "card", "4111111111111112"),
        ("رقم جواز سفري البحريني 2345671", "passport", "2345671"),
        ("جواز السفر القديم EP1180563", "passport", "EP1180563"),
        ("Passport no. A 1234567", "passport", "A1234567"),
        ("IBAN: BH67.BMAG.0000.1299.1234.56", "iban", "BH67BMAG00001299123456"),
        ("رقم الآيبان الجديد BH67BMAG00001299123457", "iban", "BH67BMAG00001299123457"),
        ("سارة@مثال.البحرين راسلوني", "email", "سارة@مثال.البحرين"),
        ("sara [at] example [dot] com", "email", "sara [at] example [dot] com"),
        ("ايميلي sara at example.com", "email", "sara at example.com"),
        ("شكواي رقم 2604417 أغلقت", "request", "2604417"),
        ("رقم المرجع CSB-2024-3381", "request", "CSB20243381"),
        ("Ref no. TRF/55120", "request", "TRF55120"),
        ("رقم ملف التنفيذ 14/2023/7780", "request", "1420237780"),
        ("رقم الحساب الجاري 0114-558203-06", "account", "011455820306"),
        ("سيارة حمرا 229618 تفحط", "plate", "229618"),
        ("رقم السجل التجاري 50119 - 3", "cr", "501193"),
        # Words between, also another's and dates; the cue behind, in a table, in a form, or in Arabizi.
        ("اشتراك النت مالي برقم 300918274 سريع", "account", "300918274"),
        ("رقم حساب بيتنا 7712044", "account", "7712044"),
        ("my account with EWA is 7712044", "account", "7712044"),
        ("the waste fee account, WF-30091", "account", "WF30091"),
        ("Electricity a/c no 4400 1187 23 is high", "account", "4400118723"),
        ("7sab elkahrba 66120934 6al3", "account", "66120934"),
        ("حساب الماء | EWA-5520-7714", "account", "EWA55207714"),
        ("البقالة اللي سجلها 93377-1 تبيع", "cr", "933771"),
        ("سجل المؤسسة فهو 15528-2 وانتهى", "cr", "155282"),
        ("commercial reg. 45190 closed", "cr", "45190"),
        ("3indi sejel tejari 99182-1", "cr", "991821"),
        ("المعاملة التي تحمل الرقم 448-19-23 لم تنجز", "request", "4481923"),
        ("معاملة تحويل الملكية T-55192 وين وصلت", "request", "T55192"),
        ("الطلب حقه رقمه ID-77140 واقف", "request", "ID77140"),
        ("حالة الطلب المقدم برقم IS-20-004471", "request", "IS20004471"),
        ("شكوى بتاريخ 12/05/2024 رقم 118844", "request", "118844"),
        ("طلب الإسكان من 2004 رقمه 118844", "request", "118844"),
        ("raqm elmo3amla MU-20714", "request", "MU20714"),
        ("txn id BNF771204418 failed", "request", "BNF771204418"),
        ("رقم الطلب .... 44718", "request", "44718"),
        ("وقد سجل طلبه إلكترونياً برقم (DS-118402)", "request", "DS118402"),
        ("Case ID: 2011/3345 1 duplicate", "request", "20113345"),
        ("plate A: 402217", "plate", "402217"),
        ("The plate on the truck that dumped rubble was 83304", "plate", "83304"),
        ("1) لوحة رقم 113902 – 80 ديناراً", "plate", "113902"),
        ("رقم السيارة عندك: ٢٠٣٣١٧، كسر الإشارة", "plate", "203317"),
        ("raqm elsayara 374410", "plate", "374410"),
        ("EWA AC No 1234567890", "account", "1234567890"),
        ("Plate no12345", "plate", "12345"),
        ("لوحة سعودية أ ب ج 1234", "plate", "ابج1234"),
        ("Passport No.N1234567", "passport", "N1234567"),
        ("رقم وثيقة السفر 3371902 صالحة", "passport", "3371902"),
        ("رقم الجواز | 2390145", "passport", "2390145"),
        ("و1940772 رقم جوازي، خلصوا لي", "passport", "1940772"),
        ("20448190 is my account number", "account", "20448190"),
        ("رقمي الشخصي كتبته في الاستمارة 70930115", "cpr", "70930115"),
        ("CPR: 85O1O1234", "cpr", "85O1O1234"),
        ("تلفوني 39OO1234", "phone", "39OO1234"),
        ("Landline (17) 44 90 12 is dead", "phone", "17449012"),
        ("رقمي 39’001’234", "phone", "39001234"),
        ("اتصلوا 968 9123 4567", "phone", "96891234567"),
        ("رقمه بمصر هاتف 01001234567", "phone", "01001234567"),
        ("عيسى@مثال.البحرين، وشكرا", "email", "عيسى@مثال.البحرين"),
        ("Email me at khalid dot noor at example dot com", "email", "khalid dot noor at example dot com"),
        ("ali AT example.com", "email", "ali AT example.com"),
    ],
)
def test_each_kind_is_found(text: str, kind: str, value: str) -> None:
    assert [(span.kind, span.value) for span in find_personal_data(text)] == [(kind, value)]
    assert PLACEHOLDERS[kind] in mask_personal_data(text).text


@pytest.mark.parametrize(
    "text",
    [
        "اتصلت على 80008001 و80001810 و999 و17155363 ولا رد",
        "مجمع 714 طريق 1410 شارع 35 بيت 22",
        "المبلغ 33500000 دينار والثاني BD 36600142",
        "بتاريخ 2024-05-12 و31-12-2024 و12/05/2024",
        "طلبي 2006 وطلب أخوي 2012 من سنة ٢٠١٠",
        "حساب 2024 والسجل التجاري 2022",
        "آيبان خطأ في الطباعة مثل BH00BMAG00001299123456",
        "لوحة إعلانية 300 متر",
        "عدد السكان 123456789 نسمة",
        "بتاريخ 30112024 و13052024 و17032024 و31122024",
        "بتاريخ 30 11 2024 و31-05-24 الساعة 12",
        "طريق 1705 3612",
        "في الطريق رقم 1705 3612 وroad 1705 3612",
        "الأيام 16 17 18 19 والوحدات 3 4 5 6 7 8 9 1",
        "سنة 2012 35000 شخص",
        "الطرد RR870412356BH",
        "نسبة 33.12345678",
        "الموقع 26.36001234,50.36001234",
        "المعاملة 33901234/2018 و2024-36001234-01",
        "97380001810 و+97317155363",
        "عدد المستفيدين 36000000 شخص وميزانية 150000000",
        "بمبلغ 870412356 والمساحة 33000000 مترا مربعا",
        "قراءة العداد 33120456 واط و36001234 kWh",
        "قراءة العداد 33120456 والعقد قيمته 36001234",
        "الطرق 3812 3814 3816 وroads 3812-3814",
        "طلب قرض 40000 وطلب 12/2015 والطلب 2023/2024",
        "سيارة جارنا واقفة عند بيت رقم 1234",
        "مبنى 3320 3612",
        "6alabi el eskani mn 2005 w kel ma as2al ygooloon enta fe el gaayma",
        "بطاقة 31052024 وملف القضية رقم 12345",
        "call us @ live music",
        "طلب إنارة طريق رقم 3612 وطلب صيانة مبنى رقم 1250",
        "عندي ست 12345 وطلب إسكاني قديم (1998)",
        "زيادة +100000000 دينار",
        "التكلفة تصل 36000000 دينار، وبعد دقيقة 13052024",
        "رقم الإيصال 36001234 ورقم الفاتورة 87041235",
        "الحافلة رقم 118 وسيارة الأجرة رقم 612",
        "من 3000 - 3500 شخص والبيوت 3612-3620 والدوام 1600-1730",
        "ليلة 16/12/1445 والسيرفر ip 36.12.74.10",
        "We looked at example.com and my complaint is of 2019",
        "الرقم 4111 1111 1111 1112 ليس بطاقة",
        "الرقم 901301234 بلا شهر ميلاد",
        "مبلغ (17.165.000) دينار ثم (600.708.776) دينار",
        "الدرجات 2 3 4 5 6 7 8 9 10 11 12 13 -/10 -/35 -/35 -/35 -/35",
        "طلب إنارة للعمود رقم 3612 وبلاغ حريق في المستودع رقم 4412",
        "الطلب عاجل لأن العدد هو 12345 وaccount balance is 12500",
        "طريق 3612 رقم طلبي قديم ومجمع 1012 هذا رقم طلبي",
        "لوحة توزيع رقم 4412 وسيارة قطعت 120450 كم",
        "نقص من سجلها (2004-2006) وpassport fee 12000",
        "شكوى بشأن عداد 7712043 وطلب نقل من مدرسة رقم 1250",
        "report of 2023 and ticket price 120450 fils",
        "أ-311 11.294 12.713 أ-367 11.340 و871260.00 461300.00 9 2864325.00",
        "",
    ],
)
def test_what_is_not_personal_stays(text: str) -> None:
    masked = mask_personal_data(text)
    assert masked.text is text and masked.spans == ()


@pytest.mark.parametrize(
    "text",
    [
        "39001234/36001234",
        "39001234-36001234",
        "36001234,39001234",
        "3900 1234/3600 1234",
        "+97339001234/39005678",
        "97339001234-36001234",
        "870412356/39001234",
        "850101234,870412356",
    ],
)
def test_numbers_that_a_sign_joins_are_both_found(text: str) -> None:
    assert len(find_personal_data(text)) == 2
    assert not any(char.isdigit() for char in mask_personal_data(text).text)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("لوحة 88412 و 4409 و68214", "لوحة [رقم لوحة] و [رقم لوحة] و[رقم لوحة]"),
        ("passport N5529017 (old) and N8804462", "passport [رقم جواز] (old) and [رقم جواز]"),
        ("رقم الطلب 8812047، 8790331، وصار لي 1500 يوم", "رقم الطلب [رقم طلب]، [رقم طلب]، وصار لي 1500 يوم"),
        ("رقم الحساب 20418837 و 142 دينار", "رقم الحساب [رقم حساب] و 142 دينار"),
    ],
)
def test_a_cue_holds_for_the_numbers_that_follow_in_the_same_form(text: str, masked: str) -> None:
    assert mask_personal_data(text).text == masked


def test_a_number_that_a_cue_names_is_no_phone() -> None:
    assert [span.kind for span in find_personal_data("رقم الحساب 33123456، هاتف 33123457")] == ["account", "phone"]
    assert find_personal_data("رقم الحساب 33123456", {"phone"}) == ()


def test_house_numbers_are_masked_only_when_asked_for() -> None:
    text = "شقة 12 في بناية رقم ٢٣٤ مجمع 714"
    assert mask_personal_data(text).text is text
    assert mask_personal_data(text, EVERYTHING).text == "شقة [رقم منزل] في بناية رقم [رقم منزل] مجمع 714"


def test_a_cue_does_not_reach_over_the_end_of_the_sentence() -> None:
    assert [span.kind for span in find_personal_data("وإعادة فتح الطلب. 33660918")] == ["phone"]


def test_spans_count_the_marks_that_were_looked_through() -> None:
    text = "الرَّقـــم الشَّخصيّ 87\u200f0412356\u200f وهاتفي ٣٩\u200b٠٠١٢٣٤ شكرًا"
    assert [text[span.start : span.end] for span in find_personal_data(text)] == ["87\u200f0412356", "٣٩\u200b٠٠١٢٣٤"]
    assert mask_personal_data(text).text == "الرَّقـــم الشَّخصيّ [رقم شخصي]\u200f وهاتفي [هاتف] شكرًا"


def test_odd_spellings_of_every_kind_are_found_and_public_numbers_stay() -> None:
    for outcome in masks.run(trials=20, seed=1):
        assert outcome.failures == 0, (outcome.attack, outcome.note)


def test_a_mask_takes_the_keycap_of_the_last_digit_with_it() -> None:
    assert mask_personal_data("رقمي 3️⃣9️⃣0️⃣0️⃣1️⃣2️⃣7️⃣4️⃣ شكرا").text == "رقمي [هاتف] شكرا"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("أنا المواطن جاسم محمد العريفي، من عراد", "أنا المواطن [اسم]، من عراد"),
        ("الاسم: سلمان راشد\nالهاتف مغلق", "الاسم: [اسم]\nالهاتف مغلق"),
        ("اسمي حسن منصور وعندي محل", "اسمي [اسم] وعندي محل"),
        ("My name is Peter Lawson, I wait", "My name is [اسم], I wait"),
        ("أنا ساكن في الرفاع، أنتظر", "أنا ساكن في الرفاع، أنتظر"),
    ],
)
def test_names_behind_a_word_for_one_are_masked_only_when_asked_for(text: str, masked: str) -> None:
    assert mask_personal_data(text).text is text
    assert mask_personal_data(text, {"name"}).text == masked


@given(ANYTHING)
def test_spans_are_those_of_the_original_and_the_rest_of_it_stays(text: str) -> None:
    masked = mask_personal_data(text, EVERYTHING)
    rebuilt, last = "", 0
    for span in masked.spans:
        assert last <= span.start < span.end <= len(text)
        rebuilt += text[last : span.start] + PLACEHOLDERS[span.kind]
        last = span.end
    assert rebuilt + text[last:] == masked.text


def test_a_mask_leaves_nothing_to_find() -> None:
    text = "CPR 870412356 جوال ٣٣٩١٨٢٠٦ ايميل a@b.com حساب رقم 1234567 آيبان BH67BMAG00001299123456"
    assert len(find_personal_data(text)) == 5
    assert find_personal_data(mask_personal_data(text).text) == ()


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="address"):
        mask_personal_data("نص", {"address"})
    with pytest.raises(TypeError, match="NoneType"):
        mask_personal_data(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="collection"):
        mask_personal_data("نص", "phone")


UNITS = (
    "1|3 |a|a@|BH1|رقم |حساب |طلب رقم |+973 |(|شقة |3900 1234/|ab 12 |طلب كلمة |سيارة بيت |4111 |3\n|3 ~ |"
    "٣️⃣|+1 |BH1 2|a at |a dot |ا@|[at] |جواز كلمة |رقم الحساب كلمة |passport word |passport (word) |"
    "account word |رقم 3 9 |0 0 9 7 3 |00966 |تلفون 36 12 20 |REQ-1|1/|أنا كلمة |اسمي |طلب 12 كلمة |"
    "شكوى 12/5/2024 |طلب 2004 رقم |12345 رقم طلبي |O0 |0O1l2|طلب ....|طلب كلمة 1 |حساب 1 كلمة 2010 |"
    "account word 1 "
)


@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS.split("|"))
def test_time_grows_no_faster_than_the_text(unit: str) -> None:
    assert growth(lambda text: mask_personal_data(text, EVERYTHING), unit * (80_000 // len(unit))) < LINEAR
