//! A template policy that misbehaves as its setting `behaviour` says. The tests put it where the reference
//! policy belongs, and see that no word reaches a phone that was not approved.

use std::hint::black_box;

use consentry_guest::host::{settings, wordings};
use consentry_guest::{
    ChoiceStyle, DeliveryMethod, Description, Finding, Occasion, Piece, Rule, Setting, SettingKind, Turn,
    Words, template,
};

/// The hostile policy.
#[derive(Debug, Clone, Copy)]
pub struct Hostile;

impl template::Policy for Hostile {
    fn describe() -> Description {
        Description {
            name: "hostile-template".into(),
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

    fn render(occasion: Occasion, _: DeliveryMethod) -> Result<Words, Finding> {
        let language = occasion.project.language;
        let say = |pieces| Ok(Words { pieces, subject: None, language: language.clone() });
        let wording = |id: &str| Piece::Wording(id.into());
        match settings::text("behaviour").unwrap_or_default().as_str() {
            "unapproved-wording" => say(vec![wording("unapproved"), wording("opt-out")]),
            "unknown-wording" => say(vec![wording("whatever I like")]),
            "number-for-a-wording" => {
                say(vec![Piece::Wording(occasion.participant.and_then(|it| it.phone).unwrap_or_default())])
            }
            "label-piece" => say(vec![Piece::Label]),
            "choices-piece" => say(vec![wording("invitation"), Piece::Choices(ChoiceStyle::Spoken)]),
            "wrong-language" => {
                Ok(Words { pieces: vec![wording("invitation")], subject: None, language: "tlh".into() })
            }
            "no-pieces" => say(vec![]),
            "many-pieces" => say(vec![wording("invitation"); 100_000]),
            "long-text" => say([vec![wording("invitation"); 50], vec![wording("opt-out")]].concat()),
            "no-opt-out" => say(vec![wording("invitation")]),
            "measure-forever" => {
                let many = vec![wording("opt-out"); 5000];
                loop {
                    black_box(wordings::measure(&many, &language));
                }
            }
            "loop-forever" => loop {
                black_box(());
            },
            "trap" => trap(),
            _ => say(vec![wording("invitation"), wording("opt-out")]),
        }
    }

    fn ask(_: Occasion, _: DeliveryMethod, _: Turn) -> Result<Words, Finding> {
        trap()
    }
}

consentry_guest::template!(Hostile);

#[expect(clippy::panic, reason = "a policy that gives up is what is tested")]
fn trap() -> ! {
    panic!("the policy gives up");
}
