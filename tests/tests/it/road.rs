//! The road from REDCap to a phone and back.

use anyhow::Result;
use sandbox::SurveyOutcome;
use tests::{ANA, BEN, CLARA, EVE, Play, Stage};

#[tokio::test]
async fn an_invitation_leaves_redcap_three_policies_decide_and_a_phone_buzzes() -> Result<()> {
    let stage = Stage::new().await?;
    let id = stage.invite("sleep", "1").await?;
    let line = stage.until(&id, "delivered").await?;
    let policies: Vec<_> = line.decisions.iter().map(|d| (d.policy.as_str(), d.answer.as_str())).collect();
    assert_eq!(
        policies,
        [("routing", "contact"), ("template", "words"), ("compliance", "allow"), ("compliance", "allow")]
    );
    let texts = stage.sandbox.handset().texts(BEN);
    assert_eq!(texts.len(), 1);
    assert!(texts[0].body.starts_with("Hi Ben, your survey: http://127.0.0.1"), "{}", texts[0].body);
    assert!(texts[0].body.ends_with("Reply STOP to end texts."), "{}", texts[0].body);
    Ok(())
}

#[tokio::test]
async fn a_condition_that_becomes_true_is_one_occasion_however_often_it_is_seen() -> Result<()> {
    let invitations =
        "[[invitation]]\nid = \"diary\"\nsurvey = \"sleep_diary\"\nwhen = \"[enrolled] = '1'\"\n";
    let stage = Stage::with(&[Play { invitations: invitations.into(), ..Play::default() }]).await?;
    for _ in 0..3 {
        stage.gateway.sweep().await;
        stage.settle().await?;
        stage.gateway.record_changed("sleep", "1", None);
        stage.settle().await?;
    }
    assert_eq!(stage.lines().await?.len(), 5, "one occasion for each of the five records");
    // Ana reads Spanish, and gets the project's language because there is no Spanish wording.
    assert_eq!([BEN, ANA, CLARA, EVE].map(|number| stage.received(number)), [1, 1, 0, 0]);
    let lines = stage.lines().await?;
    let reason = |record: &str| -> Result<_> {
        let line = lines.iter().find(|line| line.record.as_deref() == Some(record));
        Ok(line.map(|line| (line.status.clone(), line.reason.clone().unwrap_or_default())))
    };
    let (status, why) = reason("3")?.unwrap_or_default();
    assert!(status == "suppressed" && why.contains("landline"), "{status}: {why}");
    let (status, why) = reason("4")?.unwrap_or_default();
    assert!(status == "suppressed" && why.contains("phone number"), "{status}: {why}");
    let (status, why) = reason("5")?.unwrap_or_default();
    assert!(status == "held" && why.contains("consent"), "{status}: {why}");
    Ok(())
}

#[tokio::test]
async fn a_survey_or_a_field_that_redcap_has_not_is_a_task_and_not_silence() -> Result<()> {
    let invitations =
        "[[invitation]]\nid = \"diary\"\nsurvey = \"sleep_dairy\"\nwhen = \"[enroled] = '1'\"\n";
    let stage = Stage::with(&[Play { invitations: invitations.into(), ..Play::default() }]).await?;
    stage.gateway.sweep().await;
    let told: Vec<_> = stage.gateway.store.tasks().await?.into_iter().map(|task| task.sentence).collect();
    assert_eq!(told.len(), 2, "each once: {told:#?}");
    assert!(told.iter().any(|sentence| sentence.contains("`sleep_dairy`")), "{told:#?}");
    assert!(told.iter().any(|sentence| sentence.contains("`enroled`")), "{told:#?}");
    Ok(())
}

#[tokio::test]
async fn a_completed_survey_wakes_the_gateway_and_is_not_invited_to_again() -> Result<()> {
    let invitations = "[[invitation]]\nid = \"check-in\"\nsurvey = \"weekly_checkin\"\n\
                       when = \"[sleep_diary_complete] = '2'\"\n";
    let stage = Stage::with(&[Play { invitations: invitations.into(), ..Play::default() }]).await?;
    stage.invite("sleep", "1").await?;
    let body = stage.sandbox.handset().texts(BEN)[0].body.clone();
    let link = body.split_whitespace().find(|word| word.starts_with("http")).unwrap_or_default();
    let answers = [("hours_slept", "7.5"), ("sleep_quality", "4")];
    let outcome = stage.sandbox.redcap().complete_survey(link, &answers).await;
    assert_eq!(outcome, SurveyOutcome::Completed);
    stage.settle().await?;
    let lines = stage.lines().await?;
    assert!(lines.iter().any(|line| line.survey.as_deref() == Some("weekly_checkin")), "{lines:#?}");
    let again = stage.invite("sleep", "1").await?;
    let second = stage.line(&again).await?;
    assert_eq!(second.status, "suppressed");
    assert!(second.reason.unwrap_or_default().contains("complete"));
    Ok(())
}

#[tokio::test]
async fn a_condition_that_needs_what_redcap_does_not_tell_invites_nobody() -> Result<()> {
    let invitations = "[[invitation]]\nid = \"diary\"\nsurvey = \"sleep_diary\"\n\
                       when = \"[record-dag-name] <> 'site_b'\"\n";
    let stage = Stage::with(&[Play { invitations: invitations.into(), ..Play::default() }]).await?;
    stage.gateway.sweep().await;
    stage.settle().await?;
    assert_eq!(stage.lines().await?.len(), 0, "a blank that is none would have invited all of them");
    let told: Vec<_> = stage.gateway.store.tasks().await?.into_iter().map(|task| task.sentence).collect();
    assert!(told.iter().any(|sentence| sentence.contains("the record's data access group")), "{told:#?}");
    Ok(())
}

#[tokio::test]
async fn a_link_to_another_survey_is_not_filled_with_this_one() -> Result<()> {
    let mut play = Play::default();
    for words in &mut play.wordings {
        words.text = words.text.replace("[survey-link]", "[survey-link:weekly_checkin]");
    }
    let stage = Stage::with(&[play]).await?;
    let id = stage.invite("sleep", "1").await?;
    let line = stage.line(&id).await?;
    assert_eq!((line.status.as_str(), stage.received(BEN)), ("held", 0));
    let reason = line.reason.unwrap_or_default();
    assert!(reason.contains("there is no link for `[survey-link]`"), "{reason}");
    Ok(())
}

#[tokio::test]
async fn the_data_entry_trigger_is_passed_on_as_redcap_posted_it() -> Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/other", listener.local_addr()?);
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let other = axum::Router::new().route(
        "/other",
        axum::routing::post(move |body: String| {
            let _ = tell.send(body);
            async {}
        }),
    );
    let serving = tokio::spawn(async move { axum::serve(listener, other).await });
    let play = Play { redcap: format!("trigger-also-to = {url:?}\n"), ..Play::default() };
    let stage = Stage::with(&[play]).await?;
    stage.sandbox.redcap().save_form("1", "enrolment", None, 1, &[]).await;
    let body = tokio::time::timeout(tests::PATIENCE, told.recv()).await?.unwrap_or_default();
    assert!(body.contains("record=1") && body.contains("instrument=enrolment"), "{body}");
    serving.abort();
    Ok(())
}
