//! Reading TOML so that every problem is told at once, with its line and what to write instead. Deriving
//! this would stop at the first mistake.

use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::problem::Problem;

/// A file being read, and what is wrong with it so far.
#[derive(Debug)]
pub(super) struct File {
    name: String,
    text: String,
    problems: RefCell<Vec<Problem>>,
}

impl File {
    /// A file by its name and text.
    pub(super) fn new(name: &str, text: String) -> File {
        File { name: name.into(), text, problems: RefCell::default() }
    }

    /// Reads the file: `read` takes what it knows, and what is left over is a problem.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Section<'_>) -> T) -> T {
        let (table, errors) = DeTable::parse_recoverable(&self.text);
        for error in errors {
            self.say(error.span().unwrap_or(0..0), error.message().to_owned(), None);
        }
        let section = Section {
            file: self,
            table: table.get_ref(),
            at: 0..self.text.find('\n').unwrap_or(self.text.len()),
            taken: RefCell::default(),
        };
        let value = read(&section);
        section.finish();
        value
    }

    /// Records a problem.
    pub(super) fn say(&self, at: Range<usize>, sentence: impl Into<String>, help: Option<String>) {
        let problem = Problem::new(&self.name, &self.text, at, sentence, help).in_language("TOML");
        self.problems.borrow_mut().push(problem);
    }

    /// Everything that is wrong, in the order of the file.
    pub(super) fn problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(Problem::start);
        problems
    }
}

/// A table of the file.
#[derive(Debug)]
pub(super) struct Section<'a> {
    file: &'a File,
    table: &'a DeTable<'a>,
    /// Where the table is, for what is missing in it.
    pub(super) at: Range<usize>,
    taken: RefCell<Vec<String>>,
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Found<T> {
    /// The value.
    pub(super) value: T,
    /// Its place.
    pub(super) at: Range<usize>,
}

impl<'a> Section<'a> {
    fn take(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.taken.borrow_mut().push(key.into());
        self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }

    /// Records a problem in this file.
    pub(super) fn say(&self, at: Range<usize>, sentence: impl Into<String>, help: impl Into<Option<String>>) {
        self.file.say(at, sentence, help.into());
    }

    fn expected(&self, key: &str, value: &Spanned<DeValue<'_>>, what: &str) {
        let found = value.get_ref().type_str();
        self.say(value.span(), format!("`{key}` takes {what}, and this is {found}"), None);
    }

    /// A key that must be there.
    pub(super) fn required<T>(&self, key: &str, found: Option<T>, help: &str) -> Option<T> {
        if found.is_none() && !self.table.iter().any(|(name, _)| name.get_ref() == key) {
            self.say(self.at.clone(), format!("`{key}` is missing"), help.to_owned());
        }
        found
    }

    /// A text.
    pub(super) fn text(&self, key: &str) -> Option<Found<String>> {
        let value = self.take(key)?;
        match value.get_ref().as_str() {
            Some(text) => Some(Found { value: text.into(), at: value.span() }),
            None => {
                self.expected(key, value, "a text");
                None
            }
        }
    }

    /// A text, where something else may stand too.
    pub(super) fn text_if(&self, key: &str) -> Option<Found<String>> {
        let (_, value) = self.table.iter().find(|(name, _)| name.get_ref() == key)?;
        value.get_ref().as_str()?;
        self.text(key)
    }

    /// A whole number that is not negative.
    pub(super) fn number(&self, key: &str) -> Option<Found<u32>> {
        let value = self.take(key)?;
        match value.get_ref().as_integer().and_then(|number| number.as_str().parse().ok()) {
            Some(number) => Some(Found { value: number, at: value.span() }),
            None => {
                self.expected(key, value, "a whole number from 0");
                None
            }
        }
    }

