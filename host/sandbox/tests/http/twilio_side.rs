//! What Twilio's documentation says, asked with our own client.

use jiff::SignedDuration;
use sandbox::{CallbackFault, CreateFault, Delivery, OptOutHandling, Sandbox};
use twilio::{
    AccountStatus, CreateError, CreateMessage, Deleted, Direction, LineType, ListMessages, MessageBody,
    MessageStatus, PhoneNumber, RequestError, Sender, UnknownOutcome,
};

use crate::support::{ANA, BEN, Listener, PATIENCE, config, start, twilio_client};

pub(crate) fn phone(number: &str) -> PhoneNumber {
    PhoneNumber::from_e164(number).unwrap()
}

pub(crate) fn message(to: &str, body: &str) -> CreateMessage {
    CreateMessage {
        to: phone(to),
        from: Sender::Number(phone("+16175550100")),
        body: MessageBody::new(body),
        status_callback: None,
        validity_period: None,
        smart_encoded: false,
    }
}

pub(crate) fn with_callback(to: &str, body: &str, url: &str) -> CreateMessage {
    CreateMessage { status_callback: Some(url.to_owned()), ..message(to, body) }
}

/// The code of a refused create.
pub(crate) async fn refusal(client: &twilio::Client, message: &CreateMessage) -> Option<u32> {
    match client.create_message(message).await {
        Err(CreateError::Refused(error)) => error.code,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn delivered(sandbox: &Sandbox, number: &str, count: usize) {
    let all = |texts: &[sandbox::HandsetText]| {
        texts.iter().filter(|text| text.status == "delivered").count() >= count
    };
    sandbox.handset().wait_for(number, PATIENCE, all).await.unwrap();
}

#[tokio::test]
async fn a_message_is_queued_then_sent_then_delivered_and_every_callback_is_signed() {
    let (sandbox, hook) = (start().await, Listener::start(String::new()).await);
    let client = twilio_client(&sandbox);
    let url = format!("{}/status?i=01J&x=%20y", hook.url);
    let created = client.create_message(&with_callback(ANA, "Good morning", &url)).await.unwrap();
    assert_eq!(created.status, MessageStatus::Queued);
    assert_eq!((created.price, created.date_sent, created.num_segments), (None, None, 1));

    let posted = hook.wait_for(2).await;
    let statuses: Vec<_> = posted.iter().map(|post| post.get("MessageStatus").unwrap()).collect();
    assert_eq!(statuses, ["sent", "delivered"]);
    for post in &posted {
        assert!(post.is_signed());
        assert!(post.url.ends_with("/status?i=01J&x=%20y"));
        assert_eq!(post.get("MessageSid"), Some(created.sid.as_str()));
        assert_eq!(post.get("To"), Some(ANA));
        assert_eq!(post.get("ErrorCode"), None);
    }
    assert_ne!(posted[0].token, posted[1].token);

    let fetched = client.fetch_message(&created.sid).await.unwrap();
    assert_eq!(fetched.status, MessageStatus::Delivered);
    assert_eq!(fetched.price.as_deref(), Some("-0.00830"));
    let texts = sandbox.handset().texts(ANA);
    assert_eq!((texts.len(), texts[0].body.as_str()), (1, "Good morning"));
}

#[tokio::test]
async fn nothing_is_deduplicated_whatever_token_a_create_carries() {
    let sandbox = start().await;
    let account = sandbox::TwilioAccount::default();
    let url = format!("{}/2010-04-01/Accounts/{}/Messages.json", sandbox.twilio_url(), account.account_sid);
    for _ in 0..2 {
        let form = [("To", ANA), ("From", account.number.as_str()), ("Body", "once?")];
        let token = twilio::ExposeSecret::expose_secret(&account.auth_token);
        let request = reqwest::Client::new().post(&url).basic_auth(&account.account_sid, Some(token));
        let answer = request.header("I-Twilio-Idempotency-Token", "same").form(&form).send().await.unwrap();
        assert_eq!(answer.status(), 201);
    }
    assert_eq!(sandbox.handset().received(ANA), 2);
}

#[tokio::test]
async fn stop_blocks_and_start_unblocks() {
    let (sandbox, hook) = (start().await, Listener::start(twilio::empty()).await);
    let client = twilio_client(&sandbox);
    sandbox.set_sms_webhook(&format!("{}/sms", hook.url));
    let said = sandbox.handset().say(ANA, "Stop").await;
    assert_eq!(said.delivery, Delivery::Answered { status: 200, replies: vec![] });
    assert!(hook.posted()[0].is_signed());
    assert_eq!(hook.posted()[0].get("Body"), Some("Stop"));
    assert_eq!(hook.posted()[0].get("OptOutType"), None);
    assert_eq!(refusal(&client, &message(ANA, "Hi")).await, Some(21610));
    assert_eq!(sandbox.handset().received(ANA), 0);
    let texts = sandbox.handset().texts(ANA);
    assert!(texts[1].from_twilio && texts[1].sid.is_none());

    sandbox.handset().say(ANA, "START").await;
    client.create_message(&message(ANA, "Hi")).await.unwrap();
    assert_eq!(sandbox.handset().received(ANA), 1);
    // Two from the phone, one to it; what Twilio said by itself is not kept.
    let kept = client.list_messages(&ListMessages::default()).await.unwrap().items;
    assert_eq!(kept.len(), 3);
    assert_eq!(kept[2].direction, Direction::Inbound);
}

#[tokio::test]
async fn advanced_opt_out_tells_the_webhook_and_none_does_nothing() {
    for (opt_out, told, blocked) in
        [(OptOutHandling::Advanced, Some("STOP"), true), (OptOutHandling::None, None, false)]
    {
        let hook = Listener::start(twilio::empty()).await;
        let mut config = config().0;
        config.twilio.opt_out = opt_out;
        config.sms_url = Some(hook.url.clone());
        let sandbox = Sandbox::start(config).await.unwrap();
        sandbox.handset().say(ANA, "STOP").await;
        assert_eq!(hook.posted()[0].get("OptOutType"), told);
        assert_eq!(sandbox.twilio().is_blocked(ANA), blocked);
    }
}

#[tokio::test]
async fn a_reply_is_shown_once_however_often_the_webhook_is_told() {
    let reply = twilio::Response::new().message("Thank you & good night").to_xml();
    let (sandbox, hook) = (start().await, Listener::start(reply).await);
    sandbox.set_sms_webhook(&hook.url);
    let said = sandbox.handset().say(ANA, "I slept well").await;
    sandbox.handset().redeliver(&said.sid).await;
    let texts = sandbox.handset().texts(ANA);
    assert_eq!(texts.len(), 2);
    assert_eq!(texts[1].body, "Thank you & good night");
    let posted = hook.posted();
    assert_eq!(posted.len(), 2);
    assert_eq!((&posted[0].token, &posted[0].form), (&posted[1].token, &posted[1].form));
}

#[tokio::test]
async fn a_webhook_that_answers_no_twiml_is_an_alert() {
    let (sandbox, hook) = (start().await, Listener::start("Internal trouble".to_owned()).await);
    sandbox.set_sms_webhook(&hook.url);
    let said = sandbox.handset().say(ANA, "hello").await;
    assert_eq!(said.delivery, Delivery::Failed { status: Some(200) });
    sandbox.set_sms_webhook("http://127.0.0.1:9/nobody");
    assert_eq!(sandbox.handset().say(ANA, "hello").await.delivery, Delivery::Failed { status: None });
    assert_eq!(sandbox.twilio().alerts(), 2);
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_with_its_code() {
    let sandbox = start().await;
    let client = twilio_client(&sandbox);
    for (to, code) in [
        ("+15005550001", 21211),
        ("+15005550002", 21612),
        ("+15005550003", 21408),
        ("+15005550004", 21610),
        ("+15005550009", 21614),
        ("+16175550100", 21211),
    ] {
        assert_eq!(refusal(&client, &message(to, "x")).await, Some(code), "{to}");
    }
    for (from, code) in
        [("+15005550001", 21212), ("+15005550007", 21606), ("+15005550008", 21611), ("+16175550101", 21606)]
    {
        let message = CreateMessage { from: Sender::Number(phone(from)), ..message(ANA, "x") };
        assert_eq!(refusal(&client, &message).await, Some(code), "{from}");
    }
    assert_eq!(refusal(&client, &message(ANA, "")).await, Some(21602));
    assert_eq!(refusal(&client, &message(ANA, &"x".repeat(1601))).await, Some(21617));
    let underscore = with_callback(ANA, "x", "https://my_host.example/");
    assert_eq!(refusal(&client, &underscore).await, Some(21609));
    sandbox.twilio().set_trial(&[BEN]);
    assert_eq!(refusal(&client, &message(ANA, "x")).await, Some(21608));
    client.create_message(&message(BEN, "x")).await.unwrap();
    sandbox.twilio().set_balance(0.0);
    assert_eq!(refusal(&client, &message(BEN, "x")).await, Some(20005));
    assert_eq!(client.account().await.unwrap().status, AccountStatus::Suspended);
}

#[tokio::test]
async fn wrong_credentials_see_nothing() {
    let sandbox = start().await;
    let stranger = twilio::Client::new(twilio::ClientConfig {
        api_base: sandbox.twilio_url(),
        lookups_base: sandbox.twilio_url(),
        pricing_base: sandbox.twilio_url(),
        account_sid: sandbox::TwilioAccount::default().account_sid,
        user: sandbox::TwilioAccount::default().account_sid,
        secret: twilio::Secret::from("guess"),
    });
    match stranger.unwrap().balance().await {
        Err(RequestError::Api(error)) => assert_eq!((error.status, error.code), (401, Some(20003))),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_money_runs_out() {
    let sandbox = start().await;
    let client = twilio_client(&sandbox);
    assert_eq!(client.balance().await.unwrap().amount, "20.00");
    sandbox.twilio().set_balance(0.005);
    client.create_message(&message(ANA, "last words")).await.unwrap();
    delivered(&sandbox, ANA, 1).await;
    assert_eq!(refusal(&client, &message(ANA, "x")).await, Some(20005));
    assert_eq!(client.balance().await.unwrap().amount, "-0.01");
}

#[tokio::test]
async fn an_unreachable_phone_shows_nothing_and_the_callback_says_why() {
    let (sandbox, hook) = (start().await, Listener::start(String::new()).await);
    let client = twilio_client(&sandbox);
    sandbox.twilio().set_line_type(ANA, LineType::Landline);
    sandbox.twilio().set_unreachable(BEN, 30003);
    for (number, code) in [(ANA, "30006"), (BEN, "30003")] {
        let before = hook.posted().len();
        client.create_message(&with_callback(number, "x", &hook.url)).await.unwrap();
        let last = hook.wait_for(before + 2).await.pop().unwrap();
        assert_eq!(last.get("MessageStatus"), Some("undelivered"));
        assert_eq!(last.get("ErrorCode"), Some(code));
        assert_eq!(sandbox.handset().texts(number), []);
    }
    assert_eq!(client.lookup_line_type(&phone(ANA)).await.unwrap(), LineType::Landline);
    assert_eq!(client.lookup_line_type(&phone(BEN)).await.unwrap(), LineType::Mobile);
}

#[tokio::test]
async fn a_lost_answer_leaves_the_message_where_the_list_finds_it() {
    let sandbox = start().await;
    let client = twilio_client(&sandbox);
    for (fault, sent) in [
        (CreateFault::AcceptThenDrop, true),
        (CreateFault::DropNotSent, false),
        (CreateFault::Error500ButSent, true),
        (CreateFault::Error500NotSent, false),
    ] {
        let body = format!("{fault:?}");
        sandbox.faults().next_creates(1, fault);
        match client.create_message(&message(ANA, &body)).await {
            Err(CreateError::Unknown { why, .. }) => {
                let dropped = matches!(fault, CreateFault::AcceptThenDrop | CreateFault::DropNotSent);
                assert_eq!(why == UnknownOutcome::ConnectionLost, dropped, "{why}");
            }
            other => panic!("{other:?}"),
        }
        let wanted = ListMessages { to: Some(phone(ANA)), ..ListMessages::default() };
        let kept = client.list_messages(&wanted).await.unwrap().items;
        assert_eq!(kept.iter().any(|message| message.body.expose() == body), sent, "{body}");
    }
    sandbox.faults().next_creates(1, CreateFault::RateLimited);
    assert_eq!(refusal(&client, &message(ANA, "x")).await, Some(20429));
    sandbox.faults().next_creates(1, CreateFault::Refuse { code: 30450, status: 400 });
    assert_eq!(refusal(&client, &message(ANA, "x")).await, Some(30450));
    sandbox.faults().twilio_down(true);
    assert!(matches!(client.create_message(&message(ANA, "x")).await, Err(CreateError::Unknown { .. })));
    sandbox.faults().clear();
    client.create_message(&message(ANA, "x")).await.unwrap();
    assert_eq!(sandbox.handset().received(ANA), 3);
}

#[tokio::test]
async fn callbacks_repeat_swap_and_vanish() {
    for (fault, expected) in [
        (CallbackFault::Duplicate, vec!["sent", "sent", "delivered", "delivered"]),
        (CallbackFault::Reorder, vec!["delivered", "sent"]),
        (CallbackFault::Drop, vec![]),
    ] {
        let (sandbox, hook) = (start().await, Listener::start(String::new()).await);
        sandbox.faults().next_callbacks(1, fault);
        let client = twilio_client(&sandbox);
        client.create_message(&with_callback(ANA, "x", &hook.url)).await.unwrap();
        delivered(&sandbox, ANA, 1).await;
        let posted = hook.wait_for(expected.len()).await;
        let statuses: Vec<_> = posted.iter().map(|post| post.get("MessageStatus").unwrap()).collect();
        assert_eq!(statuses, expected);
    }
}

#[tokio::test]
async fn lists_come_in_pages_and_newest_first() {
    let sandbox = start().await;
    let client = twilio_client(&sandbox);
    for n in 0..5 {
        client.create_message(&message(ANA, &format!("{n}"))).await.unwrap();
    }
    client.create_message(&message(BEN, "other")).await.unwrap();
    let wanted = ListMessages { to: Some(phone(ANA)), page_size: 2, ..ListMessages::default() };
    let bodies = |messages: Vec<twilio::Message>| {
        messages.iter().map(|message| message.body.expose().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(bodies(client.list_messages(&wanted).await.unwrap().items), ["4", "3", "2", "1", "0"]);
    let one_page = ListMessages { max_pages: 1, ..wanted };
    assert_eq!(bodies(client.list_messages(&one_page).await.unwrap().items), ["4", "3"]);
    delivered(&sandbox, ANA, 5).await;
    delivered(&sandbox, BEN, 1).await;
    for (since, count) in [("2026-11-23T15:30:00Z", 6), ("2026-11-23T15:30:01Z", 0)] {
        let wanted = ListMessages { sent_since: Some(since.parse().unwrap()), ..ListMessages::default() };
        assert_eq!(client.list_messages(&wanted).await.unwrap().items.len(), count);
    }
}

#[tokio::test]
async fn a_message_is_emptied_and_deleted_once_it_is_settled() {
    let (config, clock) = config();
    let sandbox = Sandbox::start(config).await.unwrap();
    sandbox.twilio().set_deletable_after(SignedDuration::from_mins(1));
    let client = twilio_client(&sandbox);
    let sid = client.create_message(&message(ANA, "secret")).await.unwrap().sid;
    delivered(&sandbox, ANA, 1).await;
    assert!(client.redact_message(&sid).await.unwrap().body.is_empty());
    assert_eq!(client.delete_message(&sid).await.unwrap(), Deleted::NotYet);
    clock.advance(SignedDuration::from_mins(1));
    assert_eq!(client.delete_message(&sid).await.unwrap(), Deleted::Gone);
    assert_eq!(client.delete_message(&sid).await.unwrap(), Deleted::AlreadyGone);
    assert_eq!(sandbox.twilio().messages_kept(), 0);
    assert_eq!(sandbox.handset().texts(ANA)[0].body, "secret");
}

#[tokio::test]
async fn the_number_shows_where_its_messages_go() {
    let sandbox = start().await;
    let client = twilio_client(&sandbox);
    let number = client.incoming_numbers().await.unwrap().remove(0);
    assert_eq!((number.phone_number.expose(), number.sms_url), ("+16175550100", None));
    let account = sandbox::TwilioAccount::default();
    let token = twilio::ExposeSecret::expose_secret(&account.auth_token);
    let url = format!(
        "{}/2010-04-01/Accounts/{}/IncomingPhoneNumbers/{}.json",
        sandbox.twilio_url(),
        account.account_sid,
        number.sid
    );
    let request = reqwest::Client::new().post(url).basic_auth(&account.account_sid, Some(token));
    let answer = request.form(&[("SmsUrl", "https://hooks.example.edu/sms")]).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let number = client.incoming_numbers().await.unwrap().remove(0);
    assert_eq!(number.sms_url.as_deref(), Some("https://hooks.example.edu/sms"));
    assert_eq!(number.sms_method.as_deref(), Some("POST"));
}

#[tokio::test]
async fn each_number_has_its_own_webhook_and_its_own_list_of_stops() {
    const SECOND: &str = "+18335550101";
    let (sandbox, first, second) =
        (start().await, Listener::start(twilio::empty()).await, Listener::start(twilio::empty()).await);
    let client = twilio_client(&sandbox);
    let from_second = CreateMessage { from: Sender::Number(phone(SECOND)), ..message(ANA, "two") };
    assert_eq!(refusal(&client, &from_second).await, Some(21606));
    sandbox.twilio().add_number(SECOND).unwrap();
    sandbox.set_sms_webhook(&first.url);
    sandbox.set_sms_webhook_of(SECOND, &second.url);
    let numbers = client.incoming_numbers().await.unwrap();
    assert_eq!(numbers.len(), 2);
    assert_eq!(numbers[1].phone_number, phone(SECOND));

    sandbox.handset().say_to(ANA, SECOND, "STOP").await;
    assert_eq!((first.posted().len(), second.posted().len()), (0, 1));
    assert_eq!(second.posted()[0].get("To"), Some(SECOND));
    assert_eq!(refusal(&client, &from_second).await, Some(21610));
    client.create_message(&message(ANA, "one")).await.unwrap();
    assert!(
        sandbox.twilio().is_blocked_from(SECOND, ANA)
            && !sandbox.twilio().is_blocked_from("+16175550100", ANA)
    );
    let shown: Vec<_> =
        sandbox.handset().texts(ANA).into_iter().map(|text| (text.account_number, text.body)).collect();
    assert_eq!(shown.last().unwrap(), &("+16175550100".to_owned(), "one".to_owned()));
    assert_eq!(shown[0], (SECOND.to_owned(), "STOP".to_owned()));

    let to_second = ListMessages { to: Some(phone(SECOND)), ..ListMessages::default() };
    let heard = client.list_messages(&to_second).await.unwrap();
    assert_eq!((heard.items.len(), heard.complete), (1, true));
}

#[tokio::test]
async fn a_text_whose_webhook_got_lost_is_found_in_the_list() {
    let (sandbox, hook) = (start().await, Listener::start(twilio::empty()).await);
    sandbox.set_sms_webhook(&hook.url);
    let sid = sandbox.handset().say_quietly(ANA, "please opt out");
    assert_eq!(hook.posted().len(), 0);
    let client = twilio_client(&sandbox);
    let instant = |text: &str| Some(text.parse().unwrap());
    let sweep = ListMessages {
        to: Some(phone("+16175550100")),
        sent_since: instant("2026-11-23T15:20:00Z"),
        sent_until: instant("2026-11-23T15:30:00Z"),
        ..ListMessages::default()
    };
    let heard = client.list_messages(&sweep).await.unwrap().items;
    assert_eq!(heard.len(), 1);
    assert_eq!((heard[0].sid.as_str(), heard[0].body.expose()), (sid.as_str(), "please opt out"));
    assert_eq!((&heard[0].direction, &heard[0].from), (&Direction::Inbound, &Some(phone(ANA))));
    assert_eq!(heard[0].date_sent, instant("2026-11-23T15:30:00Z"));
    let earlier = ListMessages { sent_until: instant("2026-11-23T15:29:59Z"), ..sweep };
    assert!(client.list_messages(&earlier).await.unwrap().items.is_empty());
    // It can still be told.
    assert!(matches!(sandbox.handset().redeliver(&sid).await, Delivery::Answered { .. }));
}

#[tokio::test]
async fn a_list_that_is_cut_short_says_so_and_bears_deletions() {
    let sandbox = start().await;
    let client = twilio_client(&sandbox);
    for n in 0..5 {
        client.create_message(&message(ANA, &format!("{n}"))).await.unwrap();
    }
    delivered(&sandbox, ANA, 5).await;
    let newest = ListMessages { page_size: 2, max_pages: 2, ..ListMessages::default() };
    let listed = client.list_messages(&newest).await.unwrap();
    assert_eq!((listed.items.len(), listed.complete), (4, false));
    for message in &listed.items {
        assert_eq!(client.delete_message(&message.sid).await.unwrap(), Deleted::Gone);
    }
    let rest = client.list_messages(&newest).await.unwrap();
    assert_eq!((rest.items.len(), rest.complete), (1, true));
}

#[tokio::test]
async fn a_price_comes_some_time_after_the_message() {
    let (config, clock) = config();
    let sandbox = Sandbox::start(config).await.unwrap();
    sandbox.twilio().set_price_after(SignedDuration::from_mins(5));
    let client = twilio_client(&sandbox);
    let sid = client.create_message(&message(ANA, "x")).await.unwrap().sid;
    delivered(&sandbox, ANA, 1).await;
    assert_eq!(client.fetch_message(&sid).await.unwrap().price, None);
    clock.advance(SignedDuration::from_mins(5));
    let shown = client.redact_message(&sid).await.unwrap().price.unwrap();
    assert_eq!(twilio::micros(&shown), Some(-8_300));
    let listed = client.sms_price("US").await.unwrap().unwrap();
    assert_eq!((twilio::micros(&listed.amount), listed.currency.as_str()), (Some(8_300), "USD"));
    assert!(matches!(client.sms_price("FR").await, Err(RequestError::Api(_))));
}

#[tokio::test]
async fn what_is_kept_is_counted() {
    let sandbox = start().await;
    let client = twilio_client(&sandbox);
    let sid = client.create_message(&message(ANA, "secret")).await.unwrap().sid;
    delivered(&sandbox, ANA, 1).await;
    client.redact_message(&sid).await.unwrap();
    for words in ["Stop", "unstop", "I slept well"] {
        sandbox.handset().say_quietly(BEN, words);
    }
    let kept = sandbox.twilio().kept();
    assert_eq!((kept.messages, kept.bodies, kept.inbound, kept.stop_or_start), (4, 3, 3, 2));
    assert_eq!(kept.oldest, Some("2026-11-23T15:30:00Z".parse().unwrap()));
    for message in client.list_messages(&ListMessages::default()).await.unwrap().items {
        assert_eq!(client.delete_message(&message.sid).await.unwrap(), Deleted::Gone);
    }
    assert_eq!(sandbox.twilio().kept(), sandbox::Kept::default());
}

#[tokio::test]
async fn a_changed_token_is_another_refusal_than_an_empty_account() {
    let sandbox = start().await;
    let client = twilio_client(&sandbox);
    sandbox.twilio().set_credentials_bad(true);
    match client.create_message(&message(ANA, "x")).await {
        Err(CreateError::Refused(error)) => {
            assert_eq!((error.status, error.code), (401, Some(20003)));
            assert!(twilio::is_credential(20003) && !twilio::is_account(20003));
        }
        other => panic!("{other:?}"),
    }
    sandbox.twilio().set_credentials_bad(false);
    client.create_message(&message(ANA, "x")).await.unwrap();
    assert!(!client.account().await.unwrap().is_child);
    sandbox.twilio().set_child(true);
    assert!(client.account().await.unwrap().is_child);
    match client.balance().await {
        Err(RequestError::Api(error)) => assert_eq!((error.status, error.code), (404, Some(20404))),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_pace_of_creates_is_noted_on_demand() {
    let (config, clock) = config();
    let sandbox = Sandbox::start(config).await.unwrap();
    let client = twilio_client(&sandbox);
    client.create_message(&message(ANA, "unnoted")).await.unwrap();
    sandbox.twilio().record_creates(true);
    client.create_message(&message(ANA, &"x".repeat(200))).await.unwrap();
    clock.advance(SignedDuration::from_secs(1));
    client.create_message(&message(ANA, "x")).await.unwrap();
    let pace: Vec<_> = sandbox
        .twilio()
        .creates()
        .into_iter()
        .map(|made| (made.at.as_second() % 60, made.segments))
        .collect();
    assert_eq!(pace, [(0, 2), (1, 1)]);
    sandbox.twilio().record_creates(false);
    assert_eq!(sandbox.twilio().creates(), []);
}
