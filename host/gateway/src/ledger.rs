//! The ledger: what happened, in order, in a chain that shows every later change.
//!
//! A row's hash covers the hash before it, its number, instant, kind, subject and public part, and its
//! commitment to the private part (numbers, bodies, decision records). The private part can be destroyed at
//! the end of its retention without breaking the chain.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// A SHA-256.
pub type Hash = [u8; 32];

/// The hash before the first row.
pub const GENESIS: Hash = [0; 32];

/// A row, as it is chained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Counted from 1, without a gap.
    pub seq: u64,
    /// When, in seconds.
    pub at: u32,
    /// What kind of thing happened: "decision", "accepted", "opt-out" …
    pub kind: String,
    /// What it is about: a message, an inbound message, a write-back.
    pub subject: String,
    /// JSON that names no number and quotes no body.
    pub public: String,
    /// The commitment to the private part.
    pub commitment: Option<Vec<u8>>,
    /// The hash.
    pub hash: Vec<u8>,
}

impl Row {
    /// The hash that this row should have after another.
    pub fn chained(&self, before: &[u8]) -> Hash {
        let mut sha = Sha256::new();
        sha.update(before);
        sha.update(self.seq.to_be_bytes());
        sha.update(self.at.to_be_bytes());
        // Each part is preceded by its length, so that moving a byte from one to the next is seen.
        let none: &[u8] = &[];
        let commitment = self.commitment.as_deref().unwrap_or(none);
        for part in [self.kind.as_bytes(), self.subject.as_bytes(), self.public.as_bytes(), commitment] {
            sha.update((part.len() as u64).to_be_bytes());
            sha.update(part);
        }
        sha.finalize().into()
    }
}

/// The commitment to a private part under a key of its own.
pub fn commitment(key: &[u8; 32], private: &[u8]) -> Vec<u8> {
    // HMAC takes keys of any length, so this cannot fail; an empty commitment would never verify.
    Hmac::<Sha256>::new_from_slice(key)
        .map_or_else(|_| Vec::new(), |mac| mac.chain_update(private).finalize().into_bytes().to_vec())
}

/// The end of the chain, to be kept elsewhere: a cut tail cannot be seen from within.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the last row, 0 for an empty ledger.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

impl Default for Head {
    fn default() -> Self {
        Head { seq: 0, hash: GENESIS }
    }
}

impl std::fmt::Display for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.seq, hex::encode(self.hash))
    }
}

impl std::str::FromStr for Head {
    type Err = NotAHead;

    fn from_str(text: &str) -> Result<Head, NotAHead> {
        let (seq, hash) = text.trim().split_once(':').ok_or(NotAHead)?;
        let mut bytes = GENESIS;
        hex::decode_to_slice(hash, &mut bytes).map_err(|_| NotAHead)?;
        Ok(Head { seq: seq.parse().map_err(|_| NotAHead)?, hash: bytes })
    }
}

/// What was given is not a head.
#[derive(Debug, thiserror::Error)]
#[error("a ledger head is a row number, a colon and 64 hexadecimal digits, as `ledger verify` prints it")]
pub struct NotAHead;

/// What is wrong with a ledger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Tampered {
    /// A row is missing, or stands twice.
    #[error("row {found} stands where row {expected} belongs: a row is missing, or was put in")]
    Sequence {
        /// The number that belongs there.
        expected: u64,
        /// The number that stands there.
        found: u64,
    },
    /// A row was changed after it was written.
    #[error("row {seq} was changed after it was written: its hash does not follow from its contents")]
    Changed {
        /// The row.
        seq: u64,
    },
    /// A private part was changed after it was written.
    #[error("the private part of row {seq} was changed after it was written")]
    Private {
        /// The row.
        seq: u64,
    },
    /// The ledger is not the one that the head was exported from, or its end was cut off.
    #[error("the ledger does not hold the exported head {0}: its end was cut off, or it is another ledger")]
    Head(String),
}

/// Verifies rows as they are read, in order.
#[derive(Debug, Default)]
pub struct Verifier {
    head: Head,
    expected: Option<Head>,
    seen: bool,
}

