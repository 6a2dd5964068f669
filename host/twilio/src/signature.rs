//! Webhook signatures.
//!
//! Twilio signs the exact URL it requested (fragment left out, percent-encoding untouched) followed by every
//! form parameter, sorted by name and then value, each pair once. The MAC is HMAC-SHA1 under the account's
//! Auth Token, or what the header `X-Twilio-Webhooks-Signature-Settings` says under a `SharedKey`. A body that
//! is not a form is covered by its SHA-256 in the URL's `bodySHA256`. Source: Twilio's security guide and
//! the validators of its Python 9.13 and Node 6.2 libraries.
//!
//! The URL must come from configuration. One rebuilt from `Host` or `X-Forwarded-*` is the sender's to
//! choose.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::Secret;

/// The secrets an account's webhooks may be signed with.
#[derive(Debug)]
pub struct Verifier {
    auth_tokens: Vec<Secret>,
    shared_keys: BTreeMap<String, Secret>,
}

/// What of a request the signature speaks about.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// The header `X-Twilio-Signature`.
    pub signature: Option<&'a str>,
    /// The header `X-Twilio-Webhooks-Signature-Settings`, sent with `SharedKeys` only.
    pub settings: Option<&'a str>,
    pub payload: Payload<'a>,
}

#[derive(Clone, Copy)]
pub enum Payload<'a> {
    /// A form's decoded pairs in any order, with empty values and duplicates kept. A GET has none: its
    /// parameters are in the URL.
    Form(&'a [(String, String)]),
    /// Any other body, as the bytes received.
    Raw(&'a [u8]),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    HmacSha1,
    HmacSha256,
}

/// Why a request is not taken as Twilio's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    #[error("header `X-Twilio-Signature` is missing")]
    Missing,
    #[error("header `X-Twilio-Signature` is not base64")]
    NotBase64,
    #[error("no auth token is configured to check the signature with")]
    NoAuthToken,
    #[error("header `X-Twilio-Webhooks-Signature-Settings` names no `{0}`")]
    Settings(&'static str),
    #[error("shared key `{key}` is not configured")]
    UnknownKey { key: String },
    /// Never replaced by another algorithm: that would let the sender choose a weaker one.
    #[error("signature algorithm `{algorithm}` is not one we know")]
    UnknownAlgorithm { algorithm: String },
    #[error("the URL has no `bodySHA256`, so nothing vouches for the body")]
    NoBodyHash,
    #[error("the body is not the one whose SHA-256 was signed")]
    BodyHash,
    /// `url` is the URL the check used, without user, query and fragment. When it is not what Twilio was
    /// told to call, the public base URL is misconfigured; otherwise it is the secret or the fields.
    #[error("signature does not match, checked against `{url}`")]
    Mismatch { url: String },
}

impl fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(params) => write!(f, "Form({} fields)", params.len()),
            Self::Raw(body) => write!(f, "Raw({} bytes)", body.len()),
        }
    }
}

impl Verifier {
    /// Takes every token that may sign: after a rotation both the old and the new one do. Shared keys are
    /// named by their key id (`webhooks_sharedkey_…`). Empty secrets are dropped, for anybody can sign with
    /// them.
    pub fn new(auth_tokens: Vec<Secret>, shared_keys: BTreeMap<String, Secret>) -> Self {
        let usable = |secret: &Secret| !secret.expose_secret().is_empty();
        Self {
            auth_tokens: auth_tokens.into_iter().filter(usable).collect(),
            shared_keys: shared_keys.into_iter().filter(|(_, secret)| usable(secret)).collect(),
        }
    }

    /// Checks a request that was sent to `url`, the public URL as Twilio was told it, query included.
    ///
    /// Twilio's signing side is inconsistent about ports, so the URL counts both without its port and with
    /// the default port added. All comparisons take the same time wherever they differ.
    pub fn verify(&self, url: &str, request: Signed<'_>) -> Result<(), BadSignature> {
        let header = request.signature.map(str::trim).filter(|header| !header.is_empty());
        let received =
            STANDARD.decode(header.ok_or(BadSignature::Missing)?).map_err(|_| BadSignature::NotBase64)?;

        let (algorithm, secrets) = match request.settings {
            None => (Algorithm::HmacSha1, self.auth_tokens.iter().collect::<Vec<_>>()),
            Some(settings) => {
                let (algorithm, secret) = self.shared_key(settings)?;
                (algorithm, vec![secret])
            }
        };
        if secrets.is_empty() {
            return Err(BadSignature::NoAuthToken);
        }

        let params = match request.payload {
            Payload::Form(params) => params,
            Payload::Raw(_) => &[],
        };
        let mut matches = Choice::from(0);
        for candidate in port_forms(without_fragment(url)) {
            for secret in &secrets {
                matches |= mac(algorithm, &candidate, params, secret).ct_eq(&received);
            }
        }
        if !bool::from(matches) {
            return Err(BadSignature::Mismatch { url: printable(url) });
        }
        // The hash is worth something only now that the URL which carries it is known to be Twilio's.
        match request.payload {
            Payload::Form(_) => Ok(()),
            Payload::Raw(body) => body_hash_agrees(url, body),
        }
    }

