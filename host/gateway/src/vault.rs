//! What is sealed at rest: numbers, bodies, the private parts of the ledger.
//!
//! Three layers of keys. The *institution's key* is in a file of its own, which is never beside the database
//! in a backup. It wraps the database's *data keys*, which seal values; a new one is added from time to time
//! and the older ones still open what they sealed. Beside them is one *lookup key*, under which numbers become
//! what they are matched by; it never changes, so that an opt-out is found again after any rotation and after
//! the number itself was destroyed.
//!
//! A sealed value says which data key opens it, and is bound to the column it was sealed for, so that nobody
//! who can write to the database can move one person's number into another one's place unseen.

use std::collections::BTreeMap;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretBox};
use sha2::Sha256;

/// The first byte of everything that is sealed: how it was.
const FORMAT: u8 = 1;

/// The format, and the data key that sealed.
const HEADER: usize = 5;

const NONCE: usize = 24;

/// The id that the lookup key has among the wrapped ones; data keys count from 1.
const LOOKUP: u32 = 0;

type Secret = SecretBox<[u8; 32]>;

/// The institution's keys, oldest first. The newest wraps; all of them unwrap.
pub struct Keys(Vec<(String, Secret)>);

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(id, _)| id)).finish()
    }
}

/// What is wrong with a key file. No line of it is quoted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A line is not a key.
    #[error("line {line} of the key file is not a key")]
    Line {
        /// Which, counted from 1.
        line: usize,
    },
    /// Two keys have one name.
    #[error("line {line} of the key file names a key `{id}`, as a line before it does")]
    Twice {
        /// Which, counted from 1.
        line: usize,
        /// The name.
        id: String,
    },
    /// There is no key.
    #[error("the key file holds no key")]
    Empty,
    /// Randomness is missing.
    #[error("ask the system for randomness")]
    Random,
}

impl KeyError {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            KeyError::Line { .. } => {
                "write `key`, a name of letters and digits, and 64 hexadecimal digits, or begin a comment with `#`"
            }
            KeyError::Twice { .. } => {
                "give each key a name of its own; values were wrapped under the name, so do not rename one in use"
            }
            KeyError::Empty => {
                "restore the file that belongs to this database; a new key opens nothing of it"
            }
            KeyError::Random => {
                "the system's random generator does not answer; nothing can be sealed until it does"
            }
        }
    }
}

impl Keys {
    /// Reads the text of a key file.
    pub fn read(text: &str) -> Result<Keys, KeyError> {
        let mut keys: Vec<(String, Secret)> = Vec::new();
        for (line, written) in text.lines().enumerate().map(|(line, written)| (line + 1, written.trim())) {
            if written.is_empty() || written.starts_with('#') {
                continue;
            }
            let (id, secret) = key(written).ok_or(KeyError::Line { line })?;
            if keys.iter().any(|(known, _)| *known == id) {
                return Err(KeyError::Twice { line, id });
            }
            keys.push((id, secret));
        }
        if keys.is_empty() { Err(KeyError::Empty) } else { Ok(Keys(keys)) }
    }

    /// The text of a new key file, with one key. It is secret.
    pub fn generate() -> Result<String, KeyError> {
        let head = "# The keys of Consentry's database. Whoever has them and the database can read it; without \
                    them\n# nobody can. Keep this file apart from the backups of the database. The last key is \
                    the newest.\n";
        Ok(format!("{head}{}", new_key()?))
    }

    /// The text of a key file with a new newest key. The older ones must stay until everything that they wrap
    /// was wrapped again. It is secret.
    pub fn add(text: &str) -> Result<String, KeyError> {
        Keys::read(text)?;
        let end = if text.ends_with('\n') { "" } else { "\n" };
        Ok(format!("{text}{end}{}", new_key()?))
    }

    /// The name of the newest key.
    pub fn newest(&self) -> &str {
        // There is one: `read` refuses a file without.
        self.0.last().map_or("", |(id, _)| id)
    }

