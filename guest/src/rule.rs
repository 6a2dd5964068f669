//! A rule as it stands in a policy's source, and the findings that cite it.

use crate::{Finding, bindings::consentry::policy::declarations};

/// A rule that a policy may cite, as a constant of the file that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Its id, in kebab case.
    pub id: &'static str,
    /// The rule, as a sentence that an IRB can read.
    pub sentence: &'static str,
    /// The law, guidance or house rule behind it.
    pub citation: Option<&'static str>,
}

impl Rule {
    /// A finding that cites this rule, for the fact that decided it.
    pub fn finding(&self, sentence: impl Into<String>, fact: &str) -> Finding {
        Finding {
            rule: self.id.into(),
            sentence: sentence.into(),
            citation: self.citation.map(Into::into),
            fact: Some(fact.into()),
        }
    }

    /// The rule as the contract declares it.
    pub fn declared(&self) -> declarations::Rule {
        declarations::Rule {
            id: self.id.into(),
            sentence: self.sentence.into(),
            citation: self.citation.map(Into::into),
        }
    }
}