    fn shared_key(&self, settings: &str) -> Result<(Algorithm, &Secret), BadSignature> {
        let setting = |name: &'static str| {
            settings
                .split(',')
                .filter_map(|pair| pair.split_once('='))
                .find(|(key, _)| key.trim() == name)
                .map(|(_, value)| value.trim())
                .ok_or(BadSignature::Settings(name))
        };
        let algorithm = match setting("algorithm")? {
            "HMAC_SHA1" => Algorithm::HmacSha1,
            "HMAC_SHA256" => Algorithm::HmacSha256,
            other => return Err(BadSignature::UnknownAlgorithm { algorithm: other.to_owned() }),
        };
        let key = setting("key")?;
        let secret =
            self.shared_keys.get(key).ok_or_else(|| BadSignature::UnknownKey { key: key.to_owned() })?;
        Ok((algorithm, secret))
    }
}

/// The value of `X-Twilio-Signature` that Twilio would send with a form to `url`.
pub fn sign(url: &str, params: &[(String, String)], token: &Secret) -> String {
    sign_with(Algorithm::HmacSha1, url, params, token)
}

/// The URL Twilio would request for a body that is not a form, with the body's hash in its query, and the
/// signature it would send.
pub fn sign_json(url: &str, body: &[u8], token: &Secret) -> (String, String) {
    let url = without_fragment(url);
    let join = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{join}bodySHA256={}", hex::encode(Sha256::digest(body)));
    let signature = sign(&url, &[], token);
    (url, signature)
}

/// [`sign`] under a chosen algorithm, as with a `SharedKey`.
pub fn sign_with(algorithm: Algorithm, url: &str, params: &[(String, String)], secret: &Secret) -> String {
    STANDARD.encode(mac(algorithm, without_fragment(url), params, secret))
}

fn mac(algorithm: Algorithm, url: &str, params: &[(String, String)], secret: &Secret) -> Vec<u8> {
    match algorithm {
        Algorithm::HmacSha1 => authenticate::<Hmac<Sha1>>(url, params, secret),
        Algorithm::HmacSha256 => authenticate::<Hmac<Sha256>>(url, params, secret),
    }
}

fn authenticate<M: Mac + KeyInit>(url: &str, params: &[(String, String)], secret: &Secret) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(secret.expose_secret().as_bytes())
        .expect("HMAC takes a key of any length");
    mac.update(url.as_bytes());
    // Byte order of UTF-8 equals code point order, and a set keeps each pair once.
    let pairs: BTreeSet<(&str, &str)> =
        params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    for (name, value) in pairs {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    mac.finalize().into_bytes().to_vec()
}

fn body_hash_agrees(url: &str, body: &[u8]) -> Result<(), BadSignature> {
    let query = without_fragment(url).split_once('?').map_or("", |(_, query)| query);
    let signed =
        query.split('&').find_map(|pair| pair.strip_prefix("bodySHA256=")).ok_or(BadSignature::NoBodyHash)?;
    let actual = hex::encode(Sha256::digest(body));
    if bool::from(actual.as_bytes().ct_eq(signed.as_bytes())) { Ok(()) } else { Err(BadSignature::BodyHash) }
}

/// Twilio keeps per-webhook connection overrides in the fragment and does not sign them.
fn without_fragment(url: &str) -> &str {
    url.split_once('#').map_or(url, |(before, _)| before)
}

/// A URL cut around its port.
struct Pieces<'a> {
    /// Scheme and `://`.
    scheme: &'a str,
    /// User, password and `@`, or nothing.
    user: &'a str,
    host: &'a str,
    /// With its colon, or nothing.
    port: &'a str,
    /// Path and query.
    rest: &'a str,
}

fn pieces(url: &str) -> Option<Pieces<'_>> {
    let (scheme, after) = url.split_at(url.find("://")? + 3);
    let (authority, rest) = after.split_at(after.find(['/', '?']).unwrap_or(after.len()));
    let (user, host_port) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
    // The colons inside an IPv6 address are not a port's.
    let bracket = host_port.rfind(']').unwrap_or(0);
    let colon = host_port[bracket..].find(':').map_or(host_port.len(), |at| bracket + at);
    let (host, port) = host_port.split_at(colon);
    Some(Pieces { scheme, user, host, port, rest })
}