    fn find(&self, id: &str) -> Option<&Secret> {
        self.0.iter().find(|(known, _)| known == id).map(|(_, secret)| secret)
    }
}

fn key(line: &str) -> Option<(String, Secret)> {
    let mut words = line.split_whitespace();
    let ("key", id, digits, None) = (words.next()?, words.next()?, words.next()?, words.next()) else {
        return None;
    };
    let is_name = id.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter));
    let mut secret = Zeroizing::new([0; 32]);
    hex::decode_to_slice(digits, &mut *secret).ok()?;
    is_name.then(|| (id.into(), Secret::new(Box::new(*secret))))
}

/// A line of the key file. The name is random, so that two files never mean different keys by one name.
fn new_key() -> Result<String, KeyError> {
    let name: [u8; 4] = *random().ok_or(KeyError::Random)?;
    let secret: Zeroizing<[u8; 32]> = random().ok_or(KeyError::Random)?;
    let digits = Zeroizing::new(hex::encode(*secret));
    Ok(format!("key {} {}\n", hex::encode(name), *digits))
}

/// Why a value was not sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Randomness is missing.
    #[error("ask the system for randomness")]
    Random,
    /// The institution's key that wraps the data keys is not in the key file.
    #[error("the key `{id}`, which this database is sealed under, is not in the key file")]
    Missing {
        /// Its name.
        id: String,
    },
    /// A wrapped key does not open: it was changed, or the key file has another key by this name.
    #[error("the data key {key} does not open under the key `{id}` of the key file")]
    Wrapped {
        /// Which data key; 0 is the one that numbers are matched under.
        key: u32,
        /// The institution's key.
        id: String,
    },
    /// The database has no data key, or none to match numbers under.
    #[error("the database lacks a data key")]
    NoKey,
    /// A value was sealed under a data key that is not there. Another daemon may just have added it.
    #[error("the data key {key} is not in the database")]
    Unknown {
        /// Which.
        key: u32,
    },
    /// A value is not one that was sealed here.
    #[error("a sealed value has a form that this version does not know")]
    Form,
    /// A value was changed, or moved from where it was sealed for.
    #[error("a sealed value was changed or moved")]
    Changed,
}

/// A key of the database under one of the institution.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// Its number; 0 is the one that numbers are matched under.
    pub id: u32,
    /// The institution's key.
    pub under: String,
    /// The key, sealed.
    pub wrapped: Vec<u8>,
}

impl std::fmt::Debug for WrappedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WrappedKey").field("id", &self.id).field("under", &self.under).finish_non_exhaustive()
    }
}

/// The keys of a database, opened.
pub struct Vault {
    sealing: BTreeMap<u32, Secret>,
    lookup: Secret,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").finish_non_exhaustive()
    }
}

impl Vault {
    /// Keys for a new database.
    pub fn new() -> Result<Vault, SealError> {
        Ok(Vault { sealing: BTreeMap::from([(1, new_secret()?)]), lookup: new_secret()? })
    }

    /// Opens the keys of a database.
    pub fn open(keys: &Keys, wrapped: &[WrappedKey]) -> Result<Vault, SealError> {
        let mut opened = BTreeMap::new();
        for key in wrapped {
            let under = keys.find(&key.under).ok_or_else(|| SealError::Missing { id: key.under.clone() })?;
            let secret = decrypt(under, &about(key.id, &key.under), &key.wrapped)
                .and_then(|plain| <[u8; 32]>::try_from(plain.as_slice()).ok().map(Zeroizing::new))
                .ok_or_else(|| SealError::Wrapped { key: key.id, id: key.under.clone() })?;
            opened.insert(key.id, Secret::new(Box::new(*secret)));
        }
        let lookup = opened.remove(&LOOKUP).ok_or(SealError::NoKey)?;
        if opened.is_empty() { Err(SealError::NoKey) } else { Ok(Vault { sealing: opened, lookup }) }
    }

