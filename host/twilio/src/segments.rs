//! How many segments a text costs.
//!
//! A text goes out in GSM 03.38 septets when every character is in that alphabet, and in UTF-16 units as a
//! whole otherwise. One message holds 160 septets or 70 units; a longer one is cut into parts of 153 or 67,
//! because each part then carries a header of six bytes. Price and throughput are per part.

use unicode_segmentation::UnicodeSegmentation;

/// What a text costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segments {
    pub encoding: Encoding,
    /// The number of parts, at least 1.
    pub segments: u32,
    /// The length as Twilio's own calculator shows it: septets in GSM-7 (a character of the extension table
    /// counts twice), user-perceived characters in UCS-2, where a carriage return and a line feed are two.
    pub characters: u32,
    /// Septets or UTF-16 units in each part.
    pub units: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    Gsm7,
    Ucs2,
}

/// Twilio's option to replace look-alikes, such as curly quotes, before it chooses the encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SmartEncoding {
    On,
    Off,
}

/// Measures `text` as Twilio would send it.
///
/// With [`SmartEncoding::On`] the answer is an estimate: Twilio's live replacement table is not published.
pub fn measure(text: &str, smart: SmartEncoding) -> Segments {
    let replaced;
    let text = match smart {
        SmartEncoding::On => {
            replaced = smart_encode(text);
            &replaced
        }
        SmartEncoding::Off => text,
    };
    let septets: Option<Vec<u32>> = text.chars().map(septets).collect();
    if let Some(septets) = septets {
        let units = pack(&septets, 160, 153);
        return Segments {
            encoding: Encoding::Gsm7,
            segments: count(units.len()),
            characters: septets.iter().sum(),
            units,
        };
    }
    let clusters: Vec<u32> = text.graphemes(true).flat_map(cluster_units).collect();
    let units = pack(&clusters, 70, 67);
    let crlfs = text.matches("\r\n").count();
    Segments {
        encoding: Encoding::Ucs2,
        segments: count(units.len()),
        characters: count(text.graphemes(true).count() + crlfs),
        units,
    }
}

/// `text` with the characters replaced that smart encoding is known to replace.
///
/// Accented letters stay: only look-alikes of GSM characters and invisible characters change.
pub fn smart_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for c in text.chars() {
        match look_alike(c) {
            Some(replacement) => encoded.push_str(replacement),
            None => encoded.push(c),
        }
    }
    encoded
}

/// Fills parts in order. An item is never split, so a part may stay short.
fn pack(items: &[u32], single: u32, part: u32) -> Vec<u32> {
    let total: u32 = items.iter().sum();
    if total <= single {
        return vec![total];
    }
    let mut parts = vec![];
    let mut filled = 0;
    for item in items {
        if filled + item > part {
            parts.push(filled);
            filled = 0;
        }
        filled += item;
    }
    parts.push(filled);
    parts
}

