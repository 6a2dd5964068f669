//! Calls, from placing them to what is left of them.

use jiff::SignedDuration;
use sandbox::{CallOutcome, CreateFault, Sandbox};
use twilio::{CallCallback, CallStatus, CreateCall, CreateError, Deleted, ListCalls, RequestError, Response};

use crate::support::{ANA, BEN, Listener, PATIENCE, config, start, twilio_client};
use crate::twilio_side::phone;

fn call(to: &str, words: &str) -> CreateCall {
    CreateCall {
        to: phone(to),
        from: phone("+16175550100"),
        twiml: Response::new().say(words, Some("en-US"), None).pause(1).say(words, None, None).hang_up(),
        status_callback: None,
        timeout: Some(25),
    }
}

async fn refusal(client: &twilio::Client, call: &CreateCall) -> Option<u32> {
    match client.create_call(call).await {
        Err(CreateError::Refused(error)) => error.code,
        other => panic!("{other:?}"),
    }
}

/// Waits until the call is over.
async fn over(sandbox: &Sandbox, client: &twilio::Client, sid: &str) -> twilio::Call {
    let mut changes = sandbox.handset().watch();
    let until_over = async {
        loop {
            changes.borrow_and_update();
            let call = client.fetch_call(sid).await.unwrap();
            if call.status.is_final() {
                return call;
            }
            changes.changed().await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, until_over).await.unwrap()
}

#[tokio::test]
async fn a_call_says_its_text_twice_and_tells_only_how_it_ended() {
    let (sandbox, hook) = (start().await, Listener::start(String::new()).await);
    let client = twilio_client(&sandbox);
    let url = format!("{}/call?i=01J", hook.url);
    let placed = CreateCall { status_callback: Some(url), ..call(ANA, "Your survey waits & waits.") };
    let created = client.create_call(&placed).await.unwrap();
    assert_eq!((created.status, created.duration, created.start_time), (CallStatus::Queued, None, None));

    let posted = hook.wait_for(1).await;
    assert!(posted[0].is_signed() && posted[0].url.ends_with("/call?i=01J"));
    let told = CallCallback::from_form(&posted[0].form).unwrap();
    assert_eq!((told.call_sid.as_str(), told.status), (created.sid.as_str(), CallStatus::Completed));
    assert_eq!((told.duration, told.sequence_number), (Some(20), Some(3)));

    let ended = over(&sandbox, &client, &created.sid).await;
    assert_eq!((ended.status, ended.duration), (CallStatus::Completed, Some(20)));
    assert_eq!(ended.price.as_deref(), Some("-0.01300"));
    assert_eq!(client.call_price(&phone(ANA)).await.unwrap().unwrap().amount, "0.013");
    let calls = sandbox.handset().calls(ANA);
    assert_eq!(calls.len(), 1);
    assert!(calls[0].answered);
    assert_eq!(calls[0].said, ["Your survey waits & waits.", "Your survey waits & waits."]);
    assert_eq!((sandbox.handset().rang(ANA), sandbox.handset().received(ANA)), (1, 0));
    assert_eq!(hook.posted().len(), 1);
}

#[tokio::test]
async fn a_call_can_end_in_four_ways() {
    for (outcome, status, sequence, rang) in [
        (CallOutcome::Busy, CallStatus::Busy, 2, 1),
        (CallOutcome::NoAnswer, CallStatus::NoAnswer, 2, 1),
        (CallOutcome::Failed, CallStatus::Failed, 1, 0),
        (CallOutcome::Completed, CallStatus::Completed, 3, 1),
    ] {
        let (sandbox, hook) = (start().await, Listener::start(String::new()).await);
        sandbox.twilio().set_call_outcome(BEN, outcome);
        let client = twilio_client(&sandbox);
        let placed = CreateCall { status_callback: Some(hook.url.clone()), ..call(BEN, "x") };
        let sid = client.create_call(&placed).await.unwrap().sid;
        let told = CallCallback::from_form(&hook.wait_for(1).await[0].form).unwrap();
        assert_eq!((&told.status, told.sequence_number), (&status, Some(sequence)));
        assert_eq!(told.sip_response_code, (outcome == CallOutcome::Busy).then_some(486));
        let ended = over(&sandbox, &client, &sid).await;
        assert_eq!(ended.status, status);
        assert_eq!(ended.price.is_some(), outcome == CallOutcome::Completed);
        assert_eq!(sandbox.handset().rang(BEN), rang);
    }
}

#[tokio::test]
async fn what_cannot_be_called_is_refused_with_its_code() {
    let sandbox = start().await;
    let client = twilio_client(&sandbox);
    for (to, code) in [
        ("+15005550001", 21217),
        ("+15005550002", 21214),
        ("+15005550003", 21215),
        ("+15005550004", 21216),
        ("+16175550100", 21217),
    ] {
        assert_eq!(refusal(&client, &call(to, "x")).await, Some(code), "{to}");
    }
    let stranger = CreateCall { from: phone("+16175550101"), ..call(ANA, "x") };
    assert_eq!(refusal(&client, &stranger).await, Some(21210));
    assert_eq!(refusal(&client, &call(ANA, &"x".repeat(4000))).await, Some(32018));
    assert_eq!(refusal(&client, &CreateCall { timeout: Some(601), ..call(ANA, "x") }).await, Some(20001));
    let underscore = CreateCall { status_callback: Some("https://a_b.example/".into()), ..call(ANA, "x") };
    assert_eq!(refusal(&client, &underscore).await, Some(21609));
    sandbox.twilio().set_trial(&[BEN]);
    assert_eq!(refusal(&client, &call(ANA, "x")).await, Some(21219));
    sandbox.twilio().set_balance(0.0);
    assert_eq!(refusal(&client, &call(BEN, "x")).await, Some(20005));
    assert_eq!(sandbox.handset().rang(ANA), 0);
}

#[tokio::test]
async fn a_call_whose_answer_was_lost_is_found_in_the_list() {
    let sandbox = start().await;
    let client = twilio_client(&sandbox);
    sandbox.faults().next_creates(1, CreateFault::AcceptThenDrop);
    let outcome = client.create_call(&call(ANA, "x")).await;
    assert!(matches!(outcome, Err(CreateError::Unknown { .. })));
    client.create_call(&call(BEN, "y")).await.unwrap();
    let to_ana =
        ListCalls { to: Some(phone(ANA)), from: Some(phone("+16175550100")), ..ListCalls::default() };
    let found = client.list_calls(&to_ana).await.unwrap();
    assert!(found.complete);
    assert_eq!(found.items.len(), 1);
    assert_eq!(found.items[0].date_created, "2026-11-23T15:30:00Z".parse().unwrap());
    assert_eq!(client.list_calls(&ListCalls::default()).await.unwrap().items.len(), 2);
}

#[tokio::test]
async fn what_a_call_leaves_is_deleted_except_what_nobody_can_delete() {
    let (config, clock) = config();
    let sandbox = Sandbox::start(config).await.unwrap();
    sandbox.twilio().set_deletable_after(SignedDuration::from_mins(1));
    sandbox.twilio().set_request_inspector(true);
    let client = twilio_client(&sandbox);
    let sid = client.create_call(&call(ANA, "secret")).await.unwrap().sid;
    over(&sandbox, &client, &sid).await;
    assert_eq!(client.list_recordings(&sid).await.unwrap(), []);
    let recording = sandbox.twilio().add_recording(&sid);
    assert_eq!(client.list_recordings(&sid).await.unwrap()[0].sid, recording);
    assert_eq!(client.delete_recording(&recording).await.unwrap(), Deleted::Gone);
    assert_eq!(client.delete_recording(&recording).await.unwrap(), Deleted::AlreadyGone);

    assert_eq!(client.delete_call(&sid).await.unwrap(), Deleted::NotYet);
    // The events come later than the right to delete the call.
    assert_eq!(client.call_events_kept(&sid).await.unwrap(), 0);
    clock.advance(SignedDuration::from_mins(15));
    assert_eq!(client.call_events_kept(&sid).await.unwrap(), 1);
    assert_eq!(client.delete_call(&sid).await.unwrap(), Deleted::Gone);
    assert_eq!(client.delete_call(&sid).await.unwrap(), Deleted::AlreadyGone);
    assert!(matches!(client.fetch_call(&sid).await, Err(RequestError::Api(_))));
    assert_eq!(client.call_events_kept(&sid).await.unwrap(), 1);
    let kept = sandbox.twilio().kept();
    assert_eq!((kept.calls, kept.recordings, kept.call_events, kept.oldest), (0, 0, 1, None));
    assert_eq!(sandbox.handset().calls(ANA)[0].said[0], "secret");
}

#[tokio::test]
async fn a_call_may_ask_for_its_words_and_tell_every_step() {
    let spoken = Response::new().say("hello", None, None).to_xml();
    let (sandbox, hook) = (start().await, Listener::start(spoken).await);
    let account = sandbox::TwilioAccount::default();
    let url = format!("{}/2010-04-01/Accounts/{}/Calls.json", sandbox.twilio_url(), account.account_sid);
    let token = twilio::ExposeSecret::expose_secret(&account.auth_token);
    let (words, status) = (format!("{}/words", hook.url), format!("{}/status", hook.url));
    let mut form = vec![
        ("To", ANA),
        ("From", account.number.as_str()),
        ("Url", words.as_str()),
        ("StatusCallback", status.as_str()),
    ];
    form.extend(
        ["initiated", "ringing", "answered", "completed"].map(|event| ("StatusCallbackEvent", event)),
    );
    let request = reqwest::Client::new().post(&url).basic_auth(&account.account_sid, Some(token));
    assert_eq!(request.form(&form).send().await.unwrap().status(), 201);
    let posted = hook.wait_for(5).await;
    let told: Vec<_> = posted.iter().map(|post| post.get("CallStatus").unwrap()).collect();
    assert_eq!(told, ["initiated", "ringing", "in-progress", "in-progress", "completed"]);
    assert!(posted[3].url.ends_with("/words") && posted[3].is_signed());
    assert_eq!(sandbox.handset().calls(ANA)[0].said, ["hello"]);

    // Neither words nor where to ask for them.
    let request = reqwest::Client::new().post(&url).basic_auth(&account.account_sid, Some(token));
    let answer = request.form(&form[..2]).send().await.unwrap();
    assert_eq!(answer.json::<serde_json::Value>().await.unwrap()["code"], 21205);
}

#[tokio::test]
async fn every_webhook_that_goes_wrong_leaves_a_notification() {
    let (sandbox, hook) = (start().await, Listener::start("no document".to_owned()).await);
    let client = twilio_client(&sandbox);
    sandbox.set_sms_webhook(&hook.url);
    sandbox.handset().say(ANA, "hello").await;
    assert_eq!(client.notifications_kept().await.unwrap(), 1);
    assert_eq!((sandbox.twilio().kept().notifications, sandbox.twilio().alerts()), (1, 1));
}
