//! What a study team sees before its study starts: the page of a simulation and the messaging plan.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use tests::STUDY;

use crate::command_line::{out, run};

/// A text of the study's, as it stands in REDCap.
const INVITATION: &str = "Hi [first_name], your sleep diary is ready: [survey-link]";

/// A study's files: the project XML, the project's file, the records and what people do.
pub(crate) struct Files {
    pub(crate) folder: PathBuf,
}

impl Files {
    /// The study that ships with Consentry, under a title, with some participants: records and numbers.
    pub(crate) fn new(title: &str, participants: &[(&str, &str)]) -> Result<Files> {
        let folder = tests::folder()?;
        let at = |name: &str| folder.join(name);
        let digest = gateway::wording::digest("en", INVITATION);
        let escaped = title.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
        std::fs::write(at("study.xml"), STUDY.replace("Northfield Sleep Study", &escaped))?;
        let settings = format!(
            r#"[schedules]
invitations = ["sleep_diary"]

[protocol]
number = "IRB-2026-0412"
reviewed-by = "local-irb"
approved = 2020-01-15

[messages]
methods = ["sms-link"]
default-method = "sms-link"

[participant]
phone-field = "mobile"
time-zone-field = "zone"

[participant.consent]
given-field = "text_consent_date"
manner = "electronic"
covers = ["sms-link"]

[[approval]]
digest = "{digest}"
by = "N. Reviewer"
approved = 2020-01-20
identifiers = ["first_name"]

[policy.compliance]
grants = ["redcap", "twilio"]

[policy.compliance.settings]
identifiers-allowed = ["first_name"]
link-hosts = ["redcap.example.edu"]
"#
        );
        std::fs::write(at("project.toml"), settings)?;
        let mut records = String::from(
            "record_id,sim_at,first_name,mobile,language,zone,enrolled,text_consent,text_consent_date\n",
        );
        for (n, (record, number)) in participants.iter().enumerate() {
            let zone = ["America/New_York", "America/Los_Angeles", ""][n % 3];
            let consent = if n % 4 == 3 { "" } else { "2026-10-01" };
            let row = format!("\"{record}\",day {} 10:00,Sam,{number},en,{zone},1,1,{consent}\n", n % 5);
            records.push_str(&row);
        }
        std::fs::write(at("records.csv"), records)?;
        std::fs::write(at("answers.txt"), "record 2 on day 2 at 12:00 texts \"STOP\"\n")?;
        Ok(Files { folder })
    }

    /// The page of a simulation of ten days.
    pub(crate) fn page(&self, more: &[&str]) -> Result<String> {
        self.tell("simulate", true, &[&["--html"], more].concat())
    }

    /// The messaging plan, with the calendar of the same days.
    pub(crate) fn plan(&self, settings: bool, more: &[&str]) -> Result<String> {
        self.tell("plan", settings, more)
    }

