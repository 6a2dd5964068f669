//! Lists, in pages as Twilio gives them.

use serde_json::{Value, json};

use super::message::API_VERSION;
use super::refusal::Refusal;
use super::shelf::{Resource, Shelf};
use crate::form::{self, Form};

const MAX_PAGE: usize = 1000;

fn page_size(query: &Form) -> Result<usize, Refusal> {
    let size = query.filled("PageSize").map_or(Some(50), |size| size.parse().ok());
    size.filter(|size| (1..=MAX_PAGE).contains(size)).ok_or(Refusal::new(
        400,
        20001,
        "the page size is not from 1 to 1000",
    ))
}

/// One page of `kind` (`Messages`, `Calls`), newest first, of what the query's `To` and `From` and `is_wanted`
/// leave, and of nothing that is older than the first that `is_over`.
pub(super) fn page<T: Resource>(
    account_sid: &str,
    kind: &str,
    query: &Form,
    shelf: &Shelf<T>,
    is_over: impl Fn(&T) -> bool,
    is_wanted: impl Fn(&T) -> bool,
    show: impl Fn(&T) -> Value,
) -> Result<Value, Refusal> {
    let size = page_size(query)?;
    let page: usize = query.filled("Page").and_then(|page| page.parse().ok()).unwrap_or(0);
    // A page token names the last one shown, so that new ones do not shift the pages.
    let before = match query.filled("PageToken").map(|token| token.trim_start_matches("PA")) {
        None if page == 0 => None,
        token => {
            let place = token.and_then(|token| token.parse().ok());
            Some(place.ok_or(Refusal::new(400, 21481, "the page token is not valid"))?)
        }
    };
    let mut matching = shelf
        .newest(query.filled("From"), query.filled("To"), before)
        .take_while(|(_, resource)| !is_over(resource))
        .filter(|(_, resource)| is_wanted(resource));
    let shown: Vec<(u64, &T)> = matching.by_ref().take(size).collect();
    let uri = |page: usize, token: Option<u64>| {
        let kept =
            query.0.iter().filter(|(name, _)| !matches!(name.as_str(), "Page" | "PageToken" | "PageSize"));
        let mut pairs: Vec<(String, String)> = kept.cloned().collect();
        pairs.push(("PageSize".to_owned(), size.to_string()));
        pairs.push(("Page".to_owned(), page.to_string()));
        pairs.extend(token.map(|token| ("PageToken".to_owned(), format!("PA{token}"))));
        format!("/{API_VERSION}/Accounts/{account_sid}/{kind}.json?{}", form::encode(&pairs))
    };
    let next = match shown.last() {
        Some((last, _)) if matching.next().is_some() => Some(uri(page + 1, Some(*last))),
        _ => None,
    };
    let mut list = json!({
        "page": page,
        "page_size": size,
        "start": page * size,
        "end": (page * size + shown.len()).saturating_sub(1),
        "uri": uri(page, None),
        "first_page_uri": uri(0, None),
        "next_page_uri": next,
        "previous_page_uri": null,
    });
    list[kind.to_ascii_lowercase()] = shown.iter().map(|(_, resource)| show(resource)).collect();
    Ok(list)
}

/// A list that fits one page, under its key. `path` is what stands after the account.
pub(super) fn whole(account_sid: &str, path: &str, key: &str, items: Vec<Value>) -> Value {
    let uri = format!("/{API_VERSION}/Accounts/{account_sid}/{path}.json?PageSize=50&Page=0");
    let mut list = json!({
        "page": 0,
        "page_size": 50,
        "start": 0,
        "end": items.len().saturating_sub(1),
        "uri": uri,
        "first_page_uri": uri,
        "next_page_uri": null,
        "previous_page_uri": null,
    });
    list[key] = items.into();
    list
}
