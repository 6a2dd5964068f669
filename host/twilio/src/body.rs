//! The text of a message.

use std::fmt;

use sha2::{Digest, Sha256};

/// The text of a message, which may hold a participant's survey link or answer.
///
/// It has no `Display`, and its `Debug` shows only the length in characters.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct MessageBody(String);

impl MessageBody {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the wire and the store only.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// True when there is no text, as in a message that was redacted at Twilio.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// SHA-256 of the UTF-8 bytes in lowercase hex: recognises a body without keeping it.
    pub fn sha256_hex(&self) -> String {
        hex::encode(Sha256::digest(self.0.as_bytes()))
    }
}

impl fmt::Debug for MessageBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageBody({} characters)", self.0.chars().count())
    }
}

impl From<String> for MessageBody {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for MessageBody {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_the_length_only() {
        assert_eq!(format!("{:?}", MessageBody::from("Sí, tengo")), "MessageBody(9 characters)");
    }

    #[test]
    fn hash_is_that_of_the_bytes() {
        // The digest of the empty input is a published test value of SHA-256.
        assert_eq!(
            MessageBody::default().sha256_hex(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