    /// Whether something is so.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        let value = self.take(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.expected(key, value, "true or false");
        }
        flag
    }

    /// A whole number in a range; the sentence says why there is one.
    pub(super) fn within(&self, key: &str, range: &RangeInclusive<u32>, why: &str) -> Option<u32> {
        let found = self.number(key)?;
        if !range.contains(&found.value) {
            let (from, to) = (range.start(), range.end());
            self.say(found.at, format!("`{key}` takes a whole number from {from} to {to}"), why.to_owned());
            return None;
        }
        Some(found.value)
    }

    /// One of some words, as what it stands for.
    pub(super) fn one_of<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Option<T> {
        let found = self.text(key)?;
        let value = words.iter().find(|(word, _)| *word == found.value).map(|(_, value)| *value);
        if value.is_none() {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            let help = format!("there are {}", words.join(", "));
            self.say(found.at, format!("`{}` is not known here", found.value), help);
        }
        value
    }

    /// A date, or a date and time, as it is written.
    pub(super) fn date(&self, key: &str) -> Option<Found<String>> {
        let value = self.take(key)?;
        match value.get_ref() {
            DeValue::Datetime(date) => Some(Found { value: date.to_string(), at: value.span() }),
            DeValue::String(date) => Some(Found { value: date.to_string(), at: value.span() }),
            _ => {
                self.expected(key, value, "a date, such as 2026-11-20");
                None
            }
        }
    }

    /// A list of texts.
    pub(super) fn texts(&self, key: &str) -> Option<Vec<Found<String>>> {
        let value = self.take(key)?;
        let Some(list) = value.get_ref().as_array() else {
            self.expected(key, value, "a list of texts");
            return None;
        };
        let mut texts = Vec::new();
        for item in list {
            match item.get_ref().as_str() {
                Some(text) => texts.push(Found { value: text.into(), at: item.span() }),
                None => self.expected(key, item, "texts in its list"),
            }
        }
        Some(texts)
    }

    /// Every key of this table, for tables whose keys are somebody else's.
    pub(super) fn entries(&self) -> Vec<(String, &'a Spanned<DeValue<'a>>)> {
        let entries: Vec<_> =
            self.table.iter().map(|(name, value)| (name.get_ref().to_string(), value)).collect();
        self.taken.borrow_mut().extend(entries.iter().map(|(name, _)| name.clone()));
        entries
    }

    /// Whether a key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.iter().any(|(name, _)| name.get_ref() == key)
    }

    /// Where a key's value is, or else its table.
    pub(super) fn place(&self, key: &str) -> Range<usize> {
        let value = self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value.span());
        value.unwrap_or_else(|| self.at.clone())
    }

    /// A table.
    pub(super) fn section<T>(&self, key: &str, read: impl FnOnce(&Section<'a>) -> T) -> Option<T> {
        let value = self.take(key)?;
        match value.get_ref().as_table() {
            Some(table) => Some(self.enter(table, value.span(), read)),
            None => {
                self.expected(key, value, "a table");
                None
            }
        }
    }

    /// A list of tables.
    pub(super) fn sections<T>(&self, key: &str, mut read: impl FnMut(&Section<'a>) -> T) -> Vec<T> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let Some(list) = value.get_ref().as_array() else {
            self.expected(key, value, "a list of tables");
            return Vec::new();
        };
        let mut read_one = |item: &'a Spanned<DeValue<'a>>| match item.get_ref().as_table() {
            Some(table) => Some(self.enter(table, item.span(), &mut read)),
            None => {
                self.expected(key, item, "tables in its list");
                None
            }
        };
        list.iter().filter_map(&mut read_one).collect()
    }

    fn enter<T>(&self, table: &'a DeTable<'a>, at: Range<usize>, read: impl FnOnce(&Section<'a>) -> T) -> T {
        // A table's own place can be all of its lines; its first one is enough to find it.
        let end = self.file.text[at.clone()].find('\n').map_or(at.end, |length| at.start + length);
        let section = Section { file: self.file, table, at: at.start..end, taken: RefCell::default() };
        let value = read(&section);
        section.finish();
        value
    }

    /// What was not taken is not known.
    fn finish(&self) {
        let taken = self.taken.borrow();
        for (name, _) in self.table {
            if !taken.iter().any(|known| name.get_ref() == known) {
                let help = nearest(name.get_ref(), &taken);
                self.say(name.span(), format!("there is no key `{}` here", name.get_ref()), help);
            }
        }
    }
}

fn nearest(name: &str, known: &[String]) -> Option<String> {
    if known.is_empty() {
        return None;
    }
    let shared = |other: &str| name.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let best = known.iter().max_by_key(|other| shared(other))?;
    if shared(best) >= 3 {
        return Some(format!("did you mean `{best}`?"));
    }
    let mut names: Vec<_> = known.iter().map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    Some(format!("the keys here are {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_told_with_its_line() {
        let text = "listen = 3\nlisten-on = \"x\"\n[redcap]\nurl = []\n[[wording]]\nid = \"a\"\n";
        let file = File::new("consentry.toml", text.into());
        file.read(|top| {
            top.text("listen");
            top.required("database", top.text("database"), "write database = \"consentry.db\"");
            top.section("redcap", |section| section.text("url"));
            top.sections("wording", |section| {
                section.text("id");
                section.required("text", section.text("text"), "the words");
            });
        });
        let told: Vec<_> = file.problems().iter().map(|p| (p.line(), p.to_string())).collect();
        let lines: Vec<_> = told.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 1, 2, 4, 5], "{told:#?}");
    }

    #[test]
    fn broken_toml_is_told_with_its_line_too() {
        let file = File::new("consentry.toml", "listen = \"a\"\ndatabase = \n".into());
        file.read(|top| (top.text("listen"), top.text("database")));
        let problems = file.problems();
        assert!(problems.iter().any(|problem| problem.line() == 2), "{problems:#?}");
    }
}
