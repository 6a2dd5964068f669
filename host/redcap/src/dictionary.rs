//! The data dictionary: the table of a project's fields that staff download, edit and pass around.
//!
//! It comes out of spreadsheets, so it comes in any encoding, with any of three delimiters, and
//! damaged. What is odd is read as far as it can be and named in a [`Problem`]; only a file that is
//! no dictionary at all is refused.

use std::collections::{HashMap, HashSet};

use csv::{ReaderBuilder, StringRecord};
use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use serde_json::{Map, Value};

use crate::html::html_to_text;
use crate::problem::Problem;
use crate::project::{
    CLASSIC_EVENT, Field, FieldKind, FormEvent, Instrument, Line, Project, VALIDATIONS, fixed_choices,
    parse_choices, validation_name,
};
use crate::record::{checkbox_column, text};
use crate::spelling::nearest;

/// Why a file is not a data dictionary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DictionaryError {
    #[error("expected a data dictionary, found an empty file")]
    Empty,
    #[error(
        "line {line}: expected the column names of a data dictionary (`Variable / Field Name`, `Form Name`, \
         …), found {cells} cells that are none of them"
    )]
    // Not what is in the cells: it may be a participant's row.
    NoHeader { line: usize, cells: usize },
    #[error("expected at least one field below the column names of the data dictionary, found none")]
    NoFields,
}

/// The setting that keeps the query of an `sql` field.
pub const SQL_SETTING: &str = "sql";
/// The setting that keeps the ontology a text field searches, as in `BIOPORTAL:ICD10`.
pub const ONTOLOGY_SETTING: &str = "ontology";

/// The settings below have the names of the project XML's attributes, so that a project is the same
/// whichever file it was read from.
const ALIGNMENT_SETTING: &str = "redcap:CustomAlignment";
const NUMBER_SETTING: &str = "redcap:QuestionNumber";

/// Reads a data dictionary. The project is a classic one without a title: a dictionary knows only
/// forms and fields.
pub fn read_dictionary(bytes: &[u8]) -> Result<(Project, Vec<Problem>), DictionaryError> {
    let mut problems = Vec::new();
    let text = decode(bytes, &mut problems);
    let (header_line, header) = first_line(&text).ok_or(DictionaryError::Empty)?;
    let no_header = || DictionaryError::NoHeader { line: header_line, cells: most_cells(header) };
    let delimiter = delimiter(header).ok_or_else(no_header)?;
    let mut lines = Lines { text: text.as_bytes(), at: 0, line: 1 };
    let mut rows = ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .has_headers(false)
        .from_reader(text.as_bytes());
    let mut records = rows.records();
    let mut filled_rows = records.by_ref().filter_map(Result::ok);
    let first = filled_rows.find(|row| !is_blank(row)).ok_or(DictionaryError::Empty)?;
    let columns = Columns::of(&first, header_line, &mut problems).ok_or_else(no_header)?;
    let mut reading = Reading {
        project: Project::classic(""),
        columns,
        width: first.len(),
        delimiter,
        names: HashMap::new(),
        ended: HashSet::new(),
        scattered: HashSet::new(),
        current: None,
        problems,
    };
    let mut records = records.peekable();
    while let Some(record) = records.next() {
        match record {
            Ok(record) => {
                let start = record.position().map_or(0, csv::Position::byte);
                let start = usize::try_from(start).unwrap_or(usize::MAX);
                let line = lines.number(start);
                // What is never closed goes on to the end of the file, and so makes the last row.
                let raw = text.as_bytes().get(start..).filter(|_| records.peek().is_none());
                let unclosed = raw.is_some_and(|raw| ends_in_quotes(raw, delimiter));
                reading.row(&record, line, unclosed);
            }
            Err(error) => {
                let start = error.position().map_or(0, csv::Position::byte);
                let line = lines.number(usize::try_from(start).unwrap_or(usize::MAX));
                reading.problem(line, "the row cannot be read and was left out", "save the file anew as CSV");
            }
        }
    }
    reading.finish()
}

/// The fields of the rows that the API gives, which are those of a data dictionary by other names.
pub(crate) fn fields_of(rows: &[Map<String, Value>]) -> Vec<Field> {
    let mut file = csv::Writer::from_writer(Vec::new());
    // Writing to memory does not fail.
    let _ = file.write_record(COLUMNS.map(|(_, name)| name));
    for row in rows {
        let _ = file.write_record(COLUMNS.map(|(_, name)| text(row.get(name))));
    }
    // Rows without a field are no dictionary, and no fields.
    let project = file.into_inner().ok().and_then(|file| read_dictionary(&file).ok());
    project.map(|(project, _)| project.fields.to_vec()).unwrap_or_default()
}

/// The columns, as staff see them and as the API calls them.
const COLUMNS: [(&str, &str); 18] = [
    ("Variable / Field Name", "field_name"),
    ("Form Name", "form_name"),
    ("Section Header", "section_header"),
    ("Field Type", "field_type"),
    ("Field Label", "field_label"),
    ("Choices, Calculations, OR Slider Labels", "select_choices_or_calculations"),
    ("Field Note", "field_note"),
    ("Text Validation Type OR Show Slider Number", "text_validation_type_or_show_slider_number"),
    ("Text Validation Min", "text_validation_min"),
    ("Text Validation Max", "text_validation_max"),
    ("Identifier?", "identifier"),
    ("Branching Logic (Show field only if...)", "branching_logic"),
    ("Required Field?", "required_field"),
    ("Custom Alignment", "custom_alignment"),
    ("Question Number (surveys only)", "question_number"),
    ("Matrix Group Name", "matrix_group_name"),
    ("Matrix Ranking?", "matrix_ranking"),
    ("Field Annotation", "field_annotation"),
];

