//! A real project, published by the hospital that ran it, over fourteen days: what each patient gets is what the
//! project's conditions call for, derived by hand in `tests/monitoring/expected.txt`. The project is not ours to
//! ship: it is used where `CONSENTRY_CORPUS` names its folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use consentry::simulate::{Form, Options, Simulation, report};
use tests::{policies, workspace};

/// Where the project is; none, said plainly, where there is no corpus.
fn project() -> Option<PathBuf> {
    let corpus = std::env::var_os("CONSENTRY_CORPUS")?;
    let path = Path::new(&corpus).join("redcap-projects/rmh-covid-home-monitoring.xml");
    path.exists().then_some(path)
}

fn options(project: PathBuf) -> Options {
    let folder = workspace().join("tests/monitoring");
    Options {
        project,
        records: folder.join("records.csv"),
        answers: Some(folder.join("script.txt")),
        settings: Some(folder.join("settings.toml")),
        assume: true,
        from: "2020-05-04 09:00".into(),
        days: 14,
        zone: "Australia/Melbourne".into(),
        policies: Some(policies()),
        form: Form::default(),
        texts: false,
    }
}

#[expect(clippy::print_stderr, reason = "what is not tested is said plainly")]
async fn fourteen_days() -> Result<Option<Simulation>> {
    let Some(project) = project() else {
        eprintln!("not tested: the project is not here; CONSENTRY_CORPUS names the folder of the corpus");
        return Ok(None);
    };
    let simulation = consentry::simulate::simulate(&options(project)).await;
    simulation.map(Some).map_err(|error| anyhow!("{error:?}"))
}

/// Patient by patient, lines in the form "day 5 11:00 alert alert/…", sorted.
type Expected = BTreeMap<String, BTreeSet<String>>;

fn expected(text: &str) -> Result<Expected> {
    let mut expected = Expected::new();
    let mut patient = String::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        if let Some(rest) = line.strip_prefix("patient ") {
            rest.split(':').next().context("a number")?.clone_into(&mut patient);
            expected.entry(patient.clone()).or_default();
            continue;
        }
        let line = line.trim();
        let (held, line) = line.strip_prefix("held ").map_or(("", line), |rest| ("held ", rest));
        let lines = expected.get_mut(&patient).context("a patient")?;
        match line.strip_prefix("days ") {
            Some(rest) => {
                let (days, what) = rest.split_once(' ').context("what?")?;
                let (first, last) = days.split_once('-').context("from when until when?")?;
                for day in first.parse::<u32>()?..=last.parse()? {
                    let what = what.replace("{day}", &day.to_string());
                    lines.insert(format!("{held}day {day} {what}"));
                }
            }
            None => {
                lines.insert(format!("{held}{line}"));
            }
        }
    }
    Ok(expected)
}

#[tokio::test]
async fn each_patient_gets_what_the_projects_conditions_call_for() -> Result<()> {
    let Some(simulation) = fourteen_days().await? else { return Ok(()) };
    let text = std::fs::read_to_string(workspace().join("tests/monitoring/expected.txt"))?;
    let mut came_out = Expected::new();
    for patient in 1..=8 {
        came_out.insert(patient.to_string(), BTreeSet::new());
    }
    let first = simulation.from.date();
    for line in &simulation.messages {
        let record = line.record.clone().context("each is about somebody")?;
        let schedule = line.schedule.as_deref().unwrap_or("-");
        let day = line.at.date().since(first)?.get_days();
        let time = line.at.strftime("%H:%M");
        let told = match (line.sent, line.state, &line.rule) {
            (true, ..) => format!("day {day} {time} {} {schedule}", line.purpose),
            (false, "held", Some(rule)) => format!("held day {day} {time} {rule} {schedule}"),
            _ => continue,
        };
        came_out.get_mut(&record).context("a patient")?.insert(told);
    }
    for (patient, wanted) in expected(&text)? {
        assert_eq!(came_out[&patient], wanted, "patient {patient}");
    }
    Ok(())
}

#[tokio::test]
async fn it_is_told_which_alerts_are_held_by_which_rule_and_what_would_release_them() -> Result<()> {
    let Some(simulation) = fourteen_days().await? else { return Ok(()) };
    let needing = |rule: &str| {
        let needs = |needs: &[consentry::simulate::needs::Need]| needs.iter().any(|need| need.rule == rule);
        simulation.needs.iter().filter(|(_, all)| needs(all)).map(|(id, _)| id.as_str()).collect::<Vec<_>>()
    };
    // Of the 128 alerts that are active 91 go to an address that is written out; one of those by e-mail goes to
    // staff by a condition alone.
    let to_staff = needing("floor.staff");
    assert_eq!(to_staff.len(), 91);
    let by_text =
        to_staff.iter().filter(|id| !id.contains("email") && !id.contains("required-staff")).count();
    assert_eq!(by_text, 60);
    // Every text to staff names the patient.
    assert_eq!(needing("floor.staff-identifier").len(), 91);
    assert!(needing("floor.identifier").is_empty(), "patients are called by a field that is not marked");
    let told = report::text(&simulation);
    assert!(told.contains("what an institution would write"), "{told}");
    assert!(told.contains("[[staff]]") && told.contains("identifiers = [\"calc_name_display\"]"), "{told}");
    Ok(())
}
