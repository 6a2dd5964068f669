//! `consentry redcap` as a study's staff meet it: a project inspected, its logic, calculations and texts
//! tried, without a server.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use redcap::dictionary::read_dictionary;
use redcap::odm::write_project;
use redcap::{Place, Record};
use serde_json::Value;

use crate::command_line::{out, run};

/// A data dictionary with one mistake of each kind.
const BROKEN: &str = r#"field_name,form_name,section_header,field_type,field_label,select_choices_or_calculations,field_note,text_validation_type_or_show_slider_number,text_validation_min,text_validation_max,identifier,branching_logic,required_field,custom_alignment,question_number,matrix_group_name,matrix_ranking,field_annotation
record_id,start,,text,Record,,,,,,,,,,,,,
sex,start,,radio,Sex,"1, Female | 2, Male",,,,,,,,,,,,
due,start,,text,Due date,,,date_ymd,,,,"[sex] = '3'",,,,,,
weeks,start,,calc,Weeks,"round([days] / 7",,,,,,,,,,,,
days,start,,calc,Days,"[weeks] + datediff([due], 'today', 'd')",,,,,,,,,,,,
greeting,start,,blob,"Hello [frist_name]",,,,,,,,,,,,,
"#;

/// The same without mistakes, and with more to calculate.
const SOUND: &str = r#"field_name,form_name,section_header,field_type,field_label,select_choices_or_calculations,field_note,text_validation_type_or_show_slider_number,text_validation_min,text_validation_max,identifier,branching_logic,required_field,custom_alignment,question_number,matrix_group_name,matrix_ranking,field_annotation
record_id,start,,text,Record,,,,,,,,,,,,,
first_name,start,,text,First name,,,,,,y,,,,,,,
weight,start,,text,Weight,,,number,,,,,,,,,,
height,start,,text,Height,,,integer,,,,,,,,,,
visit,start,,text,Visit,,,date_dmy,,,,,,,,,,
bmi,start,,calc,BMI,"round([weight] / ([height] / 100)^2, 1)",,,,,,,,,,,,
band,start,,text,Band,,,,,,,,,,,,,"@CALCTEXT(if([bmi] >= 25, 'high', 'low'))"
next,start,,text,Next visit,,,date_dmy,,,,,,,,,,"@CALCDATE([visit], 7, 'd')"
waiting,start,,calc,Days since,"datediff([visit], 'today', 'd')",,,,,,,,,,,,
"#;

/// A folder with both dictionaries, and a project XML with three records.
fn files() -> Result<PathBuf> {
    let folder = tests::folder()?;
    std::fs::write(folder.join("broken.csv"), BROKEN)?;
    std::fs::write(folder.join("sound.csv"), SOUND)?;
    let (mut project, problems) = read_dictionary(SOUND.as_bytes())?;
    anyhow::ensure!(problems.is_empty(), "{problems:?}");
    for (id, values) in [
        (
            "1",
            "first_name=Ann;weight=80;height=180;visit=2026-11-20;bmi=24.7;band=low;next=2026-11-27;waiting=3",
        ),
        ("2", "weight=55.6;height=180;bmi=17.3;band=low;start_complete=2"),
        ("3", "first_name=Cy"),
    ] {
        let mut record = Record::new(id);
        let place = Place::at(redcap::project::CLASSIC_EVENT);
        record.set("record_id", &place, id);
        for pair in values.split(';') {
            let (name, value) = pair.split_once('=').context("a pair")?;
            record.set(name, &place, value);
        }
        project.records.push(record);
    }
    std::fs::write(folder.join("study.xml"), write_project(&project))?;
    Ok(folder)
}

fn told(folder: &Path, arguments: &[&str]) -> Result<(bool, String)> {
    let arguments: Vec<String> = arguments
        .iter()
        .map(|argument| match argument.strip_prefix("./") {
            Some(name) => folder.join(name).display().to_string(),
            None => (*argument).to_owned(),
        })
        .collect();
    let mut all = vec!["redcap"];
    all.extend(arguments.iter().map(String::as_str));
    let output = run(&all)?;
    let text = format!("{}{}", out(&output), String::from_utf8_lossy(&output.stderr));
    Ok((output.status.success(), text))
}

