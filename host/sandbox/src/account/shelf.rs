//! Resources by their SID, by their order, and by the numbers at their ends, so that nothing is slow when
//! there are many.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Something with two ends that Twilio keeps.
pub(super) trait Resource {
    fn sid(&self) -> &str;
    fn from(&self) -> &str;
    fn to(&self) -> &str;
}

pub(super) struct Shelf<T> {
    /// In the order of creation.
    kept: BTreeMap<u64, T>,
    by_sid: HashMap<String, u64>,
    by_from: HashMap<String, BTreeSet<u64>>,
    by_to: HashMap<String, BTreeSet<u64>>,
    next: u64,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self {
            kept: BTreeMap::new(),
            by_sid: HashMap::new(),
            by_from: HashMap::new(),
            by_to: HashMap::new(),
            next: 0,
        }
    }
}

impl<T: Resource> Shelf<T> {
    pub(super) fn insert(&mut self, resource: T) {
        let place = self.next;
        self.next += 1;
        self.by_sid.insert(resource.sid().to_owned(), place);
        self.by_from.entry(resource.from().to_owned()).or_default().insert(place);
        self.by_to.entry(resource.to().to_owned()).or_default().insert(place);
        self.kept.insert(place, resource);
    }

    pub(super) fn get(&self, sid: &str) -> Option<&T> {
        self.kept.get(self.by_sid.get(sid)?)
    }

    pub(super) fn get_mut(&mut self, sid: &str) -> Option<&mut T> {
        self.kept.get_mut(self.by_sid.get(sid)?)
    }

    pub(super) fn remove(&mut self, sid: &str) {
        let Some(place) = self.by_sid.remove(sid) else { return };
        let Some(resource) = self.kept.remove(&place) else { return };
        for (index, number) in [(&mut self.by_from, resource.from()), (&mut self.by_to, resource.to())] {
            if let Some(places) = index.get_mut(number) {
                places.remove(&place);
                if places.is_empty() {
                    index.remove(number);
                }
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// In the order of creation.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.kept.values()
    }

    /// Newest first, with their places, from those before `before`. The places are in no answer but in page
    /// tokens, where a deletion meanwhile does no harm.
    pub(super) fn newest<'a>(
        &'a self,
        from: Option<&str>,
        to: Option<&str>,
        before: Option<u64>,
    ) -> Box<dyn Iterator<Item = (u64, &'a T)> + 'a> {
        static NOTHING: BTreeSet<u64> = BTreeSet::new();
        let before = before.unwrap_or(u64::MAX);
        let from = from.map(|number| self.by_from.get(number).unwrap_or(&NOTHING));
        let to = to.map(|number| self.by_to.get(number).unwrap_or(&NOTHING));
        let (few, many) = match (from, to) {
            (None, None) => {
                return Box::new(self.kept.range(..before).rev().map(|(place, kept)| (*place, kept)));
            }
            (Some(one), None) | (None, Some(one)) => (one, None),
            (Some(one), Some(other)) if one.len() < other.len() => (one, Some(other)),
            (Some(one), Some(other)) => (other, Some(one)),
        };
        let places =
            few.range(..before).rev().filter(move |place| many.is_none_or(|many| many.contains(place)));
        Box::new(places.filter_map(|place| Some((*place, self.kept.get(place)?))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Letter(&'static str, &'static str, &'static str);

    impl Resource for Letter {
        fn sid(&self) -> &str {
            self.0
        }

        fn from(&self) -> &str {
            self.1
        }

        fn to(&self) -> &str {
            self.2
        }
    }

    #[test]
    fn every_index_forgets_what_is_removed() {
        let mut shelf = Shelf::default();
        for letter in
            [Letter("1", "a", "x"), Letter("2", "a", "y"), Letter("3", "b", "x"), Letter("4", "a", "x")]
        {
            shelf.insert(letter);
        }
        let found = |shelf: &Shelf<Letter>, from, to| {
            shelf.newest(from, to, None).map(|(_, letter)| letter.0).collect::<Vec<_>>()
        };
        assert_eq!(found(&shelf, None, None), ["4", "3", "2", "1"]);
        assert_eq!(found(&shelf, Some("a"), None), ["4", "2", "1"]);
        assert_eq!(found(&shelf, None, Some("x")), ["4", "3", "1"]);
        assert_eq!(found(&shelf, Some("a"), Some("x")), ["4", "1"]);
        assert_eq!(found(&shelf, Some("c"), None), [""; 0]);
        shelf.remove("4");
        shelf.remove("4");
        assert_eq!(found(&shelf, Some("a"), Some("x")), ["1"]);
        assert!(shelf.get("4").is_none() && shelf.get("1").is_some());
        let after: Vec<_> = shelf.newest(Some("a"), None, Some(1)).map(|(place, _)| place).collect();
        assert_eq!((after, shelf.len(), shelf.iter().count()), (vec![0], 3, 3));
        for sid in ["1", "2", "3"] {
            shelf.remove(sid);
        }
        assert!(shelf.by_sid.is_empty() && shelf.by_from.is_empty() && shelf.by_to.is_empty());
    }
}