/// Names that older versions gave to the same columns, already plain.
const OLD_NAMES: [(&str, usize); 7] = [
    ("variable", 0),
    ("choicesorcalculations", 5),
    ("choicescalculationsorsliderlabels", 5),
    ("textvalidationtype", 7),
    ("branchinglogic", 11),
    ("questionnumber", 14),
    ("fieldannotations", 17),
];

const NAME: usize = 0;
const FORM: usize = 1;
const SECTION: usize = 2;
const KIND: usize = 3;
const LABEL: usize = 4;
const CHOICES: usize = 5;
const NOTE: usize = 6;
const VALIDATION: usize = 7;
const MIN: usize = 8;
const MAX: usize = 9;
const IDENTIFIER: usize = 10;
const BRANCHING: usize = 11;
const REQUIRED: usize = 12;
const ALIGNMENT: usize = 13;
const NUMBER: usize = 14;
const MATRIX: usize = 15;
const RANKING: usize = 16;
const ANNOTATION: usize = 17;

fn decode(bytes: &[u8], problems: &mut Vec<Problem>) -> String {
    let encoding = Encoding::for_bom(bytes).map_or(UTF_8, |(encoding, _)| encoding);
    let (text, encoding, damaged) = encoding.decode(bytes);
    if !damaged {
        return text.into_owned();
    }
    let line = match std::str::from_utf8(bytes) {
        Err(error) if encoding == UTF_8 => 1 + newlines(&bytes[..error.valid_up_to()]),
        _ => 0,
    };
    if encoding != UTF_8 {
        problems.push(
            Problem::new(0, format!("the file says it is {} and is damaged", encoding.name()))
                .with_help("save it as `CSV UTF-8`"),
        );
        return text.into_owned();
    }
    problems.push(
        Problem::new(line, "the file is not UTF-8 and was read as Windows-1252")
            .with_help("save it as `CSV UTF-8`, and check the accented letters"),
    );
    WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned()
}

fn newlines(bytes: &[u8]) -> usize {
    let ends =
        |(at, &byte): (usize, &u8)| byte == b'\n' || byte == b'\r' && bytes.get(at + 1) != Some(&b'\n');
    bytes.iter().enumerate().filter(|&pair| ends(pair)).count()
}

/// Line numbers of places that only move on, so that each line is counted once.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
}

impl Lines<'_> {
    /// The line of the row that is read from `start` on. The CSV reader has not passed over the
    /// blank lines before the row when it notes the start.
    fn number(&mut self, start: usize) -> usize {
        let start = start.min(self.text.len());
        let blank = self.text[start..].iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
        let to = start + blank;
        if to > self.at {
            self.line += newlines(&self.text[self.at..to]);
            self.at = to;
        }
        self.line
    }
}

fn first_line(text: &str) -> Option<(usize, &str)> {
    let at = text.find(|c: char| !c.is_whitespace() && c != '\u{feff}')?;
    let line = 1 + newlines(&text.as_bytes()[..at]);
    let rest = &text[at..];
    Some((line, rest.split(['\n', '\r']).next().unwrap_or(rest)))
}

const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// The cells of a single line.
fn cells(line: &str, delimiter: u8) -> StringRecord {
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .has_headers(false)
        .from_reader(line.as_bytes());
    reader.records().next().and_then(Result::ok).unwrap_or_default()
}

/// How many cells a line has by the delimiter that makes the most of it.
fn most_cells(line: &str) -> usize {
    DELIMITERS.map(|delimiter| cells(line, delimiter).len()).into_iter().max().unwrap_or_default()
}

/// Whether a text that begins a row ends within quotation marks.
fn ends_in_quotes(text: &[u8], delimiter: u8) -> bool {
    let (mut begins, mut quoted) = (true, false);
    for &byte in text {
        if quoted {
            // A doubled mark stands for itself: it ends the quotation, and begins it again.
            quoted = byte != b'"';
            begins = !quoted;
        } else if byte == b'"' && begins {
            quoted = true;
        } else {
            begins = byte == delimiter || matches!(byte, b'\n' | b'\r');
        }
    }
    quoted
}

/// The delimiter that makes the most column names of the header.
fn delimiter(header: &str) -> Option<u8> {
    let known = |delimiter: u8| cells(header, delimiter).iter().filter(|cell| column(cell).is_some()).count();
    let (delimiter, found) =
        DELIMITERS.into_iter().map(|delimiter| (delimiter, known(delimiter))).rev().max_by_key(|it| it.1)?;
    (found >= 3).then_some(delimiter)
}

/// Which column a header cell names. Only letters and digits count, so that a byte order mark read as
/// letters of another encoding, stray quotation marks and blanks do no harm.
fn column(cell: &str) -> Option<usize> {
    let plain = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
    };
    let cell = plain(cell);
    let of_name = COLUMNS.iter().position(|(human, api)| plain(human) == cell || plain(api) == cell);
    of_name.or_else(|| OLD_NAMES.iter().find(|(name, _)| *name == cell).map(|(_, column)| *column))
}

/// Where each of the 18 columns stands, and the columns that are none of them.
struct Columns {
    at: [Option<usize>; 18],
    others: Vec<(usize, String)>,
}

