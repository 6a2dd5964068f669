//! Survey pages as HTML. Every text of a project or a record is escaped on its way in.

use std::fmt::Write;

use jiff::civil::DateTime;
use quick_xml::escape::escape;
use redcap::html::html_to_text;
use redcap::logic::Context;
use redcap::pipe::pipe;
use redcap::project::{Field, FieldKind, Project, Survey};
use redcap::record::{Place, Record, checkbox_column};

use super::answers::{Answers, SHOWN, is_answerable, is_displayed, is_ticked, seen};

const STYLE: &str = include_str!("page.css");

/// What a survey's pages are made from.
pub(super) struct Paper<'a> {
    pub(super) project: &'a Project,
    pub(super) survey: &'a Survey,
    pub(super) place: &'a Place,
    pub(super) now: DateTime,
}

/// A page that says one thing.
pub(super) fn notice(state: &str, title: &str, sentence: &str) -> String {
    let title = escape(title);
    document(state, "", &title, &format!("<h1>{title}</h1>\n<p class=\"lead\">{}</p>", escape(sentence)))
}

impl Paper<'_> {
    /// All questions on one page.
    pub(super) fn questions(&self, answers: &Answers) -> String {
        let title = self.text(&self.survey.title, &answers.record);
        let mut main = format!("<h1>{title}</h1>\n");
        let instructions = self.text(&self.survey.instructions, &answers.record);
        if !instructions.is_empty() {
            let _ = writeln!(main, "<p class=\"lead\">{instructions}</p>");
        }
        main.push_str(&banner(answers));
        main.push_str("<form method=\"post\" novalidate>\n");
        let mut shown = Vec::new();
        for field in self.project.fields_of(&self.survey.instrument) {
            if answers.visible.contains(&field.name) && is_displayed(self.project, field) {
                shown.push(field.name.as_str());
                self.question(&mut main, field, answers);
            }
        }
        let _ =
            writeln!(main, "<input type=\"hidden\" name=\"{SHOWN}\" value=\"{}\">", escape(shown.join(" ")));
        main.push_str("<button type=\"submit\">Submit</button>\n</form>");
        let again: Vec<&str> = answers.troubles.keys().chain(&answers.new).map(String::as_str).collect();
        document("questions", &again.join(" "), &title, &main)
    }

    pub(super) fn thanks(&self, record: &Record) -> String {
        let title = self.text(&self.survey.title, record);
        let own = self.text(&self.survey.acknowledgement, record);
        let said = if own.is_empty() { "Thank you. Your answers are saved." } else { &own };
        let main = format!(
            "<p class=\"done\" aria-hidden=\"true\">✓</p>\n<h1>{title}</h1>\n<p class=\"lead\">{said}</p>\n\
             <p class=\"note\">You can close this page.</p>"
        );
        document("completed", "", &title, &main)
    }

    /// A text of the project with the record's values, ready for the page. HTML becomes text.
    fn text(&self, text: &str, record: &Record) -> String {
        let context = Context::new(self.project, record, self.place, self.now);
        let text = if text.contains(['<', '&']) { html_to_text(text) } else { text.to_owned() };
        escape(pipe(&text, &context, &|_| None).text).into_owned()
    }

    fn question(&self, out: &mut String, field: &Field, answers: &Answers) {
        if let Some(header) = &field.section_header {
            let _ = writeln!(out, "<h2>{}</h2>", self.text(header, &answers.record));
        }
        let label = self.text(field.label_html.as_deref().unwrap_or(&field.label), &answers.record);
        if field.kind == FieldKind::Descriptive {
            let _ = writeln!(out, "<p class=\"descriptive\">{label}</p>");
            return;
        }
        let name = escape(&field.name);
        let required = if field.required { " <span class=\"required\">required</span>" } else { "" };
        let new = if answers.new.contains(&field.name) { " new" } else { "" };
        let trouble = answers.troubles.get(&field.name);
        let bad = match trouble {
            Some(_) if answers.warnings.contains(&field.name) => " warned",
            Some(_) => " refused",
            None => "",
        };
        let grouped = is_answerable(self.project, field)
            && matches!(
                field.kind,
                FieldKind::Radio | FieldKind::YesNo | FieldKind::TrueFalse | FieldKind::Checkbox
            );
        let (open, close) = if grouped {
            let open = format!(
                "<fieldset class=\"question{new}{bad}\" id=\"q-{name}\" aria-describedby=\"n-{name} t-{name}\">\n\
                 <legend>{label}{required}</legend>"
            );
            (open, "</fieldset>")
        } else {
            let open = format!(
                "<div class=\"question{new}{bad}\" id=\"q-{name}\">\n<label for=\"f-{name}\">{label}{required}</label>"
            );
            (open, "</div>")
        };
        let _ = writeln!(out, "{open}");
        if let Some(note) = hint(field, field.note.as_deref().map(|note| self.text(note, &answers.record))) {
            let _ = writeln!(out, "<p class=\"note\" id=\"n-{name}\">{note}</p>");
        }
        if let Some(sentence) = trouble {
            let _ = writeln!(out, "<p class=\"trouble\" id=\"t-{name}\">{}</p>", escape(sentence));
        }
        if is_answerable(self.project, field) {
            self.control(out, field, answers);
        } else {
            let kept = answers.typed.get(&field.name.to_ascii_lowercase());
            let sentence = match field.kind {
                FieldKind::File | FieldKind::Signature => "Files cannot be uploaded in the sandbox.".into(),
                FieldKind::Sql => "This list cannot be shown in the sandbox.".into(),
                _ => escape(kept.map_or("—", String::as_str)),
            };
            let _ = writeln!(out, "<output id=\"f-{name}\">{sentence}</output>");
        }
        if answers.warnings.contains(&field.name) {
            let typed = answers.typed.get(&field.name.to_ascii_lowercase());
            let (seen, typed) = (seen(&field.name), typed.map(String::as_str).unwrap_or_default());
            let _ = writeln!(
                out,
                "<input type=\"hidden\" name=\"{}\" value=\"{}\">",
                escape(&seen),
                escape(typed)
            );
        }
        let _ = writeln!(out, "{close}");
    }

    fn control(&self, out: &mut String, field: &Field, answers: &Answers) {
        let name = escape(&field.name);
        let typed =
            answers.typed.get(&field.name.to_ascii_lowercase()).map(String::as_str).unwrap_or_default();
        let invalid = answers.troubles.contains_key(&field.name);
        let states = format!(
            "id=\"f-{name}\" name=\"{name}\" aria-describedby=\"n-{name} t-{name}\"{}{}",
            if invalid { " aria-invalid=\"true\"" } else { "" },
            if field.required { " aria-required=\"true\"" } else { "" },
        );
        match field.kind {
            FieldKind::Notes => {
                let _ = writeln!(out, "<textarea {states} rows=\"4\">{}</textarea>", escape(typed));
            }
            FieldKind::Dropdown => {
                let _ = writeln!(out, "<select {states}>\n<option value=\"\">Choose…</option>");
                for choice in &field.choices {
                    let chosen = if choice.code == typed { " selected" } else { "" };
                    let (code, label) = (escape(&choice.code), self.text(&choice.label, &answers.record));
                    let _ = writeln!(out, "<option value=\"{code}\"{chosen}>{label}</option>");
                }
                out.push_str("</select>\n");
            }
            FieldKind::Radio | FieldKind::YesNo | FieldKind::TrueFalse => {
                for choice in &field.choices {
                    let chosen = if choice.code == typed { " checked" } else { "" };
                    let (code, label) = (escape(&choice.code), self.text(&choice.label, &answers.record));
                    let _ = writeln!(
                        out,
                        "<label class=\"choice\"><input type=\"radio\" name=\"{name}\" value=\"{code}\"{chosen}>\
                         <span>{label}</span></label>"
                    );
                }
            }
            FieldKind::Checkbox => {
                for choice in &field.choices {
                    let chosen = if is_ticked(answers, &field.name, &choice.code) { " checked" } else { "" };
                    let column = checkbox_column(&field.name, &choice.code);
                    let (column, label) = (escape(&column), self.text(&choice.label, &answers.record));
                    let _ = writeln!(
                        out,
                        "<label class=\"choice\"><input type=\"checkbox\" name=\"{column}\" value=\"1\"{chosen}>\
                         <span>{label}</span></label>"
                    );
                }
            }
            _ => {
                let kind = input_kind(field);
                let _ = writeln!(out, "<input {states} {kind} value=\"{}\">", escape(typed));
            }
        }
    }
}

