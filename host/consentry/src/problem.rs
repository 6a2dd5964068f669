//! A problem in something that people write, drawn with the line it is on and what to write instead.

use std::ops::Range;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

/// One problem, with the text it is in.
#[derive(Clone, Debug)]
pub struct Problem {
    at: Range<usize>,
    sentence: String,
    help: Option<String>,
    source: NamedSource<String>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn std::fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(std::iter::once(LabeledSpan::underline(self.at.clone()))))
    }
}

impl Problem {
    /// A problem at a place, in bytes, of a text that has a name.
    pub fn new(
        name: &str,
        text: &str,
        at: Range<usize>,
        sentence: impl Into<String>,
        help: Option<String>,
    ) -> Self {
        let source = NamedSource::new(name, text.to_owned());
        Self { at, sentence: sentence.into(), help, source }
    }

    /// The same, with the language its text is shown in.
    #[must_use]
    pub(crate) fn in_language(mut self, language: &str) -> Self {
        self.source = self.source.with_language(language);
        self
    }

    pub(crate) fn start(&self) -> usize {
        self.at.start
    }

    /// The line, counted from 1.
    pub fn line(&self) -> usize {
        self.source.inner().as_bytes().iter().take(self.at.start).filter(|byte| **byte == b'\n').count() + 1
    }
}
