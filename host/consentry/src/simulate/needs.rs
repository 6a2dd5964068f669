//! What an institution would have to write so that a schedule can be sent at all: approvals, registered staff,
//! permission for identifiers. It is found from the design alone, before there is a record.

use std::collections::BTreeSet;

use gateway::project::Project;
use gateway::schedule::{By, Design, Schedule, To};
use gateway::wording::Wording;
use policy::contract::types::DeliveryMethod;
use policy::contract::wordings::ApprovalState;
use redcap::logic::Context;
use redcap::{Place, Record};
use serde::Serialize;

/// Something that is missing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Need {
    /// The rule that holds the message without it.
    pub rule: &'static str,
    /// What is missing, as a sentence.
    pub sentence: String,
    /// What to write in the project's file.
    pub write: String,
}

/// What a schedule needs that the project's file does not say.
pub fn of(project: &Project, design: &Design, schedule: &Schedule, now: u32) -> Vec<Need> {
    let mut needs = Vec::new();
    let staff: Vec<_> = schedule
        .to
        .iter()
        .map(|to| match to {
            To::Number(number) => (true, project.staff_with_phone(number)),
            To::Mailbox(mailbox) => (true, project.staff_with_mailbox(mailbox)),
            _ => (false, None),
        })
        .collect();
    let to_staff = staff.iter().any(|(is_staff, _)| *is_staff);
    if staff.iter().any(|(is_staff, known)| *is_staff && known.is_none()) {
        needs.push(Need {
            rule: "floor.staff",
            sentence:
                "it goes to an address that is written out in REDCap and that no administrator registered"
                    .into(),
            write: "[[staff]]\nname = \"…\"\nphone = \"…\"        # or email: as the alert names it\n\
                    registered = \"administrator, date\""
                .into(),
        });
    }
    if schedule.to.iter().any(|to| matches!(to, To::Field(_) | To::Nobody)) {
        needs.push(Need {
            rule: "floor.recipient",
            sentence: "it goes to whoever a field names, who is neither the participant nor registered staff"
                .into(),
            write: "# let the alert name the designated phone field, or a registered address, in REDCap"
                .into(),
        });
    }
    for wording in wordings(design, schedule) {
        let identifiers = identifiers(design, schedule, wording);
        let digest = wording.digest();
        if wording.approval_state(now) != ApprovalState::Approved {
            needs.push(Need {
                rule: "floor.approval",
                sentence: format!("its text is not approved ({digest})"),
                write: approval(&digest, if to_staff { &[] } else { &identifiers }),
            });
        }
        if identifiers.is_empty() {
            continue;
        }
        let list = identifiers.join("`, `");
        if to_staff {
            let missing = staff.iter().any(|(is_staff, known)| {
                *is_staff && known.is_none_or(|it| identifiers.iter().any(|id| !it.identifiers.contains(id)))
            });
            if missing {
                needs.push(Need {
                    rule: "floor.staff-identifier",
                    sentence: format!("it tells staff the identifier fields `{list}`"),
                    write: format!("[[staff]]\n# …\nidentifiers = {identifiers:?}"),
                });
            }
        } else {
            let named = wording.approval.as_ref().map(|approval| &approval.identifiers);
            if named.is_none_or(|named| identifiers.iter().any(|id| !named.contains(id))) {
                needs.push(Need {
                    rule: "floor.identifier",
                    sentence: format!(
                        "it fills in the identifier fields `{list}`, which no approval of it names"
                    ),
                    write: approval(&digest, &identifiers),
                });
            }
        }
    }
    needs.sort();
    needs.dedup();
    needs
}

fn approval(digest: &str, identifiers: &[String]) -> String {
    let named =
        if identifiers.is_empty() { String::new() } else { format!("\nidentifiers = {identifiers:?}") };
    format!("[[approval]]\ndigest = \"{digest}\"\nby = \"…\"\napproved = …{named}")
}

/// The wordings that a schedule may be said in, in the way that the study team chose.
pub fn wordings<'a>(design: &'a Design, schedule: &Schedule) -> Vec<&'a Wording> {
    let method = match schedule.by {
        By::Method(method) => method,
        By::Preference => DeliveryMethod::SmsLink,
    };
    let mut ids: Vec<String> = schedule.wording_for(method).into_iter().collect();
    if method == DeliveryMethod::Email {
        ids.extend(schedule.subject());
    }
    design.wordings.iter().filter(|wording| ids.contains(&wording.id)).collect()
}

/// The identifier fields that a wording fills in.
fn identifiers(design: &Design, schedule: &Schedule, wording: &Wording) -> Vec<String> {
    if schedule.blanks_identifiers {
        return vec![];
    }
    let nobody = Record::new("");
    let place = Place { event: None, instrument: None, instance: 1 };
    let context = Context::new(&design.model, &nobody, &place, jiff::civil::DateTime::default());
    let piped = redcap::pipe::pipe(&wording.text, &context, &|_| Some(String::new()));
    let found: BTreeSet<String> =
        piped.filled.into_iter().filter(|filled| filled.identifier).map(|filled| filled.field).collect();
    found.into_iter().collect()
}
