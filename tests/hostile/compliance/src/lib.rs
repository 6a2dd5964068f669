//! A compliance policy that misbehaves as its setting `behaviour` says. The tests put it where the
//! reference policy belongs, and see that nothing comes of it but a message that is held.

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};

use consentry_guest::host::{log, redcap, settings};
use consentry_guest::{
    Allowance, Deferral, Description, Draft, Finding, Inbound, Intent, Occasion, Rule, Scope, Setting,
    SettingKind, Stage, Stop, Verdict, compliance,
};

/// The hostile policy.
#[derive(Debug, Clone, Copy)]
pub struct Hostile;

impl compliance::Policy for Hostile {
    fn describe() -> Description {
        if behaviour() == "trap-when-described" {
            trap();
        }
        Description {
            name: "hostile-compliance".into(),
            version: "1".into(),
            summary: "misbehaves as it is told".into(),
            settings: vec![Setting {
                name: "behaviour".into(),
                kind: SettingKind::Text,
                doc: "How it misbehaves.".into(),
                default: None,
            }],
            rules: vec![Rule {
                id: "hostile".into(),
                sentence: "Whatever a hostile policy says.".into(),
                citation: None,
            }],
        }
    }

    fn review(occasion: Occasion, draft: Draft, stage: Stage) -> Verdict {
        let behaviour = behaviour();
        misbehave(&behaviour);
        match behaviour.as_str() {
            "huge-answer" => Verdict::Hold(vec![finding("x".repeat(10 << 20))]),
            "many-findings" => Verdict::Hold(vec![finding("one of many"); 100_000]),
            "undeclared-rule" => Verdict::Hold(vec![undeclared("made up")]),
            "undeclared-number" => Verdict::Hold(vec![undeclared(&number(&draft))]),
            "hold-without-a-word" => Verdict::Hold(vec![]),
            "defer-into-the-past" => {
                Verdict::Defer(Deferral { until: 0, because: vec![finding("ask me again at once")] })
            }
            "defer-forever" => {
                Verdict::Defer(Deferral { until: u32::MAX, because: vec![finding("ask me again in 2106")] })
            }
            "quote-number" => Verdict::Hold(vec![finding(quoting(&draft))]),
            "quote-number-late" if stage == Stage::Claimed => Verdict::Hold(vec![finding(quoting(&draft))]),
            "cite-number" => {
                let citation = Some(["as ", &number(&draft), " said"].concat());
                Verdict::Hold(vec![Finding { citation, ..finding("it hides the number elsewhere") }])
            }
            "counter" => {
                Verdict::Hold(vec![finding(format!("this is decision {} of this instance", count()))])
            }
            "occasion" => Verdict::Hold(vec![finding(occasion.id)]),
            _ => Verdict::Allow(Allowance { arrive_by: None, because: vec![] }),
        }
    }

    fn interpret(inbound: Inbound) -> Intent {
        let behaviour = behaviour();
        misbehave(&behaviour);
        match behaviour.as_str() {
            "trap-when-interpreting" => trap(),
            "start-everything" => Intent::Start(finding("everybody wants everything")),
            "stop-everything" => {
                Intent::Stop(Stop { scope: Scope::Institution, because: finding("nobody wants anything") })
            }
            "answer-everything" => Intent::Answer,
            "repeat-what-redcap-says" => {
                let read = redcap::read(&["first_name".to_owned()], None).unwrap_or_default();
                Intent::Ignore(finding(read.into_iter().map(|it| it.value).collect::<String>()))
            }
            "quote-number" => {
                Intent::AskStaff(finding(["ask ", inbound.from.as_str(), " yourself"].concat()))
            }
            _ => Intent::Ignore(finding("nothing is worth a thought")),
        }
    }
}

consentry_guest::compliance!(Hostile);

fn behaviour() -> String {
    settings::text("behaviour").unwrap_or_default()
}

/// What never comes back with an answer, whatever was asked.
fn misbehave(behaviour: &str) {
    match behaviour {
        "trap" => trap(),
        "loop-forever" => loop {
            black_box(());
        },
        "recurse-forever" => {
            recurse(0);
        }
        "allocate-forever" => {
            let mut all = Vec::new();
            loop {
                all.push(black_box(vec![1_u8; 1 << 20]));
            }
        }
        "call-forever" => loop {
            let _ = redcap::read(&["first_name".to_owned()], None);
        },
        "deep-logic" => {
            let _ = redcap::evaluate(&"(".repeat(100_000), None);
        }
        "huge-log" => log::warn(&"x".repeat(10 << 20)),
        "long-log" => (0..200).for_each(|_| log::warn(&"x".repeat(1000))),
        "invalid-utf8" => {
            #[expect(unsafe_code, reason = "what is no text must be given to the host as if it were one")]
            // SAFETY: there is none. The host must find it out, and does not depend on this string.
            let text = unsafe { String::from_utf8_unchecked(vec![0xff, 0xfe]) };
            log::warn(&text);
        }
        _ => {}
    }
}

#[expect(clippy::panic, reason = "a policy that gives up is what is tested")]
fn trap() -> ! {
    panic!("the policy gives up");
}

#[expect(unconditional_recursion, reason = "the stack is to run out")]
fn recurse(depth: u64) -> u64 {
    black_box(recurse(black_box(depth + 1)) + 1)
}

/// Memory that survived a decision would count on.
fn count() -> u32 {
    static DECISIONS: AtomicU32 = AtomicU32::new(0);
    DECISIONS.fetch_add(1, Ordering::Relaxed) + 1
}

fn finding(sentence: impl Into<String>) -> Finding {
    Finding { rule: "hostile".into(), sentence: sentence.into(), citation: None, fact: None }
}

fn undeclared(rule: &str) -> Finding {
    Finding { rule: rule.into(), ..finding("by a rule that nobody knows") }
}

fn number(draft: &Draft) -> String {
    match &draft.to {
        consentry_guest::Address::Phone(number) => number.clone(),
        consentry_guest::Address::Email(mailbox) => mailbox.clone(),
    }
}

/// The number as it is stored, and as people write it.
fn quoting(draft: &Draft) -> String {
    let number = number(draft);
    let digits = number.trim_start_matches("+1");
    let (area, rest) = digits.split_at(digits.len().min(3));
    let (exchange, line) = rest.split_at(rest.len().min(3));
    format!("{number} is ({area}) {exchange}-{line} is {area}.{exchange}.{line} is {area} {exchange} {line}")
}