#[test]
fn an_inspection_tells_what_a_project_holds_and_what_is_wrong_with_it() -> Result<()> {
    let folder = files()?;
    let (ok, text) = told(&folder, &["inspect", "./broken.csv"])?;
    assert!(!ok, "problems end with 1");
    for promised in [
        "the field type `blob`",
        "broken.csv:4, the branching logic of `due`",
        "this comparison never holds",
        "the codes of `sex` are `1`, `2`",
        "this parenthesis is never closed",
        "round([days] / 7",
        "──",
        "there is no field `frist_name`",
        "4 problems",
    ] {
        assert!(text.contains(promised), "the inspection lacks `{promised}`:\n{text}");
    }

    let (ok, text) = told(&folder, &["inspect", "./study.xml", "--json"])?;
    assert!(ok, "{text}");
    let told: Value = serde_json::from_str(&text)?;
    assert_eq!(told["counts"]["calculated_fields"], 4);
    assert_eq!(told["counts"]["records"], 3);
    assert_eq!(told["problems"], serde_json::json!([]));
    Ok(())
}

#[test]
fn an_expression_is_evaluated_for_a_record_at_a_moment() -> Result<()> {
    let folder = files()?;
    let at = ["--project", "./study.xml", "--record", "1", "--now", "2026-11-23 10:00"];
    for (expression, wanted) in [
        ("[weight] >= 80 and [first_name] <> ''", "true\n"),
        ("datediff([visit], 'today', 'd')", "3\n"),
        ("upper([first_name])", "ANN\n"),
        ("if([weight] = '', 1, '')", "(blank)\n"),
    ] {
        let (ok, text) = told(&folder, &[&["eval", expression][..], &at].concat())?;
        assert!(ok && text == wanted, "{expression}: {text}");
    }
    let (ok, text) = told(&folder, &[&["eval", "[wieght] > 3 and rond(1) = 'x"][..], &at].concat())?;
    assert!(!ok);
    for promised in ["did you mean `round`?", "the quotation mark is never closed", "────"] {
        assert!(text.contains(promised), "lacks `{promised}`: {text}");
    }
    let (ok, text) = told(&folder, &[&["eval", "[wieght] > 3", "--json"][..], &at].concat())?;
    let told: Value = serde_json::from_str(&text)?;
    assert!(!ok);
    assert_eq!(told["holds"], false);
    assert_eq!(told["problems"][0]["help"], "did you mean `weight`?");
    Ok(())
}

#[test]
fn a_value_can_be_tried_without_a_record() -> Result<()> {
    let folder = files()?;
    let set = ["--project", "./sound.csv", "--set", "weight=80", "--set", "height=180"];
    let (ok, text) =
        told(&folder, &[&["eval", "round([weight] / ([height] / 100)^2, 1)"][..], &set].concat())?;
    assert!(ok && text == "24.7\n", "{text}");
    // A dictionary tells nothing of events, so naming one is no mistake.
    let (ok, text) = told(&folder, &[&["eval", "[baseline_arm_1][weight] = ''"][..], &set].concat())?;
    assert!(ok && text == "true\n", "{text}");
    let (ok, text) = told(&folder, &["eval", "1", "--project", "./sound.csv", "--instance", "2"])?;
    assert!(!ok && text.contains("nothing repeats there"), "{text}");
    let (ok, text) = told(&folder, &["eval", "[record-dag-name] = 'a'", "--project", "./sound.csv"])?;
    assert!(!ok && text.contains("needs to know the record's data access group"), "{text}");
    Ok(())
}

#[test]
fn stored_calculations_are_compared_with_what_comes_out() -> Result<()> {
    let folder = files()?;
    let (ok, text) = told(&folder, &["recalculate", "./study.xml", "--now", "2026-11-23", "--json"])?;
    assert!(!ok, "a difference ends with 1");
    let told: Value = serde_json::from_str(&text)?;
    assert_eq!((&told["equal"], &told["different"]), (&10.into(), &1.into()), "{text}");
    let values = told["values"].as_array().context("the values")?;
    let different: Vec<&Value> = values.iter().filter(|value| value["equal"] == false).collect();
    assert_eq!(different[0]["record"], "2");
    assert_eq!((&different[0]["stored"], &different[0]["computed"]), (&"17.3".into(), &"17.2".into()));
    Ok(())
}

#[test]
fn a_text_is_filled_and_says_what_went_in() -> Result<()> {
    let folder = files()?;
    let text = "Hi [first_name], see you on [next]. [survey-link]";
    let (ok, shown) = told(&folder, &["pipe", text, "--project", "./study.xml", "--record", "1"])?;
    assert!(ok && shown.contains("Hi Ann, see you on 27-11-2026."), "{shown}");
    assert!(shown.contains("`first_name`: identifier"), "{shown}");
    let (ok, shown) = told(&folder, &["pipe", "[last_name]", "--project", "./study.xml", "--json"])?;
    let shown: Value = serde_json::from_str(&shown)?;
    assert!(!ok && shown["problems"][0]["sentence"].as_str().is_some_and(|s| s.contains("`last_name`")));
    Ok(())
}