impl Columns {
    fn of(header: &StringRecord, line: usize, problems: &mut Vec<Problem>) -> Option<Self> {
        let mut columns = Self { at: [None; 18], others: Vec::new() };
        for (at, cell) in header.iter().enumerate() {
            let shown = cell.trim();
            match column(cell) {
                Some(column) if columns.at[column].is_none() => columns.at[column] = Some(at),
                Some(_) => {
                    problems.push(
                        Problem::new(
                            line,
                            format!("the column `{shown}` is there twice; the first was read"),
                        )
                        .with_help("leave one of them out"),
                    );
                }
                None => columns.others.push((at, shown.to_owned())),
            }
        }
        let damaged = |cell: &str| {
            Problem::new(
                line,
                format!("the first column name `{cell}` is damaged and was read as `{}`", COLUMNS[NAME].0),
            )
            .with_help("save the file as `CSV UTF-8`")
        };
        match columns.at[NAME] {
            Some(0) => {
                let cell = header.get(0).unwrap_or_default().trim();
                if !cell.is_ascii() || cell.contains('"') {
                    problems.push(damaged(cell));
                }
            }
            Some(_) => {}
            // The first cell is where a byte order mark or a cut does its damage.
            None => {
                let at = columns.others.iter().position(|(at, _)| *at == 0)?;
                let (_, cell) = columns.others.remove(at);
                problems.push(damaged(&cell));
                columns.at[NAME] = Some(0);
            }
        }
        if columns.at[KIND].is_none() && columns.at[LABEL].is_none() {
            return None;
        }
        // Dictionaries from before annotations have 17 columns.
        let missing: Vec<String> = COLUMNS
            .iter()
            .enumerate()
            .filter(|(column, _)| columns.at[*column].is_none() && *column != ANNOTATION)
            .map(|(_, (name, _))| format!("`{name}`"))
            .collect();
        if !missing.is_empty() {
            let (what, were) = if missing.len() == 1 { ("column", "is") } else { ("columns", "are") };
            let sentence = format!("the {what} {} {were} missing and read as blank", missing.join(", "));
            problems.push(
                Problem::new(line, sentence).with_help("download the data dictionary from REDCap once more"),
            );
        }
        Some(columns)
    }
}

struct Reading {
    project: Project,
    columns: Columns,
    width: usize,
    delimiter: u8,
    /// The line each field was defined on.
    names: HashMap<String, usize>,
    /// Forms that others have followed.
    ended: HashSet<String>,
    scattered: HashSet<String>,
    current: Option<String>,
    problems: Vec<Problem>,
}

impl Reading {
    fn problem(&mut self, line: usize, sentence: impl Into<String>, help: impl Into<String>) {
        self.problems.push(Problem::new(line, sentence).with_help(help));
    }

    /// Reads a row, of which a quotation mark may never be closed.
    fn row(&mut self, row: &StringRecord, line: usize, unclosed: bool) {
        if is_blank(row) {
            return;
        }
        let swallowed: usize = row.iter().map(|cell| self.rows_within(cell)).sum();
        if swallowed > 0 || unclosed {
            let sentence = match swallowed {
                0 => "a quotation mark in the row is never closed".to_owned(),
                1 => "a cell of the row holds what looks like the row below".to_owned(),
                count => format!("a cell of the row holds what looks like the {count} rows below"),
            };
            self.problem(line, sentence, "close the quotation mark");
        } else {
            self.count_cells(row, line);
        }
        self.unknown_cells(row, line);
        let cell = |columns: &Columns, column: usize| {
            columns.at[column].and_then(|at| row.get(at)).unwrap_or_default().replace("\r\n", "\n")
        };
        let text = |columns: &Columns, column: usize| filled(cell(columns, column));
        let word = |columns: &Columns, column: usize| cell(columns, column).trim().to_ascii_lowercase();

        let given = cell(&self.columns, NAME).trim().to_owned();
        if given.is_empty() {
            self.problem(
                line,
                "the row has no variable name and was left out",
                "give the field a name in the first column, or leave the row out",
            );
            return;
        }
        let name = self.name(&given, line);
        if let Some(first) = self.names.get(&name) {
            let sentence = format!("`{name}` is defined twice; the second was left out");
            let help = format!("rename one of the two; the first is on line {first}");
            self.problem(line, sentence, help);
            return;
        }
        self.names.insert(name.clone(), line);
        let instrument = self.form(&cell(&self.columns, FORM), &name, line);
        let validation = text(&self.columns, VALIDATION).map(|text| {
            let text = text.trim();
            let lower = text.to_ascii_lowercase();
            validation_name(&lower).to_owned()
        });
        let kind = self.kind(&word(&self.columns, KIND), validation.as_deref(), &name, line);
        self.check_validation(kind, validation.as_deref(), &name, line);

        let label = cell(&self.columns, LABEL);
        let mut field = Field {
            instrument,
            kind,
            label: if label.contains(['<', '&']) { html_to_text(&label) } else { label.clone() },
            label_html: Some(label).filter(|label| label.contains('<')),
            choices: fixed_choices(kind),
            validation,
            min: text(&self.columns, MIN),
            max: text(&self.columns, MAX),
            note: text(&self.columns, NOTE),
            identifier: self.yes(row, IDENTIFIER, &name, line),
            required: self.yes(row, REQUIRED, &name, line),
            matrix_ranking: self.yes(row, RANKING, &name, line),
            branching: text(&self.columns, BRANCHING),
            annotation: text(&self.columns, ANNOTATION),
            section_header: text(&self.columns, SECTION),
            matrix_group: text(&self.columns, MATRIX).map(|group| group.trim().to_owned()),
            line: Line(line),
            name,
            ..Field::default()
        };
        for (column, setting) in [(ALIGNMENT, ALIGNMENT_SETTING), (NUMBER, NUMBER_SETTING)] {
            if let Some(value) = text(&self.columns, column) {
                field.settings.insert(setting.to_owned(), value.trim().to_owned());
            }
        }
        self.choices(&mut field, &cell(&self.columns, CHOICES), line);
        self.project.fields.push(field);
    }

