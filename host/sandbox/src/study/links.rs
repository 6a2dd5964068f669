//! Survey links: one per record, survey, event and instance, and the same each time it is asked for.

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest, Sha256};

/// A form of a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Target {
    pub(super) record: String,
    pub(super) instrument: String,
    pub(super) event: String,
    pub(super) instance: u32,
}

/// What a survey's link is made of, and what stands for it.
pub(super) struct Links {
    /// Goes into every code, so that nobody can tell a link from a record's id.
    secret: String,
    /// Where each leads; none for those of a deleted record.
    targets: BTreeMap<String, Option<Target>>,
    hashes: HashMap<Target, String>,
}

impl Links {
    pub(super) fn new(secret: &str) -> Self {
        Self { secret: secret.to_owned(), targets: BTreeMap::new(), hashes: HashMap::new() }
    }

    /// The link's hash, which from now on leads to the form.
    pub(super) fn hash(&mut self, target: &Target) -> String {
        if let Some(hash) = self.hashes.get(target) {
            return hash.clone();
        }
        let Target { record, instrument, event, instance } = target;
        // A record that got the id of a deleted or renamed one has links of its own.
        let mut attempt = 0_u32;
        let hash = loop {
            let about = format!("{record}\0{instrument}\0{event}\0{instance}\0{attempt}");
            let hash = self.code("link", &about, 16);
            if !self.targets.contains_key(&hash) {
                break hash;
            }
            attempt += 1;
        };
        self.targets.insert(hash.clone(), Some(target.clone()));
        self.hashes.insert(target.clone(), hash.clone());
        hash
    }

    /// The short code that is typed in place of a link.
    pub(super) fn access_code(&mut self, target: &Target) -> String {
        let hash = self.hash(target);
        self.code("access code", &hash, 9)
    }

    /// The code that opens a response again.
    pub(super) fn return_code(&mut self, target: &Target) -> String {
        let hash = self.hash(target);
        self.code("return code", &hash, 8)
    }

    /// The hash of the link to a record's queue.
    pub(super) fn queue_hash(&self, record: &str) -> String {
        self.code("queue", record, 16)
    }

    pub(super) fn target(&self, hash: &str) -> Option<&Target> {
        self.targets.get(hash)?.as_ref()
    }

    /// Lets the links of a record lead on to the record under its new id, or nowhere.
    pub(super) fn follow(&mut self, record: &str, renamed: Option<&str>) {
        for (hash, leads) in &mut self.targets {
            let Some(target) = leads.take_if(|target| target.record == record) else { continue };
            self.hashes.remove(&target);
            if let Some(new) = renamed {
                let target = Target { record: new.to_owned(), ..target };
                self.hashes.insert(target.clone(), hash.clone());
                *leads = Some(target);
            }
        }
    }

    fn code(&self, purpose: &str, about: &str, length: usize) -> String {
        const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
        let digest = Sha256::digest(format!("{purpose}\0{}\0{about}", self.secret).as_bytes());
        digest.iter().take(length).map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
    }
}
