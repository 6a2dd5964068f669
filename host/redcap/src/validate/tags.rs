//! The action tags that limit what a field takes.
//!
//! Tags within `@IF(…)` are passed over. Whether they count depends on other answers, which are not
//! here, and refusing an answer needlessly is worse than leaving it to REDCap.

use crate::project::Field;

/// The codes a tag lists, as in `@HIDECHOICE='2,3'`.
pub(super) fn codes(field: &Field, name: &str) -> Option<Vec<String>> {
    let tag = field.tag(name)?;
    let codes = tag.text().unwrap_or_default().split(',').map(str::trim).filter(|code| !code.is_empty());
    Some(codes.map(str::to_owned).collect())
}

/// The number a tag is set to. A tag set to anything else limits nothing.
pub(super) fn number(field: &Field, name: &str) -> Option<usize> {
    field.tag(name)?.text()?.trim().parse().ok()
}
