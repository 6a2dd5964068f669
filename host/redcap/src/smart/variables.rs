//! The list of smart variables, as a reference page shows it.

use super::{LinkKind, Meaning, Part, SmartVariable};
use crate::reference::{EventStep, Instance};

#[rustfmt::skip]
pub(super) static VARIABLES: &[SmartVariable] = {
    use Meaning as M;
    const USER: &str = "User";
    const RECORD: &str = "Record";
    const FORM: &str = "Form";
    const SURVEY: &str = "Survey";
    const EVENT: &str = "Event and arm";
    const REPEAT: &str = "Repeats";
    const MANY: &str = "Aggregates, charts and tables";
    const CHANCE: &str = "Randomization";
    const BOARD: &str = "Dashboards and public reports";
    const APP: &str = "MyCap";
    const PROJECT: &str = "Project and server";
    const ABOUT_FIELDS: &str = ":fields[:filters]";
    &[
        variable(USER, "user-name", "", "The user name of whoever is logged in.", M::UserName),
        variable(USER, "user-fullname", "", "The first and the last name of whoever is logged in.", M::UserFullName),
        variable(USER, "user-email", "", "The e-mail address of whoever is logged in.", M::UserEmail),
        variable(USER, "user-dag-name", "", "The unique name of the user's data access group; blank without one.", M::UserGroup(Part::Name)),
        variable(USER, "user-dag-id", "", "The number of the user's data access group; blank without one.", M::UserGroup(Part::Id)),
        variable(USER, "user-dag-label", "", "The data access group of the user, as it is called on the screen; blank without one.", M::UserGroup(Part::Label)),
        variable(USER, "user-role-id", "", "The number of the user's role; a copied project has other numbers.", M::UserRole(Part::Id)),
        variable(USER, "user-role-name", "", "The unique name of the user's role; it outlives the copying of a project.", M::UserRole(Part::Name)),
        variable(USER, "user-role-label", "", "The role of the user, as it is called on the screen.", M::UserRole(Part::Label)),

        variable(RECORD, "record-name", "", "The name of the record: the value of the record id field.", M::RecordName),
        variable(RECORD, "record-dag-name", "", "The unique name of the record's data access group; blank without one.", M::RecordGroup(Part::Name)),
        variable(RECORD, "record-dag-id", "", "The number of the record's data access group; blank without one.", M::RecordGroup(Part::Id)),
        variable(RECORD, "record-dag-label", "", "The data access group of the record, as it is called on the screen; blank without one.", M::RecordGroup(Part::Label)),
        variable(RECORD, "calendar-url", "", "The address of the record's calendar.", M::Unasked(CALENDAR)),
        variable(RECORD, "calendar-link", "[:text]", "A link to the record's calendar.", M::Unasked(CALENDAR)),

        variable(FORM, "is-form", "", "1 if the form is filled in by staff, 0 if it is filled in as a survey.", M::FilledIn { as_survey: false }),
        variable(FORM, "instrument-name", "", "The unique name of the form at hand.", M::InstrumentName),
        variable(FORM, "instrument-label", "", "The title of the form at hand.", M::InstrumentLabel),
        variable(FORM, "form-url", "[:form]", "The address of a form as staff see it.", M::Link(LinkKind::Form)),
        variable(FORM, "form-link", "[:form][:text]", "A link to a form as staff see it; in a text message its address.", M::Link(LinkKind::Form)),

        variable(SURVEY, "is-survey", "", "1 if the form is filled in as a survey, 0 if it is filled in by staff.", M::FilledIn { as_survey: true }),
        variable(SURVEY, "survey-url", "[:form]", "The address of a survey for this record; without a form, of the survey the message is about.", M::Link(LinkKind::Survey)),
        variable(SURVEY, "survey-link", "[:form][:text]", "A link to a survey for this record; in a text message its address.", M::Link(LinkKind::Survey)),
        variable(SURVEY, "survey-queue-url", "", "The address of the record's survey queue.", M::Link(LinkKind::SurveyQueue)),
        variable(SURVEY, "survey-queue-link", "[:text]", "A link to the record's survey queue; in a text message its address.", M::Link(LinkKind::SurveyQueue)),
        variable(SURVEY, "survey-access-code", "[:form]", "The code that opens a survey for this record without its link.", M::Link(LinkKind::SurveyAccessCode)),
        variable(SURVEY, "survey-return-code", "[:form]", "The code that opens a half-answered survey where it was left.", M::Link(LinkKind::SurveyReturnCode)),
        variable(SURVEY, "survey-title", "[:form]", "The title of a survey.", M::SurveyTitle),
        variable(SURVEY, "survey-time-started", "[:form][:value]", "When a survey was begun; blank if it was not.", M::SurveyStarted { date_only: false }),
        variable(SURVEY, "survey-date-started", "[:form][:value]", "The day on which a survey was begun; blank if it was not.", M::SurveyStarted { date_only: true }),
        variable(SURVEY, "survey-time-completed", "[:form][:value]", "When a survey was submitted; blank if it was not.", M::SurveyCompleted { date_only: false }),
        variable(SURVEY, "survey-date-completed", "[:form][:value]", "The day on which a survey was submitted; blank if it was not.", M::SurveyCompleted { date_only: true }),
        variable(SURVEY, "survey-duration", "[:form][:unit]", "How long a survey took, or has taken so far: in seconds, or in `y`, `M`, `d`, `h`, `m` or `s`.", M::SurveyDuration { completed_only: false }),
        variable(SURVEY, "survey-duration-completed", "[:form][:unit]", "How long a survey took; blank until it is submitted.", M::SurveyDuration { completed_only: true }),
        variable(SURVEY, "survey-participant-phone", "", "The number designated for the participant's calls and text messages.", M::ParticipantPhone),

        variable(EVENT, "event-name", "", "The unique name of the event; before a field, the event at hand.", M::EventName(EventStep::This)),
        variable(EVENT, "event-label", "", "The event, as it is called on the screen.", M::EventLabel(EventStep::This)),
        variable(EVENT, "event-id", "", "REDCap's number for the event.", M::EventId),
        variable(EVENT, "event-number", "", "Which event of its arm it is, counted from 1.", M::EventNumber),
        variable(EVENT, "previous-event-name", "", "The unique name of the event before; before a field, the nearest earlier event that has its form.", M::EventName(EventStep::Previous)),
        variable(EVENT, "previous-event-label", "", "The event before, as it is called on the screen; blank at the first one.", M::EventLabel(EventStep::Previous)),
        variable(EVENT, "next-event-name", "", "The unique name of the event after; before a field, the nearest later event that has its form.", M::EventName(EventStep::Next)),
        variable(EVENT, "next-event-label", "", "The event after, as it is called on the screen; blank at the last one.", M::EventLabel(EventStep::Next)),
        variable(EVENT, "first-event-name", "", "The unique name of the arm's first event; before a field, the first one that has its form.", M::EventName(EventStep::First)),
        variable(EVENT, "first-event-label", "", "The arm's first event, as it is called on the screen.", M::EventLabel(EventStep::First)),
        variable(EVENT, "last-event-name", "", "The unique name of the arm's last event; before a field, the last one that has its form.", M::EventName(EventStep::Last)),
        variable(EVENT, "last-event-label", "", "The arm's last event, as it is called on the screen.", M::EventLabel(EventStep::Last)),
        variable(EVENT, "arm-number", "", "The number of the arm.", M::ArmNumber),
        variable(EVENT, "arm-label", "", "The arm, as it is called on the screen.", M::ArmLabel),

        variable(REPEAT, "current-instance", "", "The number of the repeat at hand; blank outside repeats.", M::Instance(Instance::Current)),
        variable(REPEAT, "previous-instance", "", "The number of the repeat before; blank at the first one.", M::Instance(Instance::Previous)),
        variable(REPEAT, "next-instance", "", "The number after that of the repeat at hand, whether or not there is one.", M::Instance(Instance::Next)),
        variable(REPEAT, "first-instance", "", "The lowest number among the repeats.", M::Instance(Instance::First)),
        variable(REPEAT, "last-instance", "", "The highest number among the repeats.", M::Instance(Instance::Last)),
        variable(REPEAT, "new-instance", "", "The number of a repeat that does not exist yet; behind a link, a link to it.", M::Instance(Instance::New)),

        variable(MANY, "aggregate-min", ABOUT_FIELDS, "The lowest value in many records.", M::NotForMessages(SUMMARY)),
        variable(MANY, "aggregate-max", ABOUT_FIELDS, "The highest value in many records.", M::NotForMessages(SUMMARY)),
        variable(MANY, "aggregate-mean", ABOUT_FIELDS, "The mean of a field over many records.", M::NotForMessages(SUMMARY)),
        variable(MANY, "aggregate-median", ABOUT_FIELDS, "The median of a field over many records.", M::NotForMessages(SUMMARY)),
        variable(MANY, "aggregate-sum", ABOUT_FIELDS, "The sum of a field over many records.", M::NotForMessages(SUMMARY)),
        variable(MANY, "aggregate-count", ABOUT_FIELDS, "How many values there are in many records.", M::NotForMessages(SUMMARY)),
        variable(MANY, "aggregate-stdev", ABOUT_FIELDS, "The standard deviation of a field over many records.", M::NotForMessages(SUMMARY)),
        variable(MANY, "aggregate-unique", ABOUT_FIELDS, "How many different values there are in many records.", M::NotForMessages(SUMMARY)),
        variable(MANY, "stats-table", ABOUT_FIELDS, "A table of such figures.", M::NotForMessages(SUMMARY)),
        variable(MANY, "scatter-plot", ABOUT_FIELDS, "A scatter plot over many records.", M::NotForMessages(SUMMARY)),
        variable(MANY, "line-chart", ABOUT_FIELDS, "A line chart over many records.", M::NotForMessages(SUMMARY)),
        variable(MANY, "bar-chart", ABOUT_FIELDS, "A bar chart over many records.", M::NotForMessages(SUMMARY)),
        variable(MANY, "pie-chart", ABOUT_FIELDS, "A pie chart over many records.", M::NotForMessages(SUMMARY)),
        variable(MANY, "donut-chart", ABOUT_FIELDS, "A ring chart over many records.", M::NotForMessages(SUMMARY)),

        variable(CHANCE, "rand-number", "[:n]", "The randomization number of the record.", M::Unasked(RANDOMIZATION)),
        variable(CHANCE, "rand-time", "[:n][:value]", "When the record was randomized, on the server's clock.", M::Unasked(RANDOMIZATION)),
        variable(CHANCE, "rand-utc-time", "[:n][:value]", "When the record was randomized, in universal time.", M::Unasked(RANDOMIZATION)),

        variable(BOARD, "dashboard-url", ":dashboard", "The address of a public dashboard.", M::Unasked(DASHBOARD)),
        variable(BOARD, "dashboard-link", ":dashboard[:text]", "A link to a public dashboard.", M::Unasked(DASHBOARD)),
        variable(BOARD, "dashboard-access-code", ":dashboard", "The code that opens a public dashboard.", M::Unasked(DASHBOARD)),
        variable(BOARD, "report-access-code", ":report", "The code that opens a public report.", M::Unasked(DASHBOARD)),

        variable(APP, "mycap-project-code", "", "The project's code in the MyCap app.", M::Unasked(MYCAP)),
        variable(APP, "mycap-participant-code", "", "The participant's code in the MyCap app.", M::Unasked(MYCAP)),
        variable(APP, "mycap-participant-url", "", "The address that takes the participant into the MyCap app.", M::Unasked(MYCAP)),
        variable(APP, "mycap-participant-link", "[:text]", "A link that takes the participant into the MyCap app.", M::Unasked(MYCAP)),

        variable(PROJECT, "project-id", "", "REDCap's number for the project.", M::ProjectId),
        variable(PROJECT, "project-title", "", "The title of the project.", M::ProjectTitle),
        variable(PROJECT, "project-status", "", "0 in development, 1 in production, 2 in analysis or cleanup.", M::ProjectStatus),
        variable(PROJECT, "project-purpose", "", "0 practice, 1 other, 2 research, 3 quality improvement, 4 operational support.", M::ProjectPurpose),
        variable(PROJECT, "project-irb-number", "", "The number under which the ethics board approved the project.", M::ProjectIrbNumber),
        variable(PROJECT, "data-table", "[:project]", "The database table with the project's data.", M::NotForMessages(DATABASE)),
        variable(PROJECT, "redcap-base-url", "", "The address of the REDCap server.", M::BaseUrl),
        variable(PROJECT, "redcap-version", "", "The version of REDCap.", M::Version),
        variable(PROJECT, "redcap-version-url", "", "The address of the REDCap server with the version's folder.", M::VersionUrl),
        variable(PROJECT, "survey-base-url", "", "The address all survey links begin with.", M::SurveyBaseUrl),
    ]
};

const fn variable(
    topic: &'static str,
    name: &'static str,
    parameters: &'static str,
    description: &'static str,
    meaning: Meaning,
) -> SmartVariable {
    SmartVariable { topic, name, parameters, description, meaning }
}

const DASHBOARD: &str = "what REDCap keeps about its dashboards and public reports";
const RANDOMIZATION: &str = "how REDCap randomized the record";
const MYCAP: &str = "what REDCap keeps for the MyCap app";
const CALENDAR: &str = "the address of the record's calendar in REDCap";
const SUMMARY: &str = "sums up many records and belongs on a dashboard, not in what is about one record";
const DATABASE: &str = "names a table of REDCap's database and is for its administrators";
