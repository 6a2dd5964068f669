//! `consentry redcap`: REDCap's language on a file, without a server. What a project holds and what
//! is wrong with it; what a condition, a calculation or a text comes to for one of its records.

mod inspect;
mod recalculate;

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use miette::{GraphicalReportHandler, GraphicalTheme, IntoDiagnostic, Report, WrapErr, miette};
use redcap::logic::{self, Context, Standing, Value, evaluate, parse};
use redcap::odm::XmlError;
use redcap::pipe::{LinkKind, pipe};
use redcap::project::Project;
use redcap::record::checkbox_column;
use redcap::{Place, Record};
use serde_json::{Value as Json, json};

use crate::problem::Problem;

/// What can be asked.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what a project holds, every problem in it, and which surveys a phone cannot take
    Inspect {
        /// A project XML file or a data dictionary CSV
        file: PathBuf,
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Evaluate a condition or a formula
    Eval {
        /// As it would be written in REDCap
        expression: String,
        #[command(flatten)]
        at: At,
    },
    /// Compute each calculated field of each record, and compare it with what is stored
    Recalculate {
        /// A project XML file with records
        file: PathBuf,
        /// The moment of the calculations, as in `2026-11-23 10:00`; without it, when the file was exported, or else this machine's
        #[arg(long, value_name = "TIME")]
        now: Option<String>,
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Fill a text with what a record holds
    Pipe {
        /// As it would be written in an invitation or an alert
        text: String,
        /// The text is HTML and is turned into plain text first, as for a text message
        #[arg(long)]
        html: bool,
        #[command(flatten)]
        at: At,
    },
    /// Print the reference: the language, its functions, and each choice where nothing is documented
    Reference {
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Where in a project something is evaluated, and when.
#[derive(Debug, Args)]
pub struct At {
    /// A project XML file or a data dictionary CSV
    #[arg(long, value_name = "FILE")]
    project: PathBuf,
    /// One of the file's records; without it, one that holds nothing
    #[arg(long)]
    record: Option<String>,
    /// The event, by its unique name; without it, the first one
    #[arg(long)]
    event: Option<String>,
    /// The repeating instrument within which it is evaluated
    #[arg(long)]
    instrument: Option<String>,
    /// Which repeat, counted from 1
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    instance: u32,
    /// A value to try, in place of the record's: `--set age=34`, `--set "symptoms(1)=1"`
    #[arg(long, value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// The server's local time, as in `2026-11-23 10:00`; without it, this machine's
    #[arg(long, value_name = "TIME")]
    now: Option<String>,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// Answers, and ends with 1 if there are problems.
pub fn run(command: &Command, out: impl Write) -> miette::Result<ExitCode> {
    answer(command, Heard(out))
}

/// What nobody reads any more is not written, and that is no failure: `… | head` has what it wanted.
struct Heard<W>(W);

impl<W: Write> Write for Heard<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.0.write(bytes) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(bytes.len()),
            other => other,
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self.0.flush() {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }
}

fn answer(command: &Command, mut out: impl Write) -> miette::Result<ExitCode> {
    let sound = match command {
        Command::Inspect { file, json } => inspect::inspect(file, *json, &mut out)?,
        Command::Eval { expression, at } => eval(expression, at, &mut out)?,
        Command::Recalculate { file, now, json } => {
            recalculate::recalculate(file, now.as_deref(), *json, &mut out)?
        }
        Command::Pipe { text, html, at } => piped(text, *html, at, &mut out)?,
        Command::Reference { json } => {
            let text = redcap::manual::REFERENCE;
            if *json {
                print_json(&mut out, &redcap::manual::as_json())?;
            } else {
                write!(out, "{text}").into_diagnostic()?;
            }
            true
        }
    };
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn eval(text: &str, at: &At, out: &mut impl Write) -> miette::Result<bool> {
    let scene = Scene::new(at)?;
    scene.mention_problems()?;
    let context = scene.context();
    let parsed = parse(text);
    let (found, value, printed) = match &parsed {
        Ok(expression) => {
            let standing = Standing { event: Some(scene.place.event_name()) };
            let findings = logic::check(expression, &scene.project, standing);
            let mut found: Vec<Found> =
                findings.into_iter().map(|finding| (finding.at, finding.sentence, finding.help)).collect();
            if let Some((reference, what)) = logic::untold(expression, &context) {
                let sentence = format!("`{reference}` needs to know {what}, so that it is blank here");
                found.push((0..text.len(), sentence, String::new()));
            }
            (found, Some(evaluate(expression, &context)), Some(expression.to_string()))
        }
        Err(mistakes) => {
            let found = mistakes.iter().cloned().map(|mistake| (mistake.at, mistake.sentence, mistake.help));
            (found.collect(), None, None)
        }
    };
    if at.json {
        let (kind, shown) = value
            .as_ref()
            .map_or((Json::Null, Json::Null), |value| (kind(value).into(), value.text().into_owned().into()));
        let answer = json!({
            "expression": text,
            "read_as": printed,
            "kind": kind,
            "value": shown,
            "holds": value.as_ref().map(Value::is_true),
            "problems": problems_json(&found),
        });
        print_json(out, &answer)?;
    } else {
        if let Some(value) = &value {
            let shown = match value {
                Value::Blank => "(blank)".to_owned(),
                Value::Truth(truth) => truth.to_string(),
                value => value.text().into_owned(),
            };
            writeln!(out, "{shown}").into_diagnostic()?;
        }
        draw(&mut std::io::stderr(), "expression", text, &found)?;
    }
    Ok(found.is_empty())
}

fn kind(value: &Value<'_>) -> &'static str {
    match value {
        Value::Blank => "blank",
        Value::Missing(_) => "missing data code",
        Value::Number(_) | Value::Stored(..) => "number",
        Value::Text(_) => "text",
        Value::Truth(_) => "truth",
    }
}

fn piped(text: &str, html: bool, at: &At, out: &mut impl Write) -> miette::Result<bool> {
    let scene = Scene::new(at)?;
    scene.mention_problems()?;
    let template = if html { redcap::html::html_to_text(text) } else { text.to_owned() };
    // Only the server knows its links, so each is shown as what it would lead to.
    let piped = pipe(&template, &scene.context(), &|wanted| {
        let form = wanted.instrument.as_deref().map(|form| format!(" {form}")).unwrap_or_default();
        let what = match wanted.kind {
            LinkKind::Survey => "link to the survey",
            LinkKind::SurveyQueue => "link to the survey queue",
            LinkKind::Form => "link to the form",
            LinkKind::SurveyAccessCode => "access code of the survey",
            LinkKind::SurveyReturnCode => "return code of the survey",
        };
        Some(format!("<{what}{form} at {}>", wanted.event))
    });
    let found: Vec<Found> = piped
        .problems
        .iter()
        .map(|problem| (problem.at.clone(), problem.sentence.clone(), String::new()))
        .collect();
    if at.json {
        let filled = piped.filled.iter().map(
            |filled| json!({ "field": filled.field, "identifier": filled.identifier, "blank": filled.blank }),
        );
        let answer = json!({
            "template": template,
            "text": piped.text,
            "filled": filled.collect::<Vec<_>>(),
            "links": piped.links,
            "codes": piped.codes,
            "problems": problems_json(&found),
        });
        print_json(out, &answer)?;
    } else {
        writeln!(out, "{}", piped.text).into_diagnostic()?;
        for filled in &piped.filled {
            let marks = [(filled.identifier, "identifier"), (filled.blank, "blank")];
            let marks: Vec<&str> = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect();
            if !marks.is_empty() {
                writeln!(std::io::stderr(), "  `{}`: {}", filled.field, marks.join(", "))
                    .into_diagnostic()?;
            }
        }
        draw(&mut std::io::stderr(), "text", &template, &found)?;
    }
    Ok(found.is_empty())
}

/// A record of a project at a place and a moment.
struct Scene {
    project: Project,
    /// How many problems the file has.
    problems: usize,
    record: Record,
    place: Place,
    now: DateTime,
}

impl Scene {
    fn new(at: &At) -> miette::Result<Self> {
        let (project, problems) = read(&at.project)?;
        let mut record = match &at.record {
            None => Record::new(""),
            Some(id) => record(&project, id)?.clone(),
        };
        let event = match &at.event {
            None => project.events.first().map(|event| event.unique_name.clone()),
            Some(event) if project.event(event).is_some() => Some(event.clone()),
            Some(event) => {
                let known: Vec<&str> =
                    project.events.iter().map(|event| event.unique_name.as_str()).collect();
                let help = format!("the events are {}", known.join(", "));
                return Err(miette!(help = help, "there is no event `{event}`"));
            }
        };
        if let Some(form) = at.instrument.as_deref().filter(|form| project.instrument(form).is_none()) {
            let known: Vec<&str> = project.instruments.iter().map(|form| form.name.as_str()).collect();
            let help = format!("the instruments are {}", known.join(", "));
            return Err(miette!(help = help, "there is no instrument `{form}`"));
        }
        let event = event.unwrap_or_default();
        let place = match &at.instrument {
            Some(form) => Place::of(&project, &event, form, at.instance),
            None => Place { instance: at.instance, ..Place::at(&event) },
        };
        if at.instance > 1 && place.instrument.is_none() && !project.event_repeats(&event) {
            let help = "name a repeating instrument with --instrument, or leave --instance out";
            return Err(miette!(
                help = help,
                "nothing repeats there, so that there is no instance {}",
                at.instance
            ));
        }
        for pair in &at.set {
            set(&project, &mut record, &place, pair)?;
        }
        let now = match &at.now {
            Some(text) => moment(text)?,
            None => here_and_now(),
        };
        Ok(Self { project, problems: problems.len(), record, place, now })
    }

    /// Says that the file has problems, beside the answer and not in it: the answer may be right all the same.
    fn mention_problems(&self) -> miette::Result<()> {
        let count = match self.problems {
            0 => return Ok(()),
            1 => "1 problem".to_owned(),
            count => format!("{count} problems"),
        };
        writeln!(std::io::stderr(), "the file has {count}; `consentry redcap inspect` shows them")
            .into_diagnostic()
    }

    fn context(&self) -> Context<'_> {
        Context::new(&self.project, &self.record, &self.place, self.now)
    }
}

/// Puts a value into the record at the place at hand, or where its form stands at the event.
fn set(project: &Project, record: &mut Record, place: &Place, pair: &str) -> miette::Result<()> {
    let Some((name, value)) = pair.split_once('=') else {
        return Err(miette!(help = "write it as in --set age=34", "`{pair}` is no field and value"));
    };
    let name = name.trim().trim_start_matches('[').trim_end_matches(']');
    let (name, code) = match name.split_once('(') {
        Some((name, code)) => (name, Some(code.trim_end_matches(')'))),
        None => (name, None),
    };
    if name.eq_ignore_ascii_case(&project.record_id_field) {
        value.clone_into(&mut record.id);
        return Ok(());
    }
    let instrument = match (project.field(name), project.status_of(name)) {
        (Some(field), _) => &field.instrument,
        (None, Some(instrument)) => &instrument.name,
        (None, None) => return Err(miette!("there is no field `{name}`")),
    };
    let place = Place::of(project, place.event_name(), instrument, place.instance);
    let column = code.map_or_else(|| name.to_owned(), |code| checkbox_column(name, code));
    record.set(&column, &place, value.trim());
    Ok(())
}

fn record<'a>(project: &'a Project, id: &str) -> miette::Result<&'a Record> {
    project.records.iter().find(|record| record.id == id).ok_or_else(|| {
        // Not which: they may be hospital numbers.
        let help = match project.records.len() {
            0 => "the file holds no records; export the project with its data".to_owned(),
            1 => "the file holds 1 record".to_owned(),
            count => format!("the file holds {count} records"),
        };
        miette!(help = help, "there is no record `{id}` in the file")
    })
}

/// A project from its XML, or from its data dictionary.
fn read(path: &Path) -> miette::Result<(Project, Vec<redcap::Problem>)> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).into_diagnostic().wrap_err_with(|| format!("cannot read `{name}`"))?;
    // Whatever the encoding, the first sign of XML is `<`, perhaps behind a mark of the byte order.
    let first = bytes
        .iter()
        .find(|byte| !matches!(byte, 0 | 0xef | 0xbb | 0xbf | 0xfe | 0xff | b' ' | b'\t' | b'\r' | b'\n'));
    if first == Some(&b'<') {
        redcap::odm::read_project(&bytes)
            .map_err(|error| drawn(&name, &bytes, error))
            .wrap_err_with(|| format!("`{name}` is no project"))
    } else {
        // Its error has the line of the column names, which may be a participant's row where there are none.
        redcap::dictionary::read_dictionary(&bytes)
            .into_diagnostic()
            .wrap_err_with(|| format!("`{name}` is neither project XML nor a data dictionary"))
    }
}