impl Verifier {
    /// A verifier that also wants to see an exported head.
    pub fn expecting(head: Option<Head>) -> Verifier {
        let seen = head.as_ref().is_some_and(|head| head.seq == 0);
        Verifier { head: Head::default(), expected: head, seen }
    }

    /// Takes the next row, and its private part while that is kept: 32 bytes of key, and what was committed to.
    pub fn row(&mut self, row: &Row, private: Option<&[u8]>) -> Result<(), Tampered> {
        let expected = self.head.seq + 1;
        if row.seq != expected {
            return Err(Tampered::Sequence { expected, found: row.seq });
        }
        let hash = row.chained(&self.head.hash);
        if row.hash != hash {
            return Err(Tampered::Changed { seq: row.seq });
        }
        if let Some(private) = private {
            let committed = private.split_first_chunk().map(|(key, private)| commitment(key, private));
            if committed.is_none() || committed != row.commitment {
                return Err(Tampered::Private { seq: row.seq });
            }
        }
        self.head = Head { seq: row.seq, hash };
        if self.expected.as_ref() == Some(&self.head) {
            self.seen = true;
        }
        Ok(())
    }

    /// The head, when every row was taken.
    pub fn end(self) -> Result<Head, Tampered> {
        match self.expected {
            Some(expected) if !self.seen => Err(Tampered::Head(expected.to_string())),
            _ => Ok(self.head),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Kept = (Row, Option<Vec<u8>>);

    fn rows(count: u64) -> Vec<Kept> {
        let mut before = GENESIS;
        (1..=count)
            .map(|seq| {
                let key = [u8::try_from(seq % 251).unwrap(); 32];
                let private = format!("private {seq}").into_bytes();
                let mut row = Row {
                    seq,
                    at: 1_000 + u32::try_from(seq).unwrap(),
                    kind: "decision".into(),
                    subject: format!("m{seq}"),
                    public: format!("{{\"n\":{seq}}}"),
                    commitment: Some(commitment(&key, &private)),
                    hash: vec![],
                };
                before = row.chained(&before);
                row.hash = before.to_vec();
                (row, Some([&key[..], &private].concat()))
            })
            .collect()
    }

    fn verify(rows: &[Kept], head: Option<Head>) -> Result<Head, Tampered> {
        let mut verifier = Verifier::expecting(head);
        rows.iter().try_for_each(|(row, private)| verifier.row(row, private.as_deref()))?;
        verifier.end()
    }

    #[test]
    fn an_untouched_ledger_verifies_also_when_private_parts_are_gone() {
        let mut rows = rows(20);
        let head = verify(&rows, None).unwrap();
        for (_, private) in &mut rows {
            *private = None;
        }
        assert_eq!(verify(&rows, Some(head.clone())).unwrap(), head);
        assert_eq!(head.to_string().parse::<Head>().unwrap(), head);
    }

    #[test]
    fn every_single_change_is_seen() {
        let good = rows(20);
        let head = verify(&good, None).unwrap();
        for n in 0..good.len() {
            let changes: [fn(&mut Kept); 8] = [
                |(row, _)| row.at += 1,
                |(row, _)| row.kind.push('x'),
                |(row, _)| row.subject = row.subject.replace('m', "n"),
                |(row, _)| row.public = row.public.replace('n', "m"),
                |(_, private)| private.as_mut().unwrap()[40] ^= 1,
                |(row, _)| row.commitment.as_mut().unwrap()[0] ^= 1,
                |(row, _)| row.hash[31] ^= 1,
                |(_, private)| private.as_mut().unwrap()[0] ^= 1,
            ];
            for change in changes {
                let mut rows = good.clone();
                change(&mut rows[n]);
                assert!(verify(&rows, Some(head.clone())).is_err(), "row {n}");
            }
            let mut removed = good.clone();
            removed.remove(n);
            assert!(verify(&removed, Some(head.clone())).is_err(), "row {n} removed");
            if n > 0 {
                let mut swapped = good.clone();
                swapped.swap(n, n - 1);
                assert!(verify(&swapped, Some(head.clone())).is_err(), "row {n} moved");
            }
        }
        assert!(matches!(verify(&good[..19], Some(head)), Err(Tampered::Head(_))));
    }
}