/// The units that must stay together: a grapheme, unless it alone would overflow a part.
fn cluster_units(grapheme: &str) -> Vec<u32> {
    let units = count(grapheme.encode_utf16().count());
    if grapheme == "\r\n" || units > 67 {
        return grapheme.chars().map(|c| count(c.len_utf16())).collect();
    }
    vec![units]
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// The septets of one character in GSM 03.38, or `None` when the alphabet lacks it.
fn septets(c: char) -> Option<u32> {
    match c {
        '^' | '{' | '}' | '\\' | '[' | '~' | ']' | '|' | '€' | '\u{c}' => Some(2),
        // ASCII less the backtick and the controls; the extension table's members are matched above.
        '\n'
        | '\r'
        | ' '..='_'
        | 'a'..='z'
        | '£'
        | '¥'
        | 'è'
        | 'é'
        | 'ù'
        | 'ì'
        | 'ò'
        | 'Ç'
        | 'Ø'
        | 'ø'
        | 'Å'
        | 'å'
        | 'Δ'
        | 'Φ'
        | 'Γ'
        | 'Λ'
        | 'Ω'
        | 'Π'
        | 'Ψ'
        | 'Σ'
        | 'Θ'
        | 'Ξ'
        | 'Æ'
        | 'æ'
        | 'ß'
        | 'É'
        | '¤'
        | '¡'
        | 'Ä'
        | 'Ö'
        | 'Ñ'
        | 'Ü'
        | '§'
        | '¿'
        | 'ä'
        | 'ö'
        | 'ñ'
        | 'ü'
        | 'à' => Some(1),
        _ => None,
    }
}

/// The widths of the no-break space and the tab are those of Twilio's published calculator.
fn look_alike(c: char) -> Option<&'static str> {
    Some(match c {
        '“' | '”' | '„' | '‟' | '«' | '»' | '″' | '〃' | '＂' => "\"",
        '‘' | '’' | '‚' | '‛' | '′' | '‹' | '›' | '`' | '´' | 'ʹ' | 'ʻ' | 'ʼ' | 'ˈ' | '＇' => {
            "'"
        }
        '‐' | '‑' | '‒' | '–' | '—' | '―' | '−' | '﹘' | '﹣' | '－' | '⁃' => "-",
        '…' => "...",
        '‥' => "..",
        '•' | '·' | '∙' => "*",
        '⁄' | '∕' => "/",
        '½' => "1/2",
        '¼' => "1/4",
        '¾' => "3/4",
        '⅓' => "1/3",
        '⅔' => "2/3",
        '×' => "x",
        '\u{a0}' => "  ",
        '\t' => "       ",
        '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => " ",
        '\u{2028}' | '\u{2029}' => "\n",
        // Invisible, and often pasted along from a word processor. Joiners stay: emoji need them.
        '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}' => "",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, smart: SmartEncoding, encoding: Encoding, characters: u32, units: &[u32]) {
        let segments = count(units.len());
        let expected = Segments { encoding, segments, characters, units: units.to_vec() };
        assert_eq!(measure(text, smart), expected, "{text:?}");
    }

    #[test]
    fn gsm_boundaries() {
        use Encoding::Gsm7;
        use SmartEncoding::Off;
        check("", Off, Gsm7, 0, &[0]);
        check(&"a".repeat(160), Off, Gsm7, 160, &[160]);
        check(&"a".repeat(161), Off, Gsm7, 161, &[153, 8]);
        // The euro sign takes two septets that stay together, which costs a third part here.
        check(&format!("{}€{}", "a".repeat(152), "a".repeat(152)), Off, Gsm7, 306, &[152, 153, 1]);
        check("a\r\nb", Off, Gsm7, 4, &[4]);
    }

    #[test]
    fn ucs2_boundaries() {
        use Encoding::Ucs2;
        use SmartEncoding::Off;
        check(&"Ж".repeat(70), Off, Ucs2, 70, &[70]);
        check(&"Ж".repeat(71), Off, Ucs2, 71, &[67, 4]);
        check(&format!("{}😀{}", "Ж".repeat(66), "Ж".repeat(66)), Off, Ucs2, 133, &[66, 67, 1]);
        check("👨\u{200d}👩\u{200d}👧\u{200d}👦", Off, Ucs2, 1, &[11]);
        check("Ж\r\n", Off, Ucs2, 3, &[3]);
        // One letter under a hundred accents is one grapheme, and longer than a part.
        check(&format!("e{}", "\u{301}".repeat(100)), Off, Ucs2, 1, &[67, 34]);
    }

    #[test]
    fn one_accent_halves_the_room() {
        check("mañana", SmartEncoding::Off, Encoding::Gsm7, 6, &[6]);
        check("mamá", SmartEncoding::On, Encoding::Ucs2, 4, &[4]);
    }

    #[test]
    fn smart_encoding_saves_a_quotation_mark() {
        check("It’s time", SmartEncoding::Off, Encoding::Ucs2, 9, &[9]);
        check("It’s time", SmartEncoding::On, Encoding::Gsm7, 9, &[9]);
        assert_eq!(smart_encode("“a”\u{200b} – ½…"), "\"a\" - 1/2...");
    }

    #[test]
    fn vectors_of_the_corpus() {
        #[derive(serde::Deserialize)]
        struct Vector {
            name: String,
            text: String,
            smart_encoding: bool,
            encoding: String,
            characters: u32,
            segments: u32,
            segment_unit_counts: Vec<u32>,
        }
        let Some(text) = crate::corpus::read("twilio/segment-vectors.json") else { return };
        let vectors: Vec<Vector> = serde_json::from_str(&text).unwrap();
        assert!(!vectors.is_empty());
        for vector in vectors {
            let smart = if vector.smart_encoding { SmartEncoding::On } else { SmartEncoding::Off };
            let expected = Segments {
                encoding: if vector.encoding == "GSM-7" { Encoding::Gsm7 } else { Encoding::Ucs2 },
                segments: vector.segments,
                characters: vector.characters,
                units: vector.segment_unit_counts,
            };
            assert_eq!(measure(&vector.text, smart), expected, "{}", vector.name);
        }
    }

    proptest! {
        #[test]
        fn no_part_overflows_and_none_is_lost(text in any::<String>()) {
            let measured = measure(&text, SmartEncoding::Off);
            let (single, part) = match measured.encoding {
                Encoding::Gsm7 => (160, 153),
                Encoding::Ucs2 => (70, 67),
            };
            let room = if measured.units.len() == 1 { single } else { part };
            prop_assert!(measured.units.iter().all(|units| *units <= room));
            if measured.encoding == Encoding::Ucs2 {
                prop_assert_eq!(measured.units.iter().sum::<u32>(), count(text.encode_utf16().count()));
            }
        }
    }
}