/// What stands above the questions when a page comes back.
fn banner(answers: &Answers) -> String {
    let refused = answers.troubles.len() - answers.warnings.len();
    let sentence = if refused > 0 {
        "Some answers need another look. They are marked below."
    } else if !answers.new.is_empty() {
        "Your answers lead to some more questions. They are marked below."
    } else if !answers.warnings.is_empty() {
        "Please check the marked answers. If they are right, submit the page again."
    } else {
        return String::new();
    };
    format!("<p class=\"banner\" role=\"alert\">{sentence}</p>\n")
}

/// How the browser may help with a text field.
fn input_kind(field: &Field) -> &'static str {
    if field.kind == FieldKind::Slider {
        return "type=\"text\" inputmode=\"numeric\"";
    }
    match field.validation.as_deref().unwrap_or_default() {
        "email" => "type=\"email\" autocomplete=\"email\"",
        "date_ymd" => "type=\"date\"",
        "time" => "type=\"time\"",
        "integer" | "int" | "zipcode" => "type=\"text\" inputmode=\"numeric\"",
        validation if validation.starts_with("phone") => "type=\"tel\" autocomplete=\"tel\"",
        validation if validation.starts_with("number") || validation == "float" => {
            "type=\"text\" inputmode=\"decimal\""
        }
        _ => "type=\"text\"",
    }
}

