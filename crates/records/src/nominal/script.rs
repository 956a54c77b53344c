//! Tables from other scripts to Latin letters: Cyrillic, Greek and Arabic, and the Latin letters beyond a to z.
//!
//! They are our own where the general tables of `deunicode` are not good enough for names: Greek is written by
//! pairs of letters, Arabic without its short vowels, and a Latin letter with a mark is printed one way in a passport
//! and said another way. No table is right for every language; what is left open here, the sounds make up for.

/// Cyrillic as most passports write it. Only small letters; the hard and soft signs are silent.
pub(super) fn cyrillic(letter: char) -> Option<&'static str> {
    Some(match letter {
        'а' => "a",
        'б' => "b",
        'в' => "v",
        'г' | 'ґ' | 'ғ' => "g",
        'д' => "d",
        'ђ' | 'џ' => "dj",
        'ѓ' => "g",
        'е' | 'э' | 'є' | 'ё' => "e",
        'ж' | 'җ' => "zh",
        'з' | 'ѕ' => "z",
        'и' | 'й' | 'і' | 'ї' | 'ы' | 'ј' => "i",
        'к' | 'қ' | 'ќ' => "k",
        'л' => "l",
        'љ' => "lj",
        'м' => "m",
        'н' | 'ң' => "n",
        'њ' => "nj",
        'о' | 'ө' => "o",
        'п' => "p",
        'р' => "r",
        'с' => "s",
        'т' => "t",
        'ћ' | 'ч' => "ch",
        'у' | 'ү' | 'ұ' | 'ў' => "u",
        'ф' => "f",
        'х' => "kh",
        'һ' => "h",
        'ц' => "ts",
        'ш' => "sh",
        'щ' => "shch",
        'ъ' | 'ь' => "",
        'ю' => "iu",
        'я' => "ia",
        'ә' => "a",
        _ => return None,
    })
}

/// Greek, small letters without their accents. A pair is read before a single letter; `μπ`, `ντ` and `γκ` are
/// one sound where a word begins.
pub(super) fn greek(first: char, second: Option<char>, begins: bool) -> Option<(&'static str, usize)> {
    let pair = match (first, second) {
        ('ο', Some('υ')) => Some("ou"),
        ('ε', Some('ι')) | ('ο', Some('ι')) | ('υ', Some('ι')) => Some("i"),
        ('α', Some('ι')) => Some("e"),
        ('α', Some('υ')) => Some("av"),
        ('ε', Some('υ')) => Some("ev"),
        ('γ', Some('γ')) => Some("ng"),
        ('γ', Some('χ')) => Some("nch"),
        ('γ', Some('κ')) => Some(if begins { "g" } else { "gk" }),
        ('μ', Some('π')) => Some(if begins { "b" } else { "mp" }),
        ('ν', Some('τ')) => Some(if begins { "d" } else { "nt" }),
        _ => None,
    };
    if let Some(letters) = pair {
        return Some((letters, 2));
    }
    let letters = match first {
        'α' => "a",
        'β' => "v",
        'γ' => "g",
        'δ' => "d",
        'ε' => "e",
        'ζ' => "z",
        'η' | 'ι' | 'υ' => "i",
        'θ' => "th",
        'κ' => "k",
        'λ' => "l",
        'μ' => "m",
        'ν' => "n",
        'ξ' => "x",
        'ο' | 'ω' => "o",
        'π' => "p",
        'ρ' => "r",
        'σ' | 'ς' => "s",
        'τ' => "t",
        'φ' => "f",
        'χ' => "kh",
        'ψ' => "ps",
        _ => return None,
    };
    Some((letters, 1))
}

/// Arabic and Persian letters. Short vowels are not written, so a word from here has its consonants and long
/// vowels only; `ع` and the hamza are not heard by those who write the name in Latin.
pub(super) fn arabic(letter: char) -> Option<&'static str> {
    Some(match letter {
        'ا' | 'أ' | 'إ' | 'آ' | 'ى' | 'ٱ' | 'ة' => "a",
        'ب' => "b",
        'پ' => "p",
        'ت' | 'ط' => "t",
        'ث' => "th",
        'ج' => "j",
        'چ' => "ch",
        'ح' | 'ه' | 'ہ' => "h",
        'خ' => "kh",
        'د' | 'ض' => "d",
        'ذ' => "dh",
        'ر' => "r",
        'ز' | 'ظ' => "z",
        'ژ' => "zh",
        'س' | 'ص' => "s",
        'ش' => "sh",
        'ع' | 'ء' => "",
        'غ' => "gh",
        'ف' => "f",
        'ق' | 'ك' | 'ک' => "k",
        'گ' => "g",
        'ل' => "l",
        'م' => "m",
        'ن' => "n",
        'و' | 'ؤ' => "u",
        'ي' | 'ئ' | 'ی' => "i",
        _ => return None,
    })
}

/// A Latin letter beyond a to z: what a passport prints, and how it is said.
pub(super) fn latin(letter: char) -> Option<(&'static str, &'static str)> {
    Some(match letter {
        'æ' | 'ǽ' => ("ae", "a"),
        'œ' => ("oe", "o"),
        'ß' => ("ss", "s"),
        'ø' => ("o", "o"),
        'ð' => ("d", "d"),
        'þ' => ("th", "t"),
        'đ' => ("d", "dj"),
        'ł' => ("l", "l"),
        'ı' => ("i", "i"),
        'ħ' => ("h", "h"),
        'ŋ' => ("n", "n"),
        'ŧ' => ("t", "t"),
        'ə' => ("a", "e"),
        'š' | 'ş' | 'ș' | 'ś' => ("s", "sh"),
        'č' | 'ć' | 'ç' => ("c", "ch"),
        'ž' | 'ź' | 'ż' => ("z", "zh"),
        'ř' => ("r", "rzh"),
        'ğ' => ("g", "gh"),
        'ţ' | 'ț' => ("t", "ts"),
        'ą' => ("a", "on"),
        'ę' => ("e", "en"),
        'ñ' => ("n", "ny"),
        _ => return None,
    })
}