/// Why a file is no project, with the line of the file if that may be shown.
fn drawn(name: &str, bytes: &[u8], error: XmlError) -> Report {
    let text = String::from_utf8_lossy(bytes);
    let (XmlError::Unexpected { line, .. } | XmlError::Broken { line, .. }) = &error;
    let is_project = text.contains("<ODM");
    let shown = Lines::of(&text).get(*line).map(|text| {
        // Records that were exported without their project are XML too. Of those only the first tag is shown.
        let end = text.find('>').filter(|_| !is_project).map_or(text.len(), |at| at + 1);
        (*line, &text[..end])
    });
    let Some((line, shown)) = shown.filter(|(_, shown)| is_project || shown.ends_with('>')) else {
        return Report::from_err(error);
    };
    let reason = error.source().map(|reason| format!(": {reason}")).unwrap_or_default();
    let begin = shown.len() - shown.trim_start().len();
    let at = begin..shown.trim_end().len().max(begin);
    Report::new(Problem::new(&format!("{name}:{line}"), shown, at, format!("{error}{reason}"), None))
}

/// The lines of a file that may be shown to whoever looks for what is wrong with it.
struct Lines<'a> {
    lines: Vec<&'a str>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        // Two bytes to a sign: nothing can be told of such a text.
        let text = if text.contains('\0') { "" } else { text };
        // Records stand at the end, and what participants have said is not drawn on a screen.
        let lines = text.lines().take_while(|line| !line.contains("<ClinicalData")).collect();
        Self { lines }
    }

    /// A line, counted from 1, unless it is too long to be looked at.
    fn get(&self, line: usize) -> Option<&'a str> {
        const LONGEST: usize = 300;
        let line = line.checked_sub(1).and_then(|at| self.lines.get(at)).copied();
        line.filter(|line| !line.trim().is_empty() && line.len() <= LONGEST)
    }
}

