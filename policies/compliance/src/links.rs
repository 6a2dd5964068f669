//! Links lead to the institution.
//!
//! Carriers filter texts with the links of public shorteners, which hide where they lead, and people are
//! right to distrust them. Which hosts are the institution's own is for the operator to say.

use crate::opinion::Opinions;
use crate::setting;
use consentry_guest::Draft;
use consentry_guest::rule::Rule;

/// A host that is not the institution's.
pub const HOST: Rule = Rule {
    id: "link-host",
    sentence: "Links lead only to hosts that the operator named.",
    citation: Some("CTIA Messaging Principles and Best Practices, 5.3.2"),
};

/// A public shortener.
pub const SHORTENER: Rule = Rule {
    id: "link-shortener",
    sentence: "Links of public shorteners are never sent.",
    citation: Some("CTIA Messaging Principles and Best Practices, 5.3.2"),
};

/// Public shorteners, as carriers know them.
const SHORTENERS: &[&str] = &[
    "bit.ly",
    "bitly.com",
    "j.mp",
    "tinyurl.com",
    "t.co",
    "goo.gl",
    "ow.ly",
    "is.gd",
    "v.gd",
    "buff.ly",
    "rebrand.ly",
    "cutt.ly",
    "rb.gy",
    "t.ly",
    "tiny.cc",
    "shorturl.at",
    "s.id",
    "lnkd.in",
    "fb.me",
    "adf.ly",
    "bl.ink",
    "short.io",
    "soo.gd",
    "clck.ru",
];

/// Reviews where the links of a draft lead.
pub fn review(draft: &Draft, opinions: &mut Opinions) {
    let own = setting::link_hosts();
    let listed = draft.links.iter().map(String::as_str);
    let mut shortened = false;
    let mut foreign = false;
    // What the host overlooked is read here once more; a bare word with a dot is only a shortener's, if any.
    for link in listed.chain(draft.body.split_whitespace()) {
        let explicit = link.contains("://");
        let host = host(link);
        shortened |= is_under(host, SHORTENERS);
        foreign |= explicit && !own.is_empty() && !is_under(host, &own);
    }
    for link in &draft.links {
        foreign |= !own.is_empty() && !is_under(host(link), &own);
    }
    if shortened {
        opinions.deny(SHORTENER.finding("the message has a link of a public shortener", "draft.links"));
    }
    if foreign {
        let sentence = "the message has a link to a host that is not among the institution's";
        opinions.deny(HOST.finding(sentence, "draft.links"));
    }
}

/// The host of a link, without scheme, user, port and path.
pub(crate) fn host(link: &str) -> &str {
    let link = link.trim_matches(|it: char| !it.is_alphanumeric());
    let rest = link.split_once("://").map_or(link, |it| it.1);
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or(rest);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    host.split(':').next().unwrap_or(host).trim_end_matches('.')
}

/// Whether a host is one of these, or below one of them.
pub(crate) fn is_under(host: &str, domains: &[impl AsRef<str>]) -> bool {
    domains.iter().any(|it| {
        let domain = it.as_ref();
        let Some(start) = host.len().checked_sub(domain.len()) else { return false };
        let (Some(before), Some(end)) = (host.get(..start), host.get(start..)) else { return false };
        end.eq_ignore_ascii_case(domain) && (before.is_empty() || before.ends_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Answers, draft, verdict};
    use consentry_guest::{Value, host};

    #[test]
    fn links_lead_to_the_institution() {
        for (hosts, links, body, expected) in [
            (&["uni.edu"][..], &["https://redcap.uni.edu/surveys/?s=AB"][..], "", "allow"),
            (&["uni.edu"], &["https://REDCap.UNI.edu:443/surveys"], "", "allow"),
            (&["redcap.uni.edu"], &["https://redcap.uni.edu"], "", "allow"),
            (&["uni.edu"], &["https://notuni.edu/x"], "", "deny link-host"),
            (&["uni.edu"], &["https://uni.edu.evil.com/x"], "", "deny link-host"),
            (&["uni.edu"], &["https://uni.edu@evil.com/x"], "", "deny link-host"),
            (&["uni.edu"], &["https://evil.com\\@uni.edu/"], "", "deny link-host"),
            (&["uni.edu"], &["evil.com/x"], "", "deny link-host"),
            (&["uni.edu"], &[], "See https://evil.com/x now", "deny link-host"),
            (&["uni.edu"], &[], "Well done.See you at 10.30", "allow"),
            (&[], &["https://anything.example/x"], "", "allow"),
            (&[], &["https://bit.ly/3x"], "", "deny link-shortener"),
            (&[], &[], "Go to bit.ly/3x.", "deny link-shortener"),
            (&[], &[], "Go to (https://tinyurl.com/abc)", "deny link-shortener"),
            (&["uni.edu"], &["https://t.co/abc"], "", "deny link-shortener link-host"),
            (&[], &["https://habit.ly/x"], "", "allow"),
        ] {
            let hosts = hosts.iter().map(|it| (*it).to_owned()).collect();
            let answers = Answers::default().with("link-hosts", Value::Texts(hosts));
            let links = links.iter().map(|it| (*it).to_owned()).collect();
            let draft = Draft { links, body: body.into(), ..draft() };
            let told = verdict(|opinions| host::answering(&answers, || review(&draft, opinions)));
            assert_eq!(told, expected, "{:?} {body}", draft.links);
        }
    }
}
