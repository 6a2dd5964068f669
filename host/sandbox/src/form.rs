//! A posted form with everything as it came: order, empty values and repeated keys.

use std::collections::BTreeSet;

#[derive(Clone, Default)]
pub(crate) struct Form(pub(crate) Vec<(String, String)>);

impl Form {
    pub(crate) fn read(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Every value of a repeated key.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The value, unless it is empty.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// One of REDCap's lists: `name[0]=…&name[1]=…`, `name[]=…`, or `name=a,b`.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let items = self.0.iter().flat_map(|(key, value)| {
            let rest = key.strip_prefix(name);
            match rest {
                Some("") => value.split(',').map(|item| item.trim().to_owned()).collect(),
                Some(rest) if rest.starts_with('[') => vec![value.clone()],
                _ => Vec::new(),
            }
        });
        let mut seen = BTreeSet::new();
        items.filter(|item| !item.is_empty() && seen.insert(item.clone())).collect()
    }

    pub(crate) fn is_true(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "1"))
    }
}

/// A body for these pairs.
pub(crate) fn encode(pairs: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_in_three_ways() {
        let form = Form::read(b"records[0]=1&records[1]=2&fields=a,+b,,a&forms[]=x&record=9");
        assert_eq!(form.list("records"), ["1", "2"]);
        assert_eq!(form.list("fields"), ["a", "b"]);
        assert_eq!(form.list("forms"), ["x"]);
        assert_eq!(form.list("events"), Vec::<String>::new());
    }
}