    /// The keys, each under the institution's newest one: what the database keeps. To wrap them again after a
    /// new institution's key was added, open them and call this.
    pub fn wrapped(&self, keys: &Keys) -> Result<Vec<WrappedKey>, SealError> {
        let under = keys.newest();
        let with = keys.find(under).ok_or(SealError::NoKey)?;
        std::iter::once((&LOOKUP, &self.lookup))
            .chain(&self.sealing)
            .map(|(&id, secret)| {
                let wrapped = encrypt(with, &about(id, under), secret.expose_secret(), Vec::new())?;
                Ok(WrappedKey { id, under: under.into(), wrapped })
            })
            .collect()
    }

    /// Adds a data key, which seals from now on, and gives its number.
    pub fn add_data_key(&mut self) -> Result<u32, SealError> {
        let id = self.newest() + 1;
        self.sealing.insert(id, new_secret()?);
        Ok(id)
    }

    /// The data key that seals.
    pub fn newest(&self) -> u32 {
        // There is one: `new` makes it and `open` refuses to go without.
        self.sealing.last_key_value().map_or(LOOKUP, |(&id, _)| id)
    }

    /// Seals a value for a place, such as `message.draft`. Each time it is another text.
    pub fn seal(&self, place: &'static str, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let (id, secret) = self.sealing.last_key_value().ok_or(SealError::NoKey)?;
        let mut sealed = Vec::with_capacity(HEADER + NONCE + plain.len() + 16);
        sealed.push(FORMAT);
        sealed.extend(id.to_be_bytes());
        let about = [&sealed, place.as_bytes()].concat();
        encrypt(secret, &about, plain, sealed)
    }

    /// Opens a value that was sealed for this place.
    pub fn unseal(&self, place: &'static str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let key = key_of(sealed).ok_or(SealError::Form)?;
        let secret = self.sealing.get(&key).ok_or(SealError::Unknown { key })?;
        let (header, rest) = sealed.split_at(HEADER);
        decrypt(secret, &[header, place.as_bytes()].concat(), rest)
            .map(|mut plain| std::mem::take(&mut *plain))
            .ok_or(SealError::Changed)
    }

    /// What a number is matched by: an HMAC, 16 bytes. It is the same for ever.
    pub fn lookup(&self, number: &str) -> Vec<u8> {
        // HMAC takes a key of a whole block, and fills a shorter one with zeros.
        let mut block = Zeroizing::new([0; 64]);
        block[..32].copy_from_slice(self.lookup.expose_secret());
        let mac = Hmac::<Sha256>::new((&*block).into()).chain_update(number);
        mac.finalize().into_bytes()[..16].to_vec()
    }
}

/// The data key that a value was sealed under, to find what an old one still seals. `None` when it is not a
/// sealed value.
pub fn key_of(sealed: &[u8]) -> Option<u32> {
    let (header, _) = sealed.split_first_chunk::<HEADER>()?;
    let [FORMAT, id @ ..] = *header else { return None };
    Some(u32::from_be_bytes(id))
}

/// What a wrapped key is bound to.
fn about(id: u32, under: &str) -> Vec<u8> {
    [b"data key", &id.to_be_bytes()[..], under.as_bytes()].concat()
}

/// Appends a nonce and the encrypted bytes. The nonces are random: at 24 bytes they do not meet.
fn encrypt(secret: &Secret, about: &[u8], plain: &[u8], mut out: Vec<u8>) -> Result<Vec<u8>, SealError> {
    let nonce: [u8; NONCE] = *random().ok_or(SealError::Random)?;
    let encrypted = XChaCha20Poly1305::new(secret.expose_secret().into())
        .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: about })
        // It fails above 256 GiB only.
        .map_err(|_| SealError::Form)?;
    out.extend(nonce);
    out.extend(encrypted);
    Ok(out)
}

