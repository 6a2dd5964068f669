//! What a crash harness holds on to: hooks, held answers, random faults, and phones that remember.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sandbox::{CallbackMix, CreateFault, CreateMix, Sandbox};
use twilio::{CreateError, ListMessages};

use crate::support::{ANA, BEN, Listener, PATIENCE, start, twilio_client};
use crate::twilio_side::{delivered, message, phone, refusal, with_callback};

#[tokio::test]
async fn a_create_is_seen_whole_before_anything_is_done() {
    let sandbox = start().await;
    let client = twilio_client(&sandbox);
    let seen = Arc::new(Mutex::new(vec![]));
    let (note, handset) = (Arc::clone(&seen), sandbox.handset());
    sandbox.faults().on_create(move |create| {
        note.lock().unwrap().push((create.nth, create.to, create.is_call, handset.received(ANA)));
    });
    for body in ["one", "two"] {
        client.create_message(&message(ANA, body)).await.unwrap();
    }
    let ana = ANA.to_owned();
    assert_eq!(*seen.lock().unwrap(), [(1, ana.clone(), false, 0), (2, ana, false, 1)]);
    sandbox.faults().clear();
    client.create_message(&message(ANA, "three")).await.unwrap();
    assert_eq!(seen.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_redaction_and_a_deletion_are_seen_before_they_are_done() {
    let sandbox = start().await;
    let client = twilio_client(&sandbox);
    let sid = client.create_message(&message(ANA, "secret")).await.unwrap().sid;
    delivered(&sandbox, ANA, 1).await;
    let seen = Arc::new(Mutex::new(vec![]));
    let (note, twilio) = (Arc::clone(&seen), sandbox.twilio());
    sandbox.faults().on_delete(move |deletion| {
        let kept = twilio.kept();
        note.lock().unwrap().push((deletion.nth, deletion.sid, deletion.redacts, kept.messages, kept.bodies));
    });
    client.redact_message(&sid).await.unwrap();
    client.delete_message(&sid).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [(1, sid.clone(), true, 1, 1), (2, sid, false, 1, 0)]);
}

#[tokio::test]
async fn a_held_answer_comes_when_it_is_released() {
    let sandbox = start().await;
    let client = twilio_client(&sandbox);
    sandbox.faults().next_creates(1, CreateFault::AnswerWhenReleased);
    let held = tokio::spawn(async move { client.create_message(&message(ANA, "held")).await });
    sandbox.handset().wait_for(ANA, PATIENCE, |texts| texts.len() == 1).await.unwrap();
    assert!(!held.is_finished());
    sandbox.faults().release();
    held.await.unwrap().unwrap();

    sandbox.faults().next_creates(1, CreateFault::Slow(Duration::from_millis(1)));
    twilio_client(&sandbox).create_message(&message(ANA, "slow")).await.unwrap();
    assert_eq!(sandbox.handset().received(ANA), 2);
}

/// What became of twenty creates, one after the other.
async fn run(seed: u64) -> (Vec<String>, usize) {
    let sandbox = start().await;
    let client = twilio_client(&sandbox);
    let creates = CreateMix {
        accept: 4,
        accept_then_drop: 1,
        error_500_but_sent: 1,
        error_500_not_sent: 1,
        rate_limited: 1,
        drop_not_sent: 1,
    };
    sandbox.faults().random(seed, creates, CallbackMix::default());
    let mut ends = vec![];
    for n in 0..20 {
        ends.push(match client.create_message(&message(ANA, &format!("{n}"))).await {
            Ok(_) => "sent".to_owned(),
            Err(CreateError::Refused(error)) => format!("refused {:?}", error.code),
            Err(CreateError::Unknown { why, .. }) => format!("unknown {why}"),
            Err(error) => panic!("{error}"),
        });
    }
    // What is planned comes before what is drawn.
    sandbox.faults().next_creates(1, CreateFault::Refuse { code: 30450, status: 400 });
    assert_eq!(refusal(&client, &message(BEN, "x")).await, Some(30450));
    sandbox.faults().not_random();
    for _ in 0..5 {
        client.create_message(&message(BEN, "x")).await.unwrap();
    }
    (ends, sandbox.handset().received(ANA))
}

#[tokio::test]
async fn a_seed_draws_the_same_faults_again() {
    let (first, again, other) = (run(7).await, run(7).await, run(8).await);
    assert_eq!(masked(&first.0), masked(&again.0));
    assert_eq!(first.1, again.1);
    assert_ne!(masked(&first.0), masked(&other.0));
    assert!(first.0.iter().any(|end| end == "sent") && first.0.iter().any(|end| end != "sent"));
}

/// Without what differs from run to run.
fn masked(ends: &[String]) -> Vec<String> {
    ends.iter().map(|end| end.split(" (").next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn callbacks_are_drawn_too() {
    let (sandbox, hook) = (start().await, Listener::start(String::new()).await);
    let client = twilio_client(&sandbox);
    let always = CallbackMix { duplicate: 1, ..CallbackMix::default() };
    sandbox.faults().random(1, CreateMix::default(), always);
    client.create_message(&with_callback(ANA, "x", &hook.url)).await.unwrap();
    let posted = hook.wait_for(4).await;
    let told: Vec<_> = posted.iter().map(|post| post.get("MessageStatus").unwrap()).collect();
    assert_eq!(told, ["sent", "sent", "delivered", "delivered"]);
}

#[tokio::test]
async fn everything_on_the_phones_has_one_order() {
    let sandbox = start().await;
    let client = twilio_client(&sandbox);
    client.create_message(&message(ANA, "one")).await.unwrap();
    client.create_message(&message(BEN, "two")).await.unwrap();
    sandbox.handset().say_quietly(ANA, "STOP");
    client.create_message(&message(BEN, "three")).await.unwrap();
    let all = sandbox.handset().all_received();
    let expected = [
        (ANA.to_owned(), vec![(1, "one".to_owned())]),
        // The fourth is Twilio's own answer to STOP.
        (BEN.to_owned(), vec![(2, "two".to_owned()), (5, "three".to_owned())]),
    ];
    assert_eq!(all, BTreeMap::from(expected));
    let stop = sandbox.handset().texts(ANA).into_iter().find(|text| text.body == "STOP").unwrap();
    assert_eq!(stop.seq, 3);
}

#[tokio::test]
async fn phones_that_only_count_go_on_counting() {
    let sandbox = start().await;
    let client = twilio_client(&sandbox);
    sandbox.handset().keep_texts(false);
    for n in 0..3 {
        client.create_message(&message(ANA, &format!("{n}"))).await.unwrap();
    }
    assert_eq!((sandbox.handset().received(ANA), sandbox.handset().texts(ANA).len()), (3, 0));
    assert!(sandbox.handset().all_received().is_empty());
}

/// Many at once, with one list per message as a reconciliation asks for: none of it may depend on how many
/// are kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_messages_are_found_one_by_one() {
    const SENDERS: usize = 8;
    const EACH: usize = 60;
    let sandbox: Arc<Sandbox> = Arc::new(start().await);
    let senders = (0..SENDERS).map(|sender| {
        let client = twilio_client(&sandbox);
        tokio::spawn(async move {
            for n in 0..EACH {
                let number = format!("+1617556{sender:02}{n:02}");
                client.create_message(&message(&number, "x")).await.unwrap();
                let list = ListMessages {
                    to: Some(phone(&number)),
                    from: Some(phone("+16175550100")),
                    ..ListMessages::default()
                };
                assert_eq!(client.list_messages(&list).await.unwrap().items.len(), 1);
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
    assert_eq!(sandbox.twilio().kept().messages, SENDERS * EACH);
    assert_eq!(sandbox.handset().all_received().len(), SENDERS * EACH);
}
