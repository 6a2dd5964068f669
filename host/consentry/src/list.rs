//! A list of numbers for the public survey, as the study team keeps it: CSV with a header, and with what documents
//! that each of them may be texted.

use gateway::by_hand::ListRow;
use miette::Diagnostic;

/// The columns.
const COLUMNS: [&str; 4] = ["number", "date", "manner", "documented-by"];

/// Why a list cannot be read. What is in it is not repeated.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub enum ListError {
    /// It has other columns.
    #[error("the list has no column {}", quoted(.missing))]
    #[diagnostic(help(
        "the first line names the columns number,date,manner,documented-by: nobody is texted for the first time without \
         a documented permission, which is when it was given, how (written, verbal-documented, electronic) and who \
         documented it; a plain list of numbers says nothing of that"
    ))]
    Columns {
        /// The columns that are missing.
        missing: Vec<&'static str>,
    },
    /// It is not CSV.
    #[error("line {line} of the list is not CSV")]
    #[diagnostic(help("each line has as many values as the first one has columns, parted by commas"))]
    Csv {
        /// The line.
        line: u64,
    },
}

fn quoted(columns: &[&str]) -> String {
    columns.iter().map(|column| format!("`{column}`")).collect::<Vec<_>>().join(", ")
}

/// Reads a list.
pub fn read(text: &str) -> Result<Vec<ListRow>, ListError> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    // Programs that write tables put a mark before the first column.
    let header = reader.headers().map_err(|error| unreadable(&error))?.clone();
    let named = |wanted: &str| {
        header.iter().position(|name| {
            let name = name.trim_start_matches('\u{feff}').to_lowercase().replace(['_', ' '], "-");
            name == wanted
        })
    };
    let missing: Vec<_> = COLUMNS.into_iter().filter(|column| named(column).is_none()).collect();
    if !missing.is_empty() {
        return Err(ListError::Columns { missing });
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| unreadable(&error))?;
        let line = record.position().map_or(0, |at| at.line() + blank_before(text, at));
        let value = |column: &str| named(column).and_then(|at| record.get(at)).unwrap_or_default().to_owned();
        rows.push(ListRow {
            line,
            number: value("number"),
            date: value("date"),
            manner: value("manner"),
            documented_by: value("documented-by"),
        });
    }
    Ok(rows)
}

/// Blank lines between where a record was looked for and where it is.
fn blank_before(text: &str, at: &csv::Position) -> u64 {
    let rest =
        usize::try_from(at.byte()).ok().and_then(|byte| text.as_bytes().get(byte..)).unwrap_or_default();
    let blank = rest.iter().take_while(|byte| matches!(byte, b'\n' | b'\r'));
    blank.map(|byte| u64::from(*byte == b'\n')).sum()
}

fn unreadable(error: &csv::Error) -> ListError {
    ListError::Csv { line: error.position().map_or(1, csv::Position::line) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_by_its_columns_and_each_row_knows_its_line() {
        let text = "\u{feff}Documented by,Number,Date,Manner\nN. Nurse,617-555-0131,2026-11-01,written\n\nN. Nurse,x,,\n";
        let rows = read(text).unwrap();
        let told: Vec<_> =
            rows.iter().map(|row| (row.line, row.number.as_str(), row.documented_by.as_str())).collect();
        assert_eq!(told, [(2, "617-555-0131", "N. Nurse"), (4, "x", "N. Nurse")]);
    }

    #[test]
    fn a_plain_list_is_refused_and_told_why_without_its_numbers() {
        let error = read("+16175550131\n+16175550132\n").unwrap_err();
        let told = format!("{error} {}", error.help().unwrap());
        assert!(told.contains("no column `number`, `date`"), "{told}");
        assert!(told.contains("documented permission") && !told.contains("555"), "{told}");
    }
}
