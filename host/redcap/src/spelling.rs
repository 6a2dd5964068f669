//! What a misspelt name may have meant, measured in one way wherever names are read.

/// The known name that is most like a misspelt one.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // What is longer than any name is prose, and comparing it would take long.
    if name.len() > 100 {
        return None;
    }
    let alike = |known: &str| strsim::normalized_damerau_levenshtein(name, known);
    known
        .filter(|known| known.len().abs_diff(name.len()) <= 8)
        .map(|known| (alike(known), known))
        .filter(|(likeness, _)| *likeness >= 0.7)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_its_like_and_prose_does_not() {
        let known = ["first_name", "last_name", "age"];
        assert_eq!(nearest("frist_name", known.into_iter()), Some("first_name"));
        assert_eq!(nearest("agee", known.into_iter()), Some("age"));
        assert_eq!(nearest("datemdy", ["date_dmy", "date_mdy"].into_iter()), Some("date_mdy"));
        assert_eq!(nearest("weight", known.into_iter()), None);
        assert_eq!(nearest(&"a".repeat(1_000), known.into_iter()), None);
    }
}
