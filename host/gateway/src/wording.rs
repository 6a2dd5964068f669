//! Wordings: templates that an IRB approves, and what of them may be filled.

use policy::contract::reviewer::Approval;
use policy::contract::types::{DeliveryMethod, Purpose};
use policy::contract::wordings::{self, ApprovalState, Part};
use sha2::{Digest, Sha256};

/// One wording, in one language.
#[derive(Clone, Debug)]
pub struct Wording {
    /// Its id; the same wording in another language has the same id.
    pub id: String,
    /// A BCP 47 tag.
    pub language: String,
    /// What it is for.
    pub part: Part,
    /// The purposes that it serves; empty means every purpose.
    pub purposes: Vec<Purpose>,
    /// The methods that it serves; empty means every method.
    pub methods: Vec<DeliveryMethod>,
    /// The template, with REDCap's piping.
    pub text: String,
    /// Its approval, if there is one. It counts only for the template whose digest it names.
    pub approval: Option<WordingApproval>,
}

/// An IRB's approval of a wording, as recorded here.
#[derive(Clone, Debug)]
pub struct WordingApproval {
    /// The digest of the template that was approved.
    pub digest: String,
    /// Who recorded it.
    pub by: String,
    /// The IRB's number.
    pub protocol: Option<String>,
    /// When it was approved, in seconds.
    pub approved: u32,
    /// When the approval ends, in seconds.
    pub expires: Option<u32>,
    /// The identifier fields that the approval names: only these may be filled in.
    pub identifiers: Vec<String>,
}

impl Wording {
    /// The digest of the template: its language and every byte of its text.
    pub fn digest(&self) -> String {
        digest(&self.language, &self.text)
    }

    /// Where it stands at an instant.
    pub fn approval_state(&self, now: u32) -> ApprovalState {
        match &self.approval {
            None => ApprovalState::Absent,
            Some(approval) if approval.digest != self.digest() => ApprovalState::Absent,
            Some(approval) if approval.expires.is_some_and(|end| end <= now) => ApprovalState::Expired,
            // An approval that begins later has been asked for, but is not in force.
            Some(approval) if approval.approved > now => ApprovalState::Submitted,
            Some(_) => ApprovalState::Approved,
        }
    }

    /// As a template policy sees it.
    pub fn for_policy(&self, now: u32) -> wordings::Wording {
        wordings::Wording {
            id: self.id.clone(),
            language: self.language.clone(),
            part: self.part,
            purposes: self.purposes.clone(),
            methods: self.methods.clone(),
            text: self.text.clone(),
            approval: self.approval_state(now),
        }
    }

    /// The approval in force at an instant, as a compliance policy sees it.
    pub fn approval_at(&self, now: u32) -> Option<Approval> {
        let approval = self.approval.as_ref()?;
        (self.approval_state(now) == ApprovalState::Approved).then(|| Approval {
            wording: self.id.clone(),
            digest: approval.digest.clone(),
            protocol: approval.protocol.clone(),
            approved: approval.approved,
            expires: approval.expires,
        })
    }
}

/// The digest of a template, as "sha256:" and 64 hexadecimal digits.
pub fn digest(language: &str, text: &str) -> String {
    let mut sha = Sha256::new();
    sha.update(language.as_bytes());
    sha.update([0]);
    sha.update(text.as_bytes());
    format!("sha256:{}", hex::encode(sha.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ApprovalState::{Approved, Expired, Submitted};

    fn wording() -> Wording {
        let text = "Your diary: [survey-link]";
        Wording {
            id: "diary".into(),
            language: "en".into(),
            part: Part::Whole,
            purposes: vec![],
            methods: vec![],
            text: text.into(),
            approval: Some(WordingApproval {
                digest: digest("en", text),
                by: "N. Reviewer".into(),
                protocol: None,
                approved: 100,
                expires: Some(200),
                identifiers: vec![],
            }),
        }
    }

    #[test]
    fn an_approval_is_in_force_from_its_date_until_the_day_it_ends() {
        let wording = wording();
        let states = [99, 100, 199, 200].map(|now| wording.approval_state(now));
        let names = states.map(|state| format!("{state:?}"));
        assert_eq!(names, [Submitted, Approved, Approved, Expired].map(|state| format!("{state:?}")));
    }

    #[test]
    fn one_changed_byte_is_another_wording() {
        let mut changed = wording();
        changed.text.push('.');
        assert_eq!(changed.approval_state(150), ApprovalState::Absent);
        let mut other = wording();
        other.language = "es".into();
        assert_eq!(other.approval_state(150), ApprovalState::Absent);
    }
}