#[test]
fn the_reference_is_in_the_program() -> Result<()> {
    let (ok, text) = told(Path::new(""), &["reference"])?;
    assert!(ok);
    for promised in [
        "`datediff(from, until, unit, format, signed)`",
        "`[survey-queue-url]`",
        "Where nothing is documented",
    ] {
        assert!(text.contains(promised), "the reference lacks `{promised}`");
    }
    Ok(())
}

#[test]
fn a_file_that_is_no_project_is_refused_in_words() -> Result<()> {
    let folder = files()?;
    std::fs::write(folder.join("page.html"), "<html><body>Log in</body></html>")?;
    let (ok, text) = told(&folder, &["inspect", "./page.html"])?;
    assert!(!ok && text.contains("expected a CDISC ODM document"), "{text}");
    let (ok, text) = told(&folder, &["eval", "1", "--project", "./study.xml", "--record", "9"])?;
    assert!(!ok && text.contains("there is no record `9`"), "{text}");
    assert!(text.contains("the file holds 3 records"), "{text}");
    Ok(())
}

#[test]
fn a_broken_file_is_drawn_where_it_breaks_but_no_participants_line_is() -> Result<()> {
    let folder = files()?;
    let study = std::fs::read_to_string(folder.join("study.xml"))?;
    let broken = study.replacen("</StudyName>", "</StudyNam>", 1);
    std::fs::write(folder.join("broken.xml"), broken)?;
    let (ok, text) = told(&folder, &["inspect", "./broken.xml"])?;
    assert!(!ok && text.contains("the XML is broken"), "{text}");
    assert!(text.contains("</StudyNam>") && text.contains("───"), "{text}");

    let secret = study.replacen("Value=\"Ann\"/>", "Value=\"Ann\"></Broken>", 1);
    anyhow::ensure!(secret != study, "nobody is called Ann");
    std::fs::write(folder.join("secret.xml"), secret)?;
    let (ok, text) = told(&folder, &["inspect", "./secret.xml"])?;
    assert!(!ok && text.contains("the XML is broken") && !text.contains("Ann"), "{text}");

    // Exports of records are met in place of projects and dictionaries.
    for (file, records) in [
        ("records.xml", "<records><item><first_name>Ann</first_name></item></records>"),
        ("records.csv", "1,Ann,2026-11-23\n2,Bo,2026-11-24\n"),
    ] {
        std::fs::write(folder.join(file), records)?;
        let (ok, text) = told(&folder, &["inspect", &format!("./{file}")])?;
        assert!(!ok && text.contains("line 1: expected") && !text.contains("Ann"), "{text}");
    }
    Ok(())
}

/// A file with a value of a field that is not there.
fn with_problems() -> Result<PathBuf> {
    let folder = files()?;
    let study = std::fs::read_to_string(folder.join("study.xml"))?;
    let odd = study.replacen("<ItemData ", "<ItemData ItemOID=\"gone\" Value=\"a secret\"/>\n<ItemData ", 1);
    anyhow::ensure!(odd != study, "there are no values");
    std::fs::write(folder.join("odd.xml"), odd)?;
    Ok(folder)
}

#[test]
fn an_inspection_draws_no_line_with_a_participants_value() -> Result<()> {
    let folder = with_problems()?;
    let (ok, text) = told(&folder, &["inspect", "./odd.xml"])?;
    assert!(!ok && text.contains("a value of `gone`, which is no field, was left out"), "{text}");
    assert!(!text.contains("a secret"), "{text}");
    Ok(())
}

#[test]
fn what_the_reader_of_a_file_had_to_say_is_not_lost() -> Result<()> {
    let folder = with_problems()?;
    let at = ["--project", "./odd.xml", "--record", "1", "--now", "2026-11-23 10:00"];
    let mention = "the file has 1 problem; `consentry redcap inspect` shows them";
    for question in [["eval", "[weight] > 3"], ["pipe", "Hi"]] {
        let (ok, text) = told(&folder, &[&question[..], &at].concat())?;
        assert!(ok && text.contains(mention), "{text}");
        assert!(!text.starts_with(mention), "the answer comes on another channel: {text}");
    }
    let sentence = "a value of `gone`, which is no field, was left out";
    let (ok, text) = told(&folder, &["recalculate", "./odd.xml", "--now", "2026-11-23"])?;
    assert!(!ok && text.contains(sentence) && !text.contains("a secret"), "{text}");
    let (ok, text) = told(&folder, &["recalculate", "./odd.xml", "--now", "2026-11-23", "--json"])?;
    let told: Value = serde_json::from_str(&text)?;
    assert!(!ok);
    assert_eq!(told["reader_problems"][0]["sentence"], sentence);
    Ok(())
}
