//! The records of the project, each to be found by its id.

use std::collections::HashMap;

use jiff::civil::DateTime;
use redcap::record::Record;

struct Kept {
    record: Record,
    /// When it was last changed.
    changed: DateTime,
}

#[derive(Default)]
pub(super) struct Records {
    /// In order of creation.
    kept: Vec<Kept>,
    places: HashMap<String, usize>,
}

impl Records {
    pub(super) fn get(&self, id: &str) -> Option<&Record> {
        self.places.get(id).map(|&at| &self.kept[at].record)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.kept.iter().map(|kept| &kept.record)
    }

    /// Those of these ids, or all if there is none, each with when it was last changed.
    pub(super) fn of<'a>(&'a self, ids: &[String]) -> Box<dyn Iterator<Item = (&'a Record, DateTime)> + 'a> {
        let shown = |kept: &'a Kept| (&kept.record, kept.changed);
        if ids.is_empty() {
            return Box::new(self.kept.iter().map(shown));
        }
        let mut places: Vec<usize> = ids.iter().filter_map(|id| self.places.get(id).copied()).collect();
        places.sort_unstable();
        Box::new(places.into_iter().map(move |at| shown(&self.kept[at])))
    }

    /// The record of this id, made if need be, for a change at this time.
    pub(super) fn change(&mut self, id: &str, now: DateTime) -> &mut Record {
        let at = match self.places.get(id) {
            Some(&at) => at,
            None => self.add(Record::new(id), now),
        };
        let kept = &mut self.kept[at];
        kept.changed = now;
        &mut kept.record
    }

    pub(super) fn add(&mut self, record: Record, now: DateTime) -> usize {
        let at = self.kept.len();
        self.places.insert(record.id.clone(), at);
        self.kept.push(Kept { record, changed: now });
        at
    }

    /// Whether there was one.
    pub(super) fn remove(&mut self, id: &str) -> bool {
        let Some(at) = self.places.remove(id) else { return false };
        self.kept.remove(at);
        // Deletions are rare, so they may take their time.
        for place in self.places.values_mut().filter(|place| **place > at) {
            *place -= 1;
        }
        true
    }

    /// Gives a record another id; false if there is no such record or the id is taken.
    pub(super) fn rename(&mut self, old: &str, new: &str, id_field: &str, now: DateTime) -> bool {
        if self.places.contains_key(new) {
            return false;
        }
        let Some(at) = self.places.remove(old) else { return false };
        self.places.insert(new.to_owned(), at);
        let record = self.change(new, now);
        new.clone_into(&mut record.id);
        for place in record.places().cloned().collect::<Vec<_>>() {
            record.set(id_field, &place, new);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_found_whatever_was_deleted_and_renamed() {
        let now: DateTime = "2026-11-23T10:30:00".parse().unwrap();
        let mut records = Records::default();
        for id in ["1", "2", "3"] {
            records.change(id, now);
        }
        assert!(records.remove("1") && !records.remove("1"));
        assert!(records.rename("3", "1", "record_id", now));
        assert!(!records.rename("1", "2", "record_id", now) && !records.rename("3", "4", "record_id", now));
        let ids = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|&id| id.to_owned()).collect();
            records.of(&wanted).map(|(record, _)| record.id.clone()).collect::<Vec<_>>()
        };
        assert_eq!(ids(&[]), ["2", "1"]);
        assert_eq!(ids(&["1", "2", "3"]), ["2", "1"]);
        assert_eq!(records.get("1").map(|record| record.id.as_str()), Some("1"));
        assert!(records.get("3").is_none());
    }
}