    fn tell(&self, command: &str, settings: bool, more: &[&str]) -> Result<String> {
        let at = |name: &str| self.folder.join(name).display().to_string();
        let policies = tests::policies().display().to_string();
        let (project, records, answers) = (at("study.xml"), at("records.csv"), at("answers.txt"));
        let mut arguments =
            vec![command, "--project", &project, "--records", &records, "--answers", &answers];
        arguments.extend(["--from", "2026-11-24", "--days", "10", "--zone", "America/New_York"]);
        arguments.extend(["--policies", &policies]);
        let path = at("project.toml");
        if settings {
            arguments.extend(["--settings", &path]);
        }
        arguments.extend(more);
        let output = run(&arguments)?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(out(&output))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Six participants: of one the name looks like HTML, one says STOP, and one did not consent.
pub(crate) const SIX: [(&str, &str); 6] = [
    ("1", "617-555-0121"),
    ("2", "617-555-0122"),
    ("<b>3</b>", "617-555-0124"),
    ("4", "617-555-0125"),
    ("5", "617-555-0126"),
    ("6", "617-555-0127"),
];

/// Every row of every table of a Markdown text has as many cells as its header.
fn tables(markdown: &str) -> Result<usize> {
    let cells = |line: &str| line.replace("\\|", "").matches('|').count();
    let (mut tables, mut fenced, mut width) = (0, false, None);
    for line in markdown.lines() {
        fenced ^= line.starts_with("```");
        if fenced || !line.starts_with('|') {
            width = None;
            continue;
        }
        let expected = *width.get_or_insert_with(|| {
            tables += 1;
            cells(line)
        });
        ensure!(cells(line) == expected, "a row has {} bars and not {expected}: {line}", cells(line));
    }
    Ok(tables)
}

#[test]
fn the_page_of_a_simulation_shows_every_participant_and_no_words_unless_asked() -> Result<()> {
    let files = Files::new("Sleep & <i>Health</i>", &SIX)?;
    let page = files.page(&[])?;
    for (record, _) in SIX.iter().filter(|(record, _)| !record.starts_with('<')) {
        ensure!(page.contains(&format!("<h3>Record {record}</h3>")), "record {record} has no timeline");
        ensure!(
            page.contains(&format!("title=\"record {record}\">{record}</th>")),
            "record {record} has no row"
        );
    }
    for section in ["calendar", "timeline", "not-sent", "hours", "needs", "assumed"] {
        ensure!(
            page.matches(&format!("<section id=\"{section}\"")).count() == 1,
            "`{section}` is not there once"
        );
    }
    ensure!(!page.contains("<dd class=\"value\">0.00</dd>"), "what was sent costs nothing");
    ensure!(page.contains("class=\"mark invitation\"") && page.contains("hollow"), "there is no mark");
    ensure!(!page.contains("your sleep diary is ready"), "the words of a message are shown");
    ensure!(
        !page.contains("Sam") && !page.contains("5550121") && !page.contains("555-0121"),
        "somebody is named"
    );
    ensure!(
        files.page(&["--texts"])?.contains("Hi Sam, your sleep diary is ready"),
        "the words are not shown"
    );
    Ok(())
}

#[test]
fn the_page_needs_nothing_but_itself() -> Result<()> {
    let page = Files::new("Sleep", &SIX)?.page(&[])?;
    let markup = page.split("<style>").next().context("there is no style")?;
    ensure!(!markup.contains("<link"), "a style is loaded");
    for outside in ["src=", "url(", "@import", "http://", "https://"] {
        ensure!(!page.contains(outside), "`{outside}` leads out of the page");
    }
    Ok(())
}

#[test]
fn nothing_that_a_study_team_writes_is_taken_for_html() -> Result<()> {
    let files = Files::new("Sleep & <i>Health</i>", &SIX)?;
    for page in [files.page(&[])?, files.plan(true, &["--html"])?] {
        ensure!(
            !page.contains("<b>3</b>") && !page.contains("<i>Health"),
            "what was written is taken for HTML"
        );
        ensure!(page.contains("&#60;b&#62;3&#60;/b&#62;"), "the record is not shown");
        ensure!(
            page.contains("<h1>Sleep &#38; &#60;i&#62;Health&#60;/i&#62;</h1>"),
            "the title is not shown"
        );
    }
    Ok(())
}

#[test]
fn the_plan_tells_each_text_with_what_makes_it_what_it_measures_and_what_is_approved() -> Result<()> {
    let files = Files::new("Sleep & Health", &SIX)?;
    let plan = files.plan(true, &[])?;
    for promised in [
        "# Messaging plan: Sleep \\& Health",
        "| Protocol | IRB-2026-0412, reviewed by the institution’s own IRB, approved 15 January 2020 |",
        "| `quiet-until` | When the daytime begins, as HH:MM. **08:00** (as it comes) |",
        "- **Id**: `asi/sleep_diary`, invitation to a survey",
        "- **When**: at once",
        "- **To**: the participant",
        "[enrolled] = '1'",
        "Its condition must still hold at the moment when it goes out.",
        INVITATION,
        "- **Filled in**: `[first_name]`, `[survey-link]`",
        "- **Identifiers filled in**: `first_name`",
        "- **Opt-out**: “Reply STOP to end texts.” is added to it",
        "- **Approval**: approved 20 January 2020, by N. Reviewer; it names `first_name`",
        &gateway::wording::digest("en", INVITATION),
        "| `quiet-hours` | Participants get texts and calls only in the daytime",
        "47 CFR 64.1200(c)(1)",
        "| redcap.example.edu |",
        "are samples, which nobody has approved",
        "## Simulated calendar",
    ] {
        ensure!(plan.contains(promised), "the plan does not say `{promised}`:\n{plan}");
    }
    ensure!(!plan.contains("sandbox.example"), "the plan speaks of the simulation's hosts");
    for number in ["617-555", "+1617", "6175550"] {
        ensure!(!plan.contains(number), "a number is in the plan");
    }
    ensure!(tables(&plan)? >= 9, "there are not as many tables");
    ensure!(plan.matches("### Text ").count() == 1, "a text is told twice");
    Ok(())
}

#[test]
fn what_nobody_approved_is_not_approved_in_a_plan_without_settings() -> Result<()> {
    let files = Files::new("Sleep", &SIX)?;
    let plan = files.plan(false, &[])?;
    ensure!(!plan.contains("**Approval**: approved"), "something counts as approved");
    ensure!(plan.contains("- **Approval**: not approved"), "the samples are not told");
    ensure!(plan.contains("are samples, which nobody has approved"), "it is not told that they are samples");
    tables(&plan).map(|_| ())
}

#[test]
fn of_a_thousand_participants_all_are_counted_and_the_first_are_shown() -> Result<()> {
    let names: Vec<_> = (1..=230).map(|n| (n.to_string(), format!("617-555-{:04}", 100 + n % 100))).collect();
    let participants: Vec<_> = names.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let files = Files::new("Sleep", &participants)?;
    let page = files.page(&[])?;
    ensure!(page.contains("The first 200 of 230 participants are shown one by one"), "it is not told");
    ensure!(page.matches("<article class=\"lane\"").count() == 200, "another number of them is shown");
    ensure!(page.contains("<dt>participants</dt><dd class=\"value\">230</dd>"), "not all are counted");
    Ok(())
}