fn decrypt(secret: &Secret, about: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, encrypted) = sealed.split_first_chunk::<NONCE>()?;
    XChaCha20Poly1305::new(secret.expose_secret().into())
        .decrypt(&XNonce::from(*nonce), Payload { msg: encrypted, aad: about })
        .ok()
        .map(Zeroizing::new)
}

fn new_secret() -> Result<Secret, SealError> {
    let secret: Zeroizing<[u8; 32]> = random().ok_or(SealError::Random)?;
    Ok(Secret::new(Box::new(*secret)))
}

fn random<const N: usize>() -> Option<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut *bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys() -> Keys {
        Keys::read(&Keys::generate().unwrap()).unwrap()
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_to_the_same(plain: Vec<u8>) {
            let vault = Vault::new().unwrap();
            let sealed = vault.seal("inbound.body", &plain).unwrap();
            prop_assert_eq!(vault.unseal("inbound.body", &sealed), Ok(plain));
        }

        #[test]
        fn any_flipped_bit_is_refused(plain: Vec<u8>, at: proptest::sample::Index, bit in 0..8_u8) {
            let vault = Vault::new().unwrap();
            let mut sealed = vault.seal("inbound.body", &plain).unwrap();
            let at = at.index(sealed.len());
            sealed[at] ^= 1_u8 << bit;
            prop_assert!(vault.unseal("inbound.body", &sealed).is_err());
        }

        #[test]
        fn what_was_cut_short_or_is_anything_else_is_refused(plain: Vec<u8>, at: proptest::sample::Index) {
            let vault = Vault::new().unwrap();
            prop_assert!(vault.unseal("inbound.body", &plain).is_err());
            let sealed = vault.seal("inbound.body", &plain).unwrap();
            prop_assert!(vault.unseal("inbound.body", &sealed[..at.index(sealed.len())]).is_err());
        }

        #[test]
        fn a_number_is_matched_the_same_after_every_rotation(number in "\\+1[0-9]{10}") {
            let mut vault = Vault::new().unwrap();
            let matched = vault.lookup(&number);
            prop_assert_eq!(matched.len(), 16);
            vault.add_data_key().unwrap();
            let file = Keys::generate().unwrap();
            let keys = Keys::read(&Keys::add(&file).unwrap()).unwrap();
            let again = Vault::open(&keys, &vault.wrapped(&keys).unwrap()).unwrap();
            prop_assert_eq!(again.lookup(&number), matched.clone());
            prop_assert_ne!(Vault::new().unwrap().lookup(&number), matched);
        }

        #[test]
        fn no_text_breaks_the_reader_of_keys(text: String) {
            let _ = Keys::read(&text);
        }
    }

    #[test]
    fn a_sealed_value_does_not_open_in_another_place() {
        let vault = Vault::new().unwrap();
        let sealed = vault.seal("inbound.body", b"STOP").unwrap();
        assert_eq!(vault.unseal("message.draft", &sealed), Err(SealError::Changed));
    }

    #[test]
    fn the_same_value_is_never_sealed_to_the_same_bytes() {
        let vault = Vault::new().unwrap();
        assert_ne!(vault.seal("inbound.body", b"STOP"), vault.seal("inbound.body", b"STOP"));
    }

    #[test]
    fn what_an_older_data_key_sealed_still_opens() {
        let mut vault = Vault::new().unwrap();
        let old = vault.seal("inbound.body", b"STOP").unwrap();
        assert_eq!(vault.add_data_key(), Ok(2));
        let new = vault.seal("inbound.body", b"STOP").unwrap();
        assert_eq!((key_of(&old), key_of(&new), vault.newest()), (Some(1), Some(2), 2));

        let keys = keys();
        let mut wrapped = vault.wrapped(&keys).unwrap();
        let opened = Vault::open(&keys, &wrapped).unwrap();
        assert_eq!(opened.unseal("inbound.body", &old).unwrap(), b"STOP");
        assert_eq!(opened.unseal("inbound.body", &new).unwrap(), b"STOP");

        wrapped.retain(|key| key.id != 1);
        let without = Vault::open(&keys, &wrapped).unwrap();
        assert_eq!(without.unseal("inbound.body", &old), Err(SealError::Unknown { key: 1 }));
    }

    #[test]
    fn a_new_key_of_the_institution_wraps_again_and_the_old_one_can_go() {
        let file = Keys::generate().unwrap();
        let old = Keys::read(&file).unwrap();
        let vault = Vault::new().unwrap();
        let sealed = vault.seal("inbound.body", b"STOP").unwrap();
        let under_old = vault.wrapped(&old).unwrap();

        let both = Keys::read(&Keys::add(&file).unwrap()).unwrap();
        assert_ne!(both.newest(), old.newest());
        let under_new = Vault::open(&both, &under_old).unwrap().wrapped(&both).unwrap();

        let new = Keys(both.0.into_iter().skip(1).collect());
        let opened = Vault::open(&new, &under_new).unwrap();
        assert_eq!(opened.unseal("inbound.body", &sealed).unwrap(), b"STOP");
        let missing = Vault::open(&new, &under_old).unwrap_err();
        assert_eq!(missing, SealError::Missing { id: old.newest().into() });
    }

    #[test]
    fn wrapped_keys_cannot_be_exchanged_or_be_left_out() {
        let keys = keys();
        let mut vault = Vault::new().unwrap();
        vault.add_data_key().unwrap();
        let mut wrapped = vault.wrapped(&keys).unwrap();
        let id = keys.newest().to_owned();

        let mut without = wrapped.clone();
        without.remove(0);
        assert_eq!(Vault::open(&keys, &without).unwrap_err(), SealError::NoKey);
        assert_eq!(Vault::open(&keys, &wrapped[..1]).unwrap_err(), SealError::NoKey);

        let (first, second) = (wrapped[1].wrapped.clone(), wrapped[2].wrapped.clone());
        (wrapped[1].wrapped, wrapped[2].wrapped) = (second, first);
        assert_eq!(Vault::open(&keys, &wrapped).unwrap_err(), SealError::Wrapped { key: 1, id });
    }

    #[test]
    fn what_is_wrong_with_a_key_file_is_told_by_its_line_and_quotes_nothing() {
        let secret = "ab".repeat(32);
        let good = format!("# ours\n\nkey a {secret}\n");
        let error = |text: String| Keys::read(&text).unwrap_err();
        assert_eq!(Keys::read(&good).unwrap().newest(), "a");
        assert_eq!(error(String::new()), KeyError::Empty);
        assert_eq!(error(format!("{good}key b {}", &secret[1..])), KeyError::Line { line: 4 });
        assert_eq!(error(format!("{good}key b {secret} c")), KeyError::Line { line: 4 });
        assert_eq!(error(format!("{good}{secret}")), KeyError::Line { line: 4 });
        assert_eq!(error(format!("{good}key b/c {secret}")), KeyError::Line { line: 4 });
        assert_eq!(error(format!("{good}key a {secret}")), KeyError::Twice { line: 4, id: "a".into() });
        for text in [format!("key {secret}"), format!("key b {secret}{secret}")] {
            let error = error(text);
            assert!(!format!("{error} {error:?} {}", error.help()).contains(&secret[..8]));
        }
    }

    #[test]
    fn nothing_of_a_key_prints() {
        let secret = "ab".repeat(32);
        let keys = Keys::read(&format!("key a {secret}")).unwrap();
        let vault = Vault::new().unwrap();
        let wrapped = vault.wrapped(&keys).unwrap();
        assert_eq!(format!("{keys:?} {vault:?}"), "[\"a\"] Vault { .. }");
        assert_eq!(format!("{:?}", wrapped[0]), "WrappedKey { id: 0, under: \"a\", .. }");
    }
}
