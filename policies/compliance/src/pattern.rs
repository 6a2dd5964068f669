//! Patterns over the words of a clause.
//!
//! `a|b` is one of two words, `a?` may be missing, `_` is any word, `^` and `$` are the start and the end
//! of the clause, and a word with `@` is a list of words with that name.
//!
//! There are hundreds of patterns and every inbound message is read for all of them, so each knows two
//! bit sets, made when the policy is compiled: some word of each must occur in the clause. Nearly every
//! pattern is ruled out by that, in the time of two comparisons.

use crate::words::has;

/// A pattern.
#[derive(Debug, Clone, Copy)]
pub struct Pattern {
    /// As it is written.
    pub text: &'static str,
    /// What a clause must hold for this to match: one bit at least of each.
    needs: [u128; 2],
}

/// The words that a name with `@` stands for, in up to two parts.
pub type Lists = fn(&str) -> [&'static [&'static str]; 2];

/// A table of patterns, of their texts.
pub const fn table<const N: usize>(texts: [&'static str; N]) -> [Pattern; N] {
    let mut patterns = [Pattern { text: "", needs: [u128::MAX; 2] }; N];
    let mut at = 0;
    while at < N {
        patterns[at] = Pattern { text: texts[at], needs: needs(texts[at].as_bytes()) };
        at += 1;
    }
    patterns
}

/// The words of a clause, and the bits that they set.
#[derive(Debug, Clone, Copy)]
pub struct Clause<'a> {
    words: &'a [&'a str],
    bits: u128,
}

impl<'a> Clause<'a> {
    /// A clause of these words.
    pub fn of(words: &'a [&'a str]) -> Clause<'a> {
        Clause { words, bits: words.iter().fold(0, |bits, it| bits | bit(it.as_bytes(), 0, it.len())) }
    }

    /// Whether one of the patterns matches somewhere.
    pub fn has_any(&self, patterns: &[Pattern], lists: Lists) -> bool {
        patterns.iter().any(|it| self.places(it, lists).next().is_some())
    }

    /// Where a pattern matches.
    pub fn places(&self, pattern: &Pattern, lists: Lists) -> impl Iterator<Item = usize> + use<'a> {
        let may = pattern.needs.iter().all(|it| it & self.bits != 0);
        let (text, words) = (pattern.text, self.words);
        (0..if may { words.len() } else { 0 }).filter(move |at| matches(text, words, *at, lists))
    }
}

/// Whether a pattern matches a clause from here on.
fn matches(text: &str, words: &[&str], at: usize, lists: Lists) -> bool {
    if text.is_empty() {
        return true;
    }
    let (token, rest) = text.split_once(' ').unwrap_or((text, ""));
    match token {
        "^" => at == 0 && matches(rest, words, at, lists),
        "$" => at == words.len() && matches(rest, words, at, lists),
        _ => {
            let (token, optional) = token.strip_suffix('?').map_or((token, false), |it| (it, true));
            match words.get(at) {
                Some(word) if fits(token, word, lists) && matches(rest, words, at + 1, lists) => true,
                Some(_) => optional && matches(rest, words, at, lists),
                None => (optional || token.split('|').any(|it| it == "$")) && matches(rest, words, at, lists),
            }
        }
    }
}

fn fits(token: &str, word: &str, lists: Lists) -> bool {
    token.split('|').any(|it| match it.strip_prefix('@') {
        Some(name) => lists(name).iter().any(|it| has(it, word)),
        None => it == word || it == "_",
    })
}

/// The two tokens that fit the fewest words, as bits. What may be missing, or fits a whole list, says nothing.
const fn needs(text: &[u8]) -> [u128; 2] {
    let mut needs = [u128::MAX; 2];
    let mut at = 0;
    while at < text.len() {
        let mut bits = 0;
        let mut required = true;
        let mut start = at;
        loop {
            let ends = at == text.len() || text[at] == b' ';
            if ends || text[at] == b'|' {
                required &= !matches!(text[start], b'@' | b'$' | b'^' | b'_') && text[at - 1] != b'?';
                bits |= bit(text, start, at);
                start = at + 1;
            }
            at += 1;
            if ends {
                break;
            }
        }
        if required && bits.count_ones() < needs[0].count_ones() {
            needs = [bits, needs[0]];
        } else if required && bits.count_ones() < needs[1].count_ones() {
            needs[1] = bits;
        }
    }
    needs
}

/// The bit of a word: a hash after Fowler, Noll and Vo.
const fn bit(text: &[u8], start: usize, end: usize) -> u128 {
    let mut hash = 0x811c_9dc5_u32;
    let mut at = start;
    while at < end {
        hash = (hash ^ text[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    1 << ((hash ^ (hash >> 15)) % 128)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(name: &str) -> [&'static [&'static str]; 2] {
        if name == "texts" { [&["texts links"], &["messages"]] } else { [&[], &[]] }
    }

    #[test]
    fn patterns_match_as_they_say() {
        let words = ["no", "more", "of", "these", "texts"];
        for (text, expected) in [
            ("no more", true),
            ("^ no", true),
            ("^ more", false),
            ("texts $", true),
            ("these $", false),
            ("no less|more", true),
            ("more of? the? these", true),
            ("no _ of", true),
            ("no _ _ texts", false),
            ("texts $|now", true),
            ("these $|texts", true),
            ("these $|now", false),
            ("of _ @texts", true),
            ("@texts $", true),
            ("^ no more of these texts $", true),
            ("no? more", true),
            ("texts now?", true),
        ] {
            let found = Clause::of(&words).has_any(&table([text]), lists);
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn only_what_must_occur_is_asked_for() {
        let bits = |word: &str| bit(word.as_bytes(), 0, word.len());
        for (text, expected) in [
            ("no more", [bits("no"), bits("more")]),
            ("stop|quit @texts", [bits("stop") | bits("quit"), u128::MAX]),
            ("^ stop now? $", [bits("stop"), u128::MAX]),
            ("stop $|now", [bits("stop"), u128::MAX]),
            ("a|b c|d e", [bits("e"), bits("a") | bits("b")]),
            ("_ @texts", [u128::MAX; 2]),
        ] {
            assert_eq!(needs(text.as_bytes()), expected, "{text}");
        }
    }
}
