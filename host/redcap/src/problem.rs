//! What a reader of a project's files has to say about them.

use std::fmt;

/// Something in a file that was left out, mended, or is likely not what its author meant. It never
/// stops the reading.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problem {
    /// Counted from 1; 0 for the file as a whole.
    pub line: usize,
    /// A lower-case fragment.
    pub sentence: String,
    /// What to do about it, as a fragment.
    pub help: Option<String>,
    /// The line holds a participant's value and is not to be shown.
    pub withheld: bool,
}

impl Problem {
    #[must_use]
    pub fn new(line: usize, sentence: impl Into<String>) -> Self {
        Self { line, sentence: sentence.into(), help: None, withheld: false }
    }

    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same, with its line kept from sight if that holds a participant's value.
    #[must_use]
    pub fn withheld_if(mut self, withheld: bool) -> Self {
        self.withheld = withheld;
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.sentence),
            line => write!(f, "line {line}: {}", self.sentence),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_its_line_if_it_has_one() {
        assert_eq!(Problem::new(3, "`x` is odd").to_string(), "line 3: `x` is odd");
        assert_eq!(Problem::new(0, "the file is odd").with_help("mend it").to_string(), "the file is odd");
    }
}