    /// How many lines of a cell would be rows of their own if a quotation mark before them were closed.
    fn rows_within(&self, cell: &str) -> usize {
        let is_row = |line: &str| {
            let row = cells(line, self.delimiter);
            let at = |column: usize| {
                self.columns.at[column]
                    .and_then(|at| row.get(at))
                    .map(|cell| cell.trim().to_ascii_lowercase())
            };
            let is_named = at(NAME).is_some_and(|name| is_name(&name));
            // A long label has commas too, but no field type in the right place.
            let has_kind = at(KIND).is_none_or(|kind| FieldKind::from_name(&kind).is_some());
            row.len() >= self.width && is_named && has_kind
        };
        cell.split(['\n', '\r']).skip(1).filter(|line| is_row(line)).count()
    }

    fn count_cells(&mut self, row: &StringRecord, line: usize) {
        // Spreadsheets pad rows with blank cells, which say nothing.
        let too_many = row.iter().skip(self.width).any(|cell| !cell.trim().is_empty());
        if row.len() < self.width || too_many {
            let sentence = format!("the row has {} cells, the column names are {}", row.len(), self.width);
            self.problem(
                line,
                sentence,
                "look for a quotation mark or a delimiter too many or too few in this row",
            );
        }
    }

    /// Names the columns that are not known, at the first row that has something in them.
    fn unknown_cells(&mut self, row: &StringRecord, line: usize) {
        let unknown: Vec<_> = self
            .columns
            .others
            .iter()
            .filter(|(at, _)| row.get(*at).is_some_and(|cell| !cell.trim().is_empty()))
            .cloned()
            .collect();
        for (at, name) in unknown {
            // Once per column is enough.
            self.columns.others.retain(|(other, _)| *other != at);
            let sentence = if name.is_empty() {
                format!("column {} has no name, so what is in it was left out", at + 1)
            } else {
                format!("the column `{name}` is not known, so what is in it was left out")
            };
            self.problem(line, sentence, "leave the column out of a data dictionary");
        }
    }

    fn name(&mut self, given: &str, line: usize) -> String {
        let name = given.to_ascii_lowercase();
        let help = "a variable name has small letters, digits and underscores only, and begins with a letter";
        if name != given {
            self.problem(line, format!("the variable name `{given}` was read as `{name}`"), help);
        }
        if !is_name(&name) {
            self.problem(line, format!("`{given}` is no proper variable name"), help);
        }
        name
    }

    /// The form of a row; a new one is added to the instruments.
    fn form(&mut self, given: &str, field: &str, line: usize) -> String {
        let given = given.trim();
        let mut form = String::new();
        for c in given.to_lowercase().chars() {
            if c.is_ascii_alphanumeric() {
                form.push(c);
            } else if !form.is_empty() && !form.ends_with('_') || c == '_' {
                form.push('_');
            }
        }
        if form.trim_matches('_').is_empty() {
            form = self.current.clone().unwrap_or_else(|| "form_1".to_owned());
            let sentence = format!("`{field}` has no form and was read as on `{form}`");
            self.problem(line, sentence, "give the form's name in the second column");
        } else if form != given {
            let sentence = format!("the form name `{given}` was read as `{form}`");
            self.problem(line, sentence, "a form name has small letters, digits and underscores only");
        }
        if self.current.as_ref() != Some(&form) {
            if self.ended.contains(&form) && self.scattered.insert(form.clone()) {
                let sentence = format!("the fields of the form `{form}` are not together");
                self.problem(line, sentence, "move the rows of a form below each other");
            }
            self.ended.extend(self.current.replace(form.clone()));
        }
        if self.ended.contains(&form) {
            return form;
        }
        if self.project.instruments.last().is_none_or(|last| last.name != form) {
            self.project.instruments.push(Instrument { name: form.clone(), label: form_label(&form) });
        }
        form
    }

    fn kind(&mut self, word: &str, validation: Option<&str>, name: &str, line: usize) -> FieldKind {
        match FieldKind::from_name(word) {
            Some(FieldKind::File) if validation == Some("signature") => FieldKind::Signature,
            Some(kind) => kind,
            None if word.is_empty() => {
                let sentence = format!("`{name}` has no field type and was read as text");
                self.problem(line, sentence, format!("give it one of {}", kinds()));
                FieldKind::Text
            }
            None => {
                let sentence =
                    format!("the field type `{word}` of `{name}` is not known and was read as text");
                let near = nearest(word, KINDS.into_iter());
                let help = near.map_or_else(
                    || format!("use one of {}", kinds()),
                    |near| format!("did you mean `{near}`?"),
                );
                self.problem(line, sentence, help);
                FieldKind::Text
            }
        }
    }