/// The URL without its port, and with one.
fn port_forms(url: &str) -> Vec<String> {
    let Some(Pieces { scheme, user, host, port, rest }) = pieces(url) else {
        return vec![url.to_owned()];
    };
    let port = match (port, scheme) {
        ("", "https://") => ":443",
        ("", "http://") => ":80",
        (port, _) => port,
    };
    vec![format!("{scheme}{user}{host}{rest}"), format!("{scheme}{user}{host}{port}{rest}")]
}

/// The query of a GET webhook holds a phone number and a message, so it is cut off.
fn printable(url: &str) -> String {
    let url = without_fragment(url);
    match pieces(url) {
        Some(Pieces { scheme, host, port, rest, .. }) => {
            let (path, query) = rest.split_once('?').map_or((rest, ""), |(path, _)| (path, "?…"));
            format!("{scheme}{host}{port}{path}{query}")
        }
        None => url.split_once('?').map_or(url, |(before, _)| before).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://hooks.example.edu/twilio/sms?study=42";

    fn token(text: &str) -> Secret {
        Secret::from(text.to_owned())
    }

    fn verifier(tokens: &[&str]) -> Verifier {
        let keys = BTreeMap::from([("webhooks_sharedkey_1".to_owned(), token("shared"))]);
        Verifier::new(tokens.iter().map(|text| token(text)).collect(), keys)
    }

    fn form(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn signed<'a>(signature: &'a str, params: &'a [(String, String)]) -> Signed<'a> {
        Signed { signature: Some(signature), settings: None, payload: Payload::Form(params) }
    }

    #[test]
    fn the_operator_sees_which_url_was_used() {
        let params = form(&[("Body", "hello")]);
        let signature = sign("http://hooks.example.edu/twilio/sms", &params, &token("t"));
        let refusal = verifier(&["t"])
            .verify(
                "https://user:pass@hooks.example.edu/twilio/sms?From=%2B16175550123#rc=2",
                signed(&signature, &params),
            )
            .unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "signature does not match, checked against `https://hooks.example.edu/twilio/sms?…`"
        );
    }

    #[test]
    fn every_configured_token_counts() {
        let params = form(&[("A", "1")]);
        let signature = sign(URL, &params, &token("new"));
        assert_eq!(verifier(&["old", "new"]).verify(URL, signed(&signature, &params)), Ok(()));
        assert!(matches!(
            verifier(&["old"]).verify(URL, signed(&signature, &params)),
            Err(BadSignature::Mismatch { .. })
        ));
    }

    #[test]
    fn ports_count_either_way() {
        let params = form(&[]);
        for (told, requested) in [
            ("https://h.example/p", "https://h.example:443/p"),
            ("https://h.example:443/p", "https://h.example/p"),
            ("http://h.example", "http://h.example:80"),
            ("https://h.example:1234/p", "https://h.example/p"),
            ("https://u:p@h.example/p?a=b:c@d", "https://u:p@h.example:443/p?a=b:c@d"),
            ("https://[::1]/p", "https://[::1]:443/p"),
            ("https://h.example/p#rc=3", "https://h.example/p"),
        ] {
            let signature = sign(requested, &params, &token("t"));
            assert_eq!(verifier(&["t"]).verify(told, signed(&signature, &params)), Ok(()), "{told}");
        }
    }

    #[test]
    fn a_changed_field_is_noticed() {
        let signature = sign(URL, &form(&[("A", "1"), ("B", "")]), &token("t"));
        for params in
            [form(&[("A", "1")]), form(&[("A", "1"), ("B", ""), ("C", "")]), form(&[("A", "2"), ("B", "")])]
        {
            assert!(verifier(&["t"]).verify(URL, signed(&signature, &params)).is_err(), "{params:?}");
        }
    }

    #[test]
    fn a_body_is_held_to_its_hash() {
        let (url, signature) = sign_json(URL, b"{}", &token("t"));
        let check = |url: &str, body: &[u8]| {
            let request = Signed { signature: Some(&signature), settings: None, payload: Payload::Raw(body) };
            verifier(&["t"]).verify(url, request)
        };
        assert_eq!(check(&url, b"{}"), Ok(()));
        assert_eq!(check(&url, b"{ }"), Err(BadSignature::BodyHash));

        let signature = sign(URL, &[], &token("t"));
        let request = Signed { signature: Some(&signature), settings: None, payload: Payload::Raw(b"{}") };
        assert_eq!(verifier(&["t"]).verify(URL, request), Err(BadSignature::NoBodyHash));
    }

    #[test]
    fn the_settings_header_is_taken_at_its_word() {
        let params = form(&[("A", "1")]);
        let signature = sign_with(Algorithm::HmacSha256, URL, &params, &token("shared"));
        let check = |settings: &str| {
            let payload = Payload::Form(&params);
            verifier(&["t"])
                .verify(URL, Signed { signature: Some(&signature), settings: Some(settings), payload })
        };
        assert_eq!(check("key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"), Ok(()));
        assert!(matches!(
            check("key=webhooks_sharedkey_1,algorithm=HMAC_SHA1"),
            Err(BadSignature::Mismatch { .. })
        ));
        assert_eq!(
            check("key=webhooks_sharedkey_2,algorithm=HMAC_SHA256"),
            Err(BadSignature::UnknownKey { key: "webhooks_sharedkey_2".to_owned() })
        );
        assert_eq!(
            check("key=webhooks_sharedkey_1,algorithm=none"),
            Err(BadSignature::UnknownAlgorithm { algorithm: "none".to_owned() })
        );
        assert_eq!(check("key=webhooks_sharedkey_1"), Err(BadSignature::Settings("algorithm")));
        assert_eq!(check("algorithm=HMAC_SHA256"), Err(BadSignature::Settings("key")));
        assert_eq!(check(""), Err(BadSignature::Settings("algorithm")));
    }

    #[test]
    fn nothing_passes_by_default() {
        let params = form(&[]);
        let unsigned = Signed { signature: None, settings: None, payload: Payload::Form(&params) };
        assert_eq!(verifier(&["t"]).verify(URL, unsigned), Err(BadSignature::Missing));
        assert_eq!(verifier(&["t"]).verify(URL, signed("", &params)), Err(BadSignature::Missing));
        assert_eq!(verifier(&["t"]).verify(URL, signed("%%%", &params)), Err(BadSignature::NotBase64));
        let empty = sign(URL, &params, &token(""));
        assert_eq!(verifier(&[""]).verify(URL, signed(&empty, &params)), Err(BadSignature::NoAuthToken));
        // A MAC cut short is no MAC.
        assert!(verifier(&["t"]).verify(URL, signed("AAAA", &params)).is_err());
    }

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Vector {
        name: String,
        secret: String,
        algorithm: String,
        url: String,
        #[serde(default)]
        form: Vec<(String, String)>,
        body: Option<String>,
        signature: String,
    }

    impl Vector {
        fn check(&self) {
            let secret = token(&self.secret);
            let payload = match &self.body {
                Some(body) => Payload::Raw(body.as_bytes()),
                None => Payload::Form(&self.form),
            };
            let (algorithm, settings) = match self.algorithm.as_str() {
                "HMAC_SHA1" => (Algorithm::HmacSha1, None),
                "HMAC_SHA256" => (Algorithm::HmacSha256, Some("key=k,algorithm=HMAC_SHA256")),
                other => panic!("{other}"),
            };
            assert_eq!(sign_with(algorithm, &self.url, &self.form, &secret), self.signature, "{}", self.name);
            let verifier = Verifier::new(vec![secret.clone()], BTreeMap::from([("k".to_owned(), secret)]));
            let request = Signed { signature: Some(&self.signature), settings, payload };
            assert_eq!(verifier.verify(&self.url, request), Ok(()), "{}", self.name);
            let elsewhere = verifier.verify("https://elsewhere.example.edu/", request);
            assert!(matches!(elsewhere, Err(BadSignature::Mismatch { .. })), "{}", self.name);
        }
    }

    /// The vectors were computed with Python's `hmac`, not with this module.
    #[test]
    fn our_vectors() {
        let vectors: Vec<Vector> =
            serde_json::from_str(include_str!("../tests/data/signature-vectors.json")).unwrap();
        assert_eq!(vectors.len(), 11);
        for vector in &vectors {
            vector.check();
        }
    }

    #[test]
    fn vectors_of_the_corpus() {
        let Some(text) = crate::corpus::read("twilio/signature-vectors.json") else { return };
        let vectors: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        assert!(!vectors.is_empty());
        for vector in vectors {
            let text = |name: &str| vector[name].as_str().unwrap().to_owned();
            let mut form: Vec<(String, String)> = match &vector["params"] {
                serde_json::Value::Object(fields) => fields
                    .iter()
                    .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
                    .collect(),
                pairs => serde_json::from_value(pairs.clone()).unwrap(),
            };
            let body = form.iter().position(|(name, _)| name == "<raw body>").map(|at| form.remove(at).1);
            Vector {
                name: text("name"),
                secret: text("auth_token"),
                algorithm: text("algorithm"),
                url: text("url"),
                form,
                body,
                signature: text("signature"),
            }
            .check();
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        assert!(!format!("{:?}", verifier(&["hunter2"])).contains("hunter2"));
    }
}