/// What this machine's clock on the wall shows.
fn here_and_now() -> DateTime {
    TimeZone::system().to_datetime(gateway::Clock::System.now())
}

fn moment(text: &str) -> miette::Result<DateTime> {
    let text = text.trim();
    let at = if text.contains([' ', 'T']) { text.replacen(' ', "T", 1) } else { format!("{text}T00:00") };
    at.parse().map_err(|_| miette!(help = "write it as in 2026-11-23 10:00", "`{text}` is no date and time"))
}

/// A place in a text, what is wrong there, and what to do.
type Found = (Range<usize>, String, String);

fn problems_json(found: &[Found]) -> Vec<Json> {
    let problem = |(at, sentence, help): &Found| json!({ "from": at.start, "to": at.end, "sentence": sentence, "help": help });
    found.iter().map(problem).collect()
}

fn print_json(out: &mut impl Write, value: &Json) -> miette::Result<()> {
    let text = serde_json::to_string_pretty(value).into_diagnostic()?;
    writeln!(out, "{text}").into_diagnostic()
}

/// Draws problems with the text they are in.
fn draw(out: &mut impl Write, name: &str, text: &str, found: &[Found]) -> miette::Result<()> {
    let theme = if std::io::stdout().is_terminal() {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(110);
    for (at, sentence, help) in found {
        let help = Some(help.clone()).filter(|help| !help.is_empty());
        let mut drawn = String::new();
        handler
            .render_report(&mut drawn, &Problem::new(name, text, at.clone(), sentence.as_str(), help))
            .into_diagnostic()?;
        writeln!(out, "{}", drawn.trim_end()).into_diagnostic()?;
    }
    Ok(())
}
