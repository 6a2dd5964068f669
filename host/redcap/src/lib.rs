//! REDCap as seen from outside: its projects, its records, its API and its small languages.
//!
//! What a project is comes from its project XML ([`odm`]), what a record holds from the API
//! ([`client`]). Conditions ([`logic`]) and message texts ([`pipe`]) are read against both.
//! Everything but [`client`] is pure: it neither waits, nor reads a clock, nor touches the network.
//!
//! REDCap is closed source. What is said here about it comes from public documentation, public
//! client libraries and public projects, and from nothing else.

pub mod analyze;
pub mod annotation;
pub mod calculate;
pub mod client;
pub mod dictionary;
pub mod html;
pub mod inspect;
pub mod logic;
pub mod manual;
pub mod odm;
pub mod pipe;
pub mod problem;
pub mod project;
pub mod record;
pub mod reference;
pub mod smart;
pub mod validate;

pub use client::{ApiError, Client, ClientConfig};
pub use problem::Problem;
pub use project::Project;
pub use record::{Place, Record};
/// An API token: it neither prints nor lingers in memory.
pub use secrecy::SecretString as Token;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::odm::tests::{SMALL, small_project};
    use crate::reference::Context;
    use crate::{Place, Record, html, logic, odm, pipe, validate};

    /// Fragments that mean something to one of the languages, so that their middles are reached too.
    fn fragments() -> impl Strategy<Value = String> {
        let known = prop::sample::select(vec![
            "[",
            "]",
            "[age]",
            "[symptoms(1)]",
            "[baseline_arm_1]",
            "[systolic]",
            "[2]",
            "[last-instance]",
            "[survey-link:entry:x]",
            "(",
            ")",
            ",",
            "=",
            "<>",
            "<",
            "&lt;",
            "&amp;",
            "&#39;",
            "'",
            "\"",
            " and ",
            " or ",
            "not ",
            "if(",
            "datediff(",
            "round(",
            "1",
            "-",
            ".",
            "<p>",
            "<a href=",
            "</a>",
            "<!--",
            "\n",
            "today",
            "2026-11-23",
            "10:00",
            "é",
            "\u{200b}",
        ]);
        prop::collection::vec(prop_oneof![3 => known.prop_map(str::to_owned), 1 => ".{0,8}"], 0..24)
            .prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn no_text_makes_a_language_panic(text in fragments()) {
            let project = small_project();
            let record = Record::new("1");
            let place = Place::at("baseline_arm_1");
            let now: jiff::civil::DateTime = "2026-11-23T10:00:00".parse().unwrap();
            let context = Context::new(&project, &record, &place, now);
            match logic::parse(&text) {
                Ok(expression) => {
                    let _ = logic::evaluate(&expression, &context);
                }
                Err(mistakes) => {
                    prop_assert!(!mistakes.is_empty());
                    for mistake in mistakes {
                        prop_assert!(text.get(mistake.at).is_some());
                    }
                }
            }
            let piped = pipe::pipe(&text, &context, &|_| Some("x".to_owned()));
            for problem in piped.problems {
                prop_assert!(text.get(problem.at).is_some());
            }
            let _ = pipe::slots(&text);
            let _ = html::html_to_text(&text);
            for kind in ["integer", "number_1dp", "date_dmy", "datetime_mdy", "time", "time_mm_ss", "email", "phone", "zipcode"] {
                let field = crate::project::Field { validation: Some(kind.to_owned()), ..Default::default() };
                let _ = validate::check(&field, &text, now.date(), &[]);
            }
        }

        /// A project file with a piece cut out, and something else in its place.
        #[test]
        fn no_file_makes_the_reader_panic(at in 0..SMALL.len(), cut in 0..400_usize, other in fragments()) {
            let mut bytes = SMALL.as_bytes().to_vec();
            let end = (at + cut).min(bytes.len());
            bytes.splice(at..end, other.into_bytes());
            if let Ok((project, _)) = odm::read_project(&bytes) {
                prop_assert!(odm::read_project(odm::write_project(&project).as_bytes()).is_ok());
            }
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = odm::read_project(&bytes);
        }
    }
}
