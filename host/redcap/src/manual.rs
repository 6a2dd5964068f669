//! The manual of REDCap's logic as it is evaluated here, with every choice that was made where
//! nothing is documented.

use serde_json::json;

use crate::logic::FUNCTIONS;
use crate::smart;

/// As `consentry redcap reference` prints it, in Markdown.
pub const REFERENCE: &str = include_str!("../reference.md");

/// The functions, the smart variables and the text, for programs.
#[must_use]
pub fn as_json() -> serde_json::Value {
    let functions =
        FUNCTIONS.iter().map(|row| json!({ "name": row.name, "form": row.form, "does": row.does }));
    let variables = smart::all().map(|variable| {
        json!({
            "topic": variable.topic,
            "name": variable.name,
            "parameters": variable.parameters,
            "description": variable.description,
        })
    });
    json!({
        "functions": functions.collect::<Vec<_>>(),
        "smart_variables": variables.collect::<Vec<_>>(),
        "text": REFERENCE,
    })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::path::Path;

    use super::REFERENCE;
    use crate::logic::cases::{cases_project, outcome};
    use crate::logic::{FUNCTIONS, Kind, parse};
    use crate::smart;

    fn functions() -> String {
        let mut table = "\n| function | gives | what it does |\n|---|---|---|\n".to_owned();
        for row in FUNCTIONS {
            let gives = match row.gives {
                Kind::Any => "one of them",
                Kind::Number => "a number",
                Kind::Moment => "a date",
                Kind::Text => "a text",
                Kind::Truth => "true or false",
            };
            writeln!(table, "| `{}` | {gives} | {} |", row.form, row.does).unwrap();
        }
        table.push('\n');
        table
    }

    fn smart_variables() -> String {
        let mut table = String::new();
        let mut topic = "";
        for variable in smart::all() {
            if variable.topic != topic {
                topic = variable.topic;
                writeln!(table, "\n### {topic}\n\n| smart variable | what it gives |\n|---|---|").unwrap();
            }
            writeln!(table, "| `[{}{}]` | {} |", variable.name, variable.parameters, variable.description)
                .unwrap();
        }
        table.push('\n');
        table
    }

    /// Rewrites the tables if it is run with `BLESS=1`.
    #[test]
    fn the_tables_are_those_of_the_code() {
        let mut written = REFERENCE.to_owned();
        for (name, table) in [("functions", functions()), ("smart variables", smart_variables())] {
            let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
            let (before, rest) = written.split_once(&begin).unwrap();
            let (_, after) = rest.split_once(&end).unwrap();
            written = format!("{before}{begin}{table}{end}{after}");
        }
        if written != REFERENCE && std::env::var_os("BLESS").is_some() {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference.md");
            std::fs::write(file, written).unwrap();
            return;
        }
        assert_eq!(written, REFERENCE, "run this test with BLESS=1 to write the tables anew");
    }

    /// Examples are lines `expression -> result`, with `with` and the data behind where they need any.
    #[test]
    fn every_example_comes_out_as_it_says() {
        let project = cases_project();
        let mut failures = Vec::new();
        let mut count = 0;
        for block in REFERENCE.split("```redcap\n").skip(1) {
            for line in block.split("\n```").next().unwrap().lines() {
                count += 1;
                let (text, wanted) =
                    line.split_once(" -> ").map_or((line, None), |(text, rest)| (text, Some(rest)));
                let expression = match parse(text) {
                    Ok(expression) => expression,
                    Err(mistakes) => {
                        failures.push(format!("{line}: {}", mistakes[0]));
                        continue;
                    }
                };
                let Some(wanted) = wanted else { continue };
                let (wanted, data) = wanted.split_once(" with ").unwrap_or((wanted, ""));
                match outcome(&project, &expression, data) {
                    Ok(got) if got == wanted => {}
                    Ok(got) | Err(got) => failures.push(format!("{line}: {got}")),
                }
            }
        }
        assert!(count > 70, "only {count} examples were found");
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }

    #[test]
    fn the_choices_are_numbered_without_a_gap() {
        let (_, choices) = REFERENCE.split_once("## Where nothing is documented").unwrap();
        let numbers = choices
            .lines()
            .filter_map(|line| line.strip_prefix("**")?.split_once(". ")?.0.parse::<usize>().ok());
        for (at, number) in numbers.enumerate() {
            assert_eq!(number, at + 1);
        }
        let paragraphs = choices.split("\n\n").filter(|paragraph| paragraph.starts_with("**"));
        for paragraph in paragraphs {
            let last = paragraph.trim_end().lines().next_back().unwrap();
            assert!(last.starts_with('*') && last.ends_with(".*"), "no kind of evidence: {paragraph}");
        }
    }
}
