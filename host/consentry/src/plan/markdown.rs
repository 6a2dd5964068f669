//! The plan as Markdown, which goes into a protocol. Nothing that a study team wrote is taken for Markdown's own.

use std::fmt::Write;

use askama::Template;
use miette::IntoDiagnostic;

use super::{OptOut, Plan, Text};

#[derive(Template)]
#[template(path = "plan.md")]
struct Document<'a> {
    plan: &'a Plan,
}

/// Writes a plan.
pub fn markdown(plan: &Plan) -> miette::Result<String> {
    let written = Document { plan }.render().into_diagnostic()?;
    // What is left out leaves its line; one blank line is enough.
    let mut out = String::with_capacity(written.len());
    let (mut blank, mut fenced) = (true, None::<String>);
    for line in written.lines() {
        let fence: String = line.chars().take_while(|it| *it == '`').collect();
        match &fenced {
            Some(open) if *open == line => fenced = None,
            None if fence.len() >= 3 => fenced = Some(fence),
            _ => {}
        }
        let is_blank = line.trim().is_empty() && fenced.is_none();
        if !(is_blank && blank) {
            let _ = writeln!(out, "{}", if is_blank { "" } else { line });
        }
        blank = is_blank;
    }
    Ok(out)
}

/// A sentence in which only what stands in backticks is code, on one line.
fn words(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (is_code, piece) in crate::simulate::pieces(text) {
        if is_code {
            let _ = write!(out, "`{}`", flat(piece).replace('|', "\\|"));
        } else {
            out.push_str(&escaped(&flat(piece)));
        }
    }
    out
}

/// A name that somebody else gave, in which nothing is code.
fn name(text: &str) -> String {
    escaped(&flat(text))
}

/// A name as code; a backtick in it would end it.
fn code(text: &str) -> String {
    format!("`{}`", flat(text).replace('`', "'").replace('|', "\\|"))
}

/// A text as a block, in a fence that is longer than any in it.
fn block(text: &str) -> String {
    let mut longest = 0;
    let mut run = 0;
    for character in text.chars() {
        run = if character == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat((longest + 1).max(3));
    format!("{fence}text\n{}\n{fence}", text.trim_end())
}

/// What is filled in, each once.
fn slots(text: &Text) -> String {
    let mut slots: Vec<String> = Vec::new();
    for piece in text.pieces.iter().filter(|piece| piece.is_slot) {
        let slot = code(&piece.text);
        if !slots.contains(&slot) {
            slots.push(slot);
        }
    }
    if slots.is_empty() { "nothing".into() } else { slots.join(", ") }
}

/// A row of a table is one line.
fn flat(text: &str) -> String {
    text.replace(['\r', '\n', '\t'], " ")
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if "\\`*_[]<>|#~&".contains(character) {
            out.push('\\');
        }
        out.push(character);
    }
    out
}
