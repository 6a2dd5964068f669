//! Survey links: one per record, survey, event and instance, and the same each time it is asked for.

use sha2::{Digest, Sha256};

use super::Study;

/// A form of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) record: String,
    pub(super) instrument: String,
    pub(super) event: String,
    pub(super) instance: u32,
}

impl Study {
    /// The link's hash, which from now on leads to the form.
    pub(super) fn link_hash(&mut self, target: Target) -> String {
        let hash = self.code("link", &target, 16);
        self.links.insert(hash.clone(), target);
        hash
    }

    /// The short code that is typed in place of a link.
    pub(super) fn access_code(&self, target: &Target) -> String {
        self.code("access code", target, 9)
    }

    pub(super) fn target(&self, hash: &str) -> Option<Target> {
        self.links.get(hash).cloned()
    }

    /// The token goes in, so that nobody can tell a link from a record's id.
    fn code(&self, purpose: &str, target: &Target, length: usize) -> String {
        const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
        let Target { record, instrument, event, instance } = target;
        let seed = format!("{purpose}\0{}\0{record}\0{instrument}\0{event}\0{instance}", self.token);
        let digest = Sha256::digest(seed.as_bytes());
        digest.iter().take(length).map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
    }
}