    fn check_validation(&mut self, kind: FieldKind, validation: Option<&str>, name: &str, line: usize) {
        let Some(validation) = validation else { return };
        let fits = match kind {
            FieldKind::Text => !matches!(validation, "signature" | "autocomplete"),
            FieldKind::Slider => validation == "number",
            FieldKind::Signature => validation == "signature",
            FieldKind::Dropdown | FieldKind::Sql => validation == "autocomplete",
            _ => false,
        };
        if !fits {
            let sentence =
                format!("`{name}` is of type {} and has the validation `{validation}`", kind.name());
            self.problem(line, sentence, "only text fields are validated: empty the cell or change the type");
        } else if !VALIDATIONS.contains(&validation) {
            let sentence =
                format!("the validation type `{validation}` of `{name}` is not known; any text is taken");
            let near = nearest(validation, VALIDATIONS.into_iter());
            let help = near.map_or_else(
                || "your installation may have added it: REDCap still checks what is stored".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            self.problem(line, sentence, help);
        }
    }

    fn yes(&mut self, row: &StringRecord, column: usize, name: &str, line: usize) -> bool {
        let cell = self.columns.at[column].and_then(|at| row.get(at)).unwrap_or_default().trim();
        match cell.to_ascii_lowercase().as_str() {
            "y" => true,
            "" | "n" => false,
            _ => {
                let (title, _) = COLUMNS[column];
                let sentence = format!("`{cell}` in the column `{title}` of `{name}` was read as no");
                self.problem(line, sentence, "write `y`, or leave the cell blank");
                false
            }
        }
    }

    /// What the choices column holds depends on the type of the field.
    fn choices(&mut self, field: &mut Field, cell: &str, line: usize) {
        let name = field.name.clone();
        match field.kind {
            FieldKind::Radio | FieldKind::Dropdown | FieldKind::Checkbox => {
                field.choices = parse_choices(cell);
                self.check_choices(field, cell, line);
            }
            FieldKind::Calc => {
                field.calculation = filled(cell.to_owned());
                if field.calculation.is_none() {
                    let sentence = format!("the calculated field `{name}` has no formula");
                    self.problem(line, sentence, "write the formula in the choices column");
                }
            }
            FieldKind::Slider => field.slider_labels = filled(cell.to_owned()),
            FieldKind::Sql => {
                field.settings.extend(filled(cell.to_owned()).map(|query| (SQL_SETTING.to_owned(), query)));
            }
            // A text field may search an ontology, which is named in the same column.
            FieldKind::Text if cell.trim_start().to_ascii_uppercase().starts_with("BIOPORTAL:") => {
                field.settings.insert(ONTOLOGY_SETTING.to_owned(), cell.trim().to_owned());
            }
            FieldKind::YesNo | FieldKind::TrueFalse if parse_choices(cell) == field.choices => {}
            _ if cell.trim().is_empty() => {}
            kind => {
                let sentence = format!(
                    "`{name}` is of type {} and takes no choices; those given were left out",
                    kind.name()
                );
                self.problem(line, sentence, "empty the cell, or change the field type");
            }
        }
    }

    fn check_choices(&mut self, field: &Field, cell: &str, line: usize) {
        let name = &field.name;
        if field.choices.is_empty() {
            let sentence = format!("`{name}` is of type {} and has no choices", field.kind.name());
            self.problem(line, sentence, "write them as `1, Yes | 0, No`");
            return;
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let (mut codes, mut columns) = (HashSet::new(), HashSet::new());
        let written = cell.split(['|', '\n']).map(str::trim).filter(|choice| !choice.is_empty());
        for (choice, text) in field.choices.iter().zip(written) {
            let code = choice.code.as_str();
            let shown: String = text.chars().take(60).collect();
            if !text.contains(',') {
                let sentence =
                    format!("the choice `{shown}` of `{name}` has no code; its label was taken as code");
                self.problem(line, sentence, "write it as `1, label`");
            } else if code.is_empty() {
                self.problem(
                    line,
                    format!("the choice `{shown}` of `{name}` has no code"),
                    "write it as `1, label`",
                );
            } else if !code.chars().all(plain) {
                let sentence = format!("the code `{code}` of `{name}` has signs that a code cannot have");
                let help = "use letters, digits, `.`, `-` and `_`, and part choices with `|`";
                self.problem(line, sentence, help);
            }
            if !codes.insert(code) {
                let sentence = format!("`{name}` has the code `{code}` twice");
                self.problem(line, sentence, "give every choice a code of its own");
            } else if field.kind == FieldKind::Checkbox && !columns.insert(checkbox_column(name, code)) {
                let sentence = format!("the code `{code}` of `{name}` has the same column as another code");
                self.problem(line, sentence, "codes of a checkbox must differ in more than case and signs");
            }
        }
    }

    fn finish(mut self) -> Result<(Project, Vec<Problem>), DictionaryError> {
        let project = &mut self.project;
        let Some(first) = project.fields.first() else { return Err(DictionaryError::NoFields) };
        project.record_id_field.clone_from(&first.name);
        project.fields_only = true;
        project.form_events = project
            .instruments
            .iter()
            .map(|form| FormEvent { event: CLASSIC_EVENT.to_owned(), instrument: form.name.clone() })
            .collect();
        self.problems.sort_by_key(|problem| problem.line);
        Ok((self.project, self.problems))
    }
}

const KINDS: [&str; 12] = [
    "text",
    "notes",
    "radio",
    "dropdown",
    "checkbox",
    "calc",
    "file",
    "descriptive",
    "slider",
    "yesno",
    "truefalse",
    "sql",
];

fn kinds() -> String {
    KINDS.map(|kind| format!("`{kind}`")).join(", ")
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.chars().all(plain) && name.starts_with(|c: char| c.is_ascii_lowercase())
}

fn is_blank(row: &StringRecord) -> bool {
    row.iter().all(|cell| cell.trim().is_empty())
}

fn filled(text: String) -> Option<String> {
    if text.trim().is_empty() { None } else { Some(text) }
}

/// `baseline_visit` is shown as `Baseline Visit`, as REDCap itself does with a form it has only the
/// name of.
fn form_label(form: &str) -> String {
    let words = form.split('_').filter(|word| !word.is_empty()).map(|word| {
        let mut letters = word.chars();
        letters
            .next()
            .map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    /// Writes the fields of a project as a data dictionary with all 18 columns. What only the project
    /// XML tells of a field, such as its stop actions, has no place in it.
    pub(crate) fn write_dictionary(project: &Project) -> String {
        let mut rows = csv::Writer::from_writer(Vec::new());
        let mut write = |cells: [&str; 18]| {
            // Writing to memory does not fail.
            let _ = rows.write_record(cells);
        };
        write(COLUMNS.map(|(human, _)| human));
        for field in &project.fields {
            let choices = written_choices(field);
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let yes = |truth: bool| if truth { "y" } else { "" };
            let setting = |name: &str| field.settings.get(name).map_or("", String::as_str);
            let validation = match field.kind {
                FieldKind::Signature => "signature",
                _ => field.validation.as_deref().unwrap_or_default(),
            };
            write([
                &field.name,
                &field.instrument,
                &text(&field.section_header),
                field.kind.name(),
                field.label_html.as_deref().unwrap_or(&field.label),
                &choices,
                &text(&field.note),
                validation,
                &text(&field.min),
                &text(&field.max),
                yes(field.identifier),
                &text(&field.branching),
                yes(field.required),
                setting(ALIGNMENT_SETTING),
                setting(NUMBER_SETTING),
                &text(&field.matrix_group),
                yes(field.matrix_ranking),
                &text(&field.annotation),
            ]);
        }
        rows.into_inner().ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
    }

    fn written_choices(field: &Field) -> String {
        match field.kind {
            FieldKind::Calc => field.calculation.clone().unwrap_or_default(),
            FieldKind::Slider => field.slider_labels.clone().unwrap_or_default(),
            FieldKind::Sql => field.settings.get(SQL_SETTING).cloned().unwrap_or_default(),
            FieldKind::Radio | FieldKind::Dropdown | FieldKind::Checkbox => {
                let choices: Vec<_> =
                    field.choices.iter().map(|Choice { code, label }| format!("{code}, {label}")).collect();
                choices.join(" | ")
            }
            _ => field.settings.get(ONTOLOGY_SETTING).cloned().unwrap_or_default(),
        }
    }

    use super::*;
    use crate::odm::tests::small_project;
    use crate::project::Choice;

    const HEADER: &str = "\"Variable / Field Name\",\"Form Name\",\"Section Header\",\"Field Type\",\"Field Label\",\
        \"Choices, Calculations, OR Slider Labels\",\"Field Note\",\"Text Validation Type OR Show Slider Number\",\
        \"Text Validation Min\",\"Text Validation Max\",Identifier?,\"Branching Logic (Show field only if...)\",\
        \"Required Field?\",\"Custom Alignment\",\"Question Number (surveys only)\",\"Matrix Group Name\",\
        \"Matrix Ranking?\",\"Field Annotation\"";

    fn read(text: &str) -> (Project, Vec<String>) {
        let (project, problems) = read_dictionary(text.as_bytes()).unwrap();
        assert!(problems.iter().all(|problem| problem.help.is_some()), "{problems:?}");
        (project, problems.iter().map(ToString::to_string).collect())
    }

    /// A dictionary of rows that give only name, form, type, label, choices and validation.
    fn short(rows: &str) -> String {
        let rows = rows.lines().map(|row| {
            let mut cells: Vec<String> =
                row.split(';').map(|cell| format!("\"{}\"", cell.trim().replace('"', "\"\""))).collect();
            cells.resize(6, String::new());
            let [name, form, kind, label, choices, validation] = &cells[..] else { panic!("{row}") };
            format!("\n{name},{form},,{kind},{label},{choices},,{validation},,,,,,,,,,")
        });
        HEADER.to_owned() + &rows.collect::<String>()
    }

    #[test]
    fn all_columns_find_their_place() {
        let text = format!(
            "{HEADER}\nrecord_id,baseline_visit,,text,Record ID,,,,,,,,,,,,,\n\
             mood,baseline_visit,\"Your mood\",radio,\"<b>How</b> are you?\",\"1, Fine, thanks | 2, Bad\",note,,,,y,\
             \"[age] > 1\nand [x] = '1'\",y,RH,3,m1,y,@HIDDEN\n\
             age,visit_2,,text,Age,,,int,1,120,,,,,,,,\n\
             bmi,visit_2,,calc,BMI,[a]/[b],,,,,,,,,,,,\n\
             pain,visit_2,,slider,Pain,none | | worst,,number,0,10,,,,,,,,\n\
             sign,visit_2,,file,Sign,,,signature,,,,,,,,,,\n\
             drug,visit_2,,text,Drug,BIOPORTAL:RXNORM,,,,,,,,,,,,\n"
        );
        let (project, problems) = read(&text);
        assert_eq!(problems, [""; 0]);
        assert_eq!(project.record_id_field, "record_id");
        let labels: Vec<_> = project.instruments.iter().map(|form| form.label.as_str()).collect();
        assert_eq!(labels, ["Baseline Visit", "Visit 2"]);
        assert_eq!(project.instruments_of(CLASSIC_EVENT).count(), 2);
        let mood = project.field("mood").unwrap();
        assert_eq!(
            (mood.label.as_str(), mood.label_html.as_deref()),
            ("How are you?", Some("<b>How</b> are you?"))
        );
        assert_eq!(mood.choice_label("1"), Some("Fine, thanks"));
        assert!(mood.identifier && mood.required && mood.matrix_ranking && mood.has_tag("@HIDDEN"));
        assert_eq!(mood.branching.as_deref(), Some("[age] > 1\nand [x] = '1'"));
        assert_eq!(mood.settings["redcap:CustomAlignment"], "RH");
        assert_eq!(mood.settings["redcap:QuestionNumber"], "3");
        assert_eq!((mood.matrix_group.as_deref(), mood.note.as_deref()), (Some("m1"), Some("note")));
        assert_eq!((mood.line.0, project.field("age").map(|age| age.line.0)), (3, Some(5)));
        let field = |name: &str| project.field(name).unwrap();
        assert_eq!(field("age").validation.as_deref(), Some("integer"));
        assert_eq!(field("bmi").calculation.as_deref(), Some("[a]/[b]"));
        assert_eq!(field("pain").slider_labels.as_deref(), Some("none | | worst"));
        assert_eq!(field("sign").kind, FieldKind::Signature);
        assert_eq!(field("drug").settings[ONTOLOGY_SETTING], "BIOPORTAL:RXNORM");
    }

    #[test]
    fn every_encoding_and_delimiter_is_read() {
        let plain = short("record_id;a;text;Größe");
        let swapped = |delimiter: &str| {
            let mut rows = ReaderBuilder::new().has_headers(false).from_reader(plain.as_bytes());
            let rows = rows.records().map(|row| {
                let row = row.unwrap();
                row.iter().map(|cell| format!("\"{cell}\"")).collect::<Vec<_>>().join(delimiter)
            });
            rows.collect::<Vec<_>>().join("\r\n")
        };
        let wide = |bytes: fn(u16) -> [u8; 2]| plain.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
        let windows = WINDOWS_1252.encode(&plain).0.into_owned();
        let mojibake = format!("ï»¿{plain}");
        let damaged = "line 1: the first column name `ï»¿\"Variable / Field Name\"` is damaged and was read as \
                       `Variable / Field Name`";
        let odd = "line 2: the file is not UTF-8 and was read as Windows-1252";
        for (bytes, wanted) in [
            (plain.clone().into_bytes(), None),
            ([b"\xef\xbb\xbf", plain.as_bytes()].concat(), None),
            ([&b"\xff\xfe"[..], &wide(u16::to_le_bytes)].concat(), None),
            ([&b"\xfe\xff"[..], &wide(u16::to_be_bytes)].concat(), None),
            (windows, Some(odd)),
            (mojibake.into_bytes(), Some(damaged)),
            (
                plain.replacen("Variable", "riable", 1).into_bytes(),
                Some(
                    "line 1: the first column name `riable / Field Name` is damaged and was read as `Variable / Field Name`",
                ),
            ),
            (swapped(";").into_bytes(), None),
            (swapped("\t").into_bytes(), None),
            (plain.replace('\n', "\r").into_bytes(), None),
        ] {
            let (project, problems) = read_dictionary(&bytes).unwrap();
            let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
            assert_eq!(problems, wanted.into_iter().collect::<Vec<_>>());
            assert_eq!(project.field("record_id").map(|field| field.label.as_str()), Some("Größe"));
        }
    }

    #[test]
    fn columns_go_by_their_names() {
        let text =
            "field_label,form_name,field_type,field_name,mine,\nID,a,text,record_id,x,\nAge,a,text,age,y,z\n";
        let (project, problems) = read(text);
        assert_eq!(project.field("age").map(|field| field.label.as_str()), Some("Age"));
        assert!(
            problems[0].ends_with("are missing and read as blank")
                && problems[0].contains("`Section Header`")
        );
        assert_eq!(
            problems[1..],
            [
                "line 2: the column `mine` is not known, so what is in it was left out",
                "line 3: column 6 has no name, so what is in it was left out"
            ]
        );
        let seventeen = short("record_id;a;text;ID").replace(",\"Field Annotation\"", "");
        let seventeen = seventeen.strip_suffix(',').unwrap();
        assert_eq!(read(seventeen).1, [""; 0]);
        let more = short("record_id;a;text;ID").replace('\n', ",,,,,,\n") + ",,,,,,";
        assert_eq!(read(&more).1, [""; 0]);
    }

    #[test]
    fn oddities_are_named_with_their_line() {
        for (rows, wanted) in [
            ("Record_ID;a;text;x", "line 2: the variable name `Record_ID` was read as `record_id`"),
            ("1st;a;text;x", "line 2: `1st` is no proper variable name"),
            ("r;a;text;x\nr;a;text;y", "line 3: `r` is defined twice; the second was left out"),
            ("r;a;text;x\nb;;text;y", "line 3: `b` has no form and was read as on `a`"),
            ("r;;text;x", "line 2: `r` has no form and was read as on `form_1`"),
            ("r;My Form;text;x", "line 2: the form name `My Form` was read as `my_form`"),
            ("r;a;text;x\ns;b;text;x\nt;a;text;x", "line 4: the fields of the form `a` are not together"),
            ("r;a;txet;x", "line 2: the field type `txet` of `r` is not known and was read as text"),
            ("r;a;;x", "line 2: `r` has no field type and was read as text"),
            ("r;a;radio;x", "line 2: `r` is of type radio and has no choices"),
            ("r;a;radio;x;1, A | 1, B", "line 2: `r` has the code `1` twice"),
            (
                "r;a;radio;x;1, A | B",
                "line 2: the choice `B` of `r` has no code; its label was taken as code",
            ),
            ("r;a;radio;x;1, A | , B", "line 2: the choice `, B` of `r` has no code"),
            ("r;a;radio;x;1, A | 2 B, C", "line 2: the code `2 B` of `r` has signs that a code cannot have"),
            ("r;a;checkbox;x;a, A | A, B", "line 2: the code `A` of `r` has the same column as another code"),
            (
                "r;a;text;x;1, A",
                "line 2: `r` is of type text and takes no choices; those given were left out",
            ),
            ("r;a;calc;x", "line 2: the calculated field `r` has no formula"),
            (
                "r;a;text;x;;emial",
                "line 2: the validation type `emial` of `r` is not known; any text is taken",
            ),
            ("r;a;notes;x;;email", "line 2: `r` is of type notes and has the validation `email`"),
            (";a;text;x\nr;a;text;x", "line 2: the row has no variable name and was left out"),
        ] {
            let (project, problems) = read(&short(rows));
            assert_eq!(problems, [wanted], "{rows}");
            assert!(!project.fields.is_empty());
        }
    }

    #[test]
    fn a_scattered_form_is_one_instrument() {
        let (project, _) = read(&short("r;a;text;x\ns;b;text;x\nt;a;text;x\nu;b;text;x"));
        assert_eq!(project.instruments.len(), 2);
        assert_eq!(project.fields_of("a").count(), 2);
    }

    #[test]
    fn lines_are_counted_through_blank_rows_and_line_breaks() {
        let text =
            format!("\n{HEADER}\n\n,,,,,,,,,,,,,,,,,\nr,a,,text,\"one\ntwo\",,,,,,,,,,,,,\n\n\ns,a,,bad,x\n");
        let (project, problems) = read(&text);
        assert_eq!(project.field("r").map(|field| field.line.0), Some(5));
        assert_eq!(
            problems,
            [
                "line 9: the row has 5 cells, the column names are 18",
                "line 9: the field type `bad` of `s` is not known and was read as text",
            ]
        );
    }

    #[test]
    fn only_cells_that_say_something_are_too_many() {
        let text = short("r;a;text;x") + ",,,";
        assert_eq!(read(&text).1, [""; 0]);
        assert_eq!(read(&(text + "y")).1, ["line 2: the row has 21 cells, the column names are 18"]);
    }

    #[test]
    fn a_quotation_mark_that_is_never_closed_is_named() {
        let head = "r,a,,text,x,,,,,,,,,,,,,";
        let rest = "s,a,,text,y,,,,,,,,,,,,,\nt,a,,radio,z,\"1, A | 2, B\",,,,,,,,,,,,";
        for (rows, wanted) in [
            (
                format!("{head}\"@HIDDEN\ns,a,,text,y,,,,,,,,,,,,,\nt,a,,text,z,,,,,,,,,,,,,\n"),
                "line 2: a cell of the row holds what looks like the 2 rows below",
            ),
            (
                format!("{head}\"@HIDDEN\ns,a,,text,y,,,,,,,,,,,,,"),
                "line 2: a cell of the row holds what looks like the row below",
            ),
            // A mark further on closes it.
            (
                format!("{head}\"@HIDDEN\n{rest}"),
                "line 2: a cell of the row holds what looks like the row below",
            ),
            (format!("{head}\"@HIDDEN\n"), "line 2: a quotation mark in the row is never closed"),
        ] {
            let (_, problems) = read_dictionary(format!("{HEADER}\n{rows}").as_bytes()).unwrap();
            assert_eq!(problems[0].to_string(), wanted, "{rows}");
            assert_eq!(problems[0].help.as_deref(), Some("close the quotation mark"));
        }
        let (_, problems) = read_dictionary(include_bytes!("../tests/corpus/csv/unclosed.csv")).unwrap();
        let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert!(told.contains(&"line 3: a quotation mark in the row is never closed".to_owned()), "{told:?}");
        // Neither a long text nor a mark that is closed at the end of the file is one.
        let commas = "word, ".repeat(20);
        let text = format!("{HEADER}\nr,a,,descriptive,\"{commas}\n{commas}\",,,,,,,,,,,,,\"@A=\"\"b\"\"\"");
        assert_eq!(read(&text).1, [""; 0]);
    }

    #[test]
    fn other_files_are_refused() {
        for (text, wanted) in [
            ("", "expected a data dictionary, found an empty file"),
            (" \n\n", "expected a data dictionary, found an empty file"),
            (
                "\nname,age\nx,3",
                "line 2: expected the column names of a data dictionary (`Variable / Field Name`, `Form Name`, \
                 …), found 2 cells that are none of them",
            ),
            (HEADER, "expected at least one field below the column names of the data dictionary, found none"),
        ] {
            assert_eq!(read_dictionary(text.as_bytes()).unwrap_err().to_string(), wanted);
        }
    }

    #[test]
    fn the_fields_of_a_project_come_back_as_they_were_written() {
        let project = small_project();
        let (again, problems) = read(&write_dictionary(&project));
        assert_eq!(problems, [""; 0]);
        assert_eq!(again.fields, project.fields);
        assert_eq!(again.record_id_field, project.record_id_field);
    }

    fn some_field() -> impl Strategy<Value = Field> {
        let text = || prop::option::of("[a-z\"',;|\\n éß@\\[\\]=]{0,10}[a-z]");
        let kind = prop::sample::select(vec![
            FieldKind::Text,
            FieldKind::Notes,
            FieldKind::Radio,
            FieldKind::Checkbox,
            FieldKind::Calc,
            FieldKind::Slider,
            FieldKind::YesNo,
        ]);
        (kind, text(), text(), text(), "[a-zé\"',]{1,9}", any::<(bool, bool, bool)>()).prop_map(
            |(kind, note, branching, annotation, label, (identifier, required, matrix_ranking))| Field {
                kind,
                choices: match kind {
                    FieldKind::Radio | FieldKind::Checkbox => {
                        vec![Choice { code: "-1".into(), label: label.clone() }]
                    }
                    kind => fixed_choices(kind),
                },
                calculation: (kind == FieldKind::Calc).then(|| "[a] + 1".to_owned()),
                label,
                note,
                branching,
                annotation,
                identifier,
                required,
                matrix_ranking,
                ..Field::default()
            },
        )
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read_dictionary(&bytes);
            let _ = read_dictionary(&[HEADER.as_bytes(), b"\nr,a,,text,", &bytes].concat());
        }

        #[test]
        fn no_header_makes_the_reader_panic(at in 0..HEADER.len(), cut in 0..60_usize, other in ".{0,5}") {
            let text = short("r;a;text;x;1, A;date\ns;b;radio;x;1, A | 2");
            let mut bytes = text.into_bytes();
            bytes.splice(at..(at + cut), other.into_bytes());
            let _ = read_dictionary(&bytes);
        }

        #[test]
        fn what_is_written_reads_back_the_same(mut fields in prop::collection::vec(some_field(), 1..6)) {
            let mut project = Project::classic("");
            for (index, field) in fields.iter_mut().enumerate() {
                field.name = format!("f{index}");
                field.instrument = "form".to_owned();
            }
            project.fields = fields.into_iter().collect();
            let (again, problems) = read_dictionary(write_dictionary(&project).as_bytes()).unwrap();
            prop_assert_eq!(problems, vec![]);
            prop_assert_eq!(again.fields, project.fields);
        }
    }
}