/// The field's own note, and how its answer is written where that is not obvious. A slider is a number here:
/// without a script, one that was not moved cannot be told from one in the middle.
fn hint(field: &Field, note: Option<String>) -> Option<String> {
    let format = match field.validation.as_deref().unwrap_or_default() {
        _ if field.kind == FieldKind::Slider => {
            let (low, high) = (field.min.as_deref().unwrap_or("0"), field.max.as_deref().unwrap_or("100"));
            let labels = field.slider_labels.as_deref().unwrap_or_default();
            let ends: Vec<&str> = labels.split('|').map(str::trim).collect();
            let end = |label: Option<&&str>| match label.filter(|label| !label.is_empty()) {
                Some(label) => format!(" ({})", escape(*label)),
                None => String::new(),
            };
            let (low, high) = (escape(low), escape(high));
            let high_label = if ends.len() > 1 { ends.last() } else { None };
            Some(format!("A whole number from {low}{} to {high}{}", end(ends.first()), end(high_label)))
        }
        "date_mdy" => Some("MM-DD-YYYY".to_owned()),
        "date_dmy" => Some("DD-MM-YYYY".to_owned()),
        "datetime_ymd" => Some("YYYY-MM-DD HH:MM".to_owned()),
        "datetime_mdy" => Some("MM-DD-YYYY HH:MM".to_owned()),
        "datetime_dmy" => Some("DD-MM-YYYY HH:MM".to_owned()),
        _ => None,
    };
    match (note.filter(|note| !note.is_empty()), format) {
        (Some(note), Some(format)) => Some(format!("{note} · {format}")),
        (note, format) => note.or(format),
    }
}

/// `title` and `main` are HTML already.
fn document(state: &str, again: &str, title: &str, main: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n\
         </head>\n<body>\n<main data-state=\"{state}\" data-again=\"{}\">\n{main}\n</main>\n\
         <footer>A survey of the Consentry sandbox. Nothing here is a real study.</footer>\n</body>\n</html>\n",
        escape(again)
    )
}
