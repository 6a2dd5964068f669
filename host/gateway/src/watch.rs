//! Watch: which records are to be read, and why. REDCap's trigger names one at once, its log names all that were
//! changed, and time alone may make an occasion of one that nobody touched. Whichever comes first, the occasion
//! is one; and what was asked for and could not be read is asked for again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use redcap::Record;
use redcap::client::{ExportRecords, LogKind, ReadLog};
use serde_json::{Map, Value};

use crate::facts::{civil, phone_of};
use crate::gateway::Gateway;
use crate::outbox::{NewMessage, Reason};
use crate::project::{GoLive, Project};
use crate::record::without_values;
use crate::schedule::Design;
use crate::store::{Step, StoreError};
use crate::takeover;
use crate::trigger::{self, Seen};

/// Occasions and numbers that are written in one step.
const AT_ONCE: usize = 500;

/// Records that are read in one request.
const IN_A_BATCH: usize = 50;

/// Seconds between two looks at REDCap's log.
const LOG: u32 = 60;

/// REDCap's log tells minutes, and a row may be written a little after its time: so much is read twice.
const OVERLAP: u32 = 180;

/// Seconds between two readings of every record where the log tells what changes, and where it cannot be read.
const WHOLE: u32 = 6 * 3600;
const WHOLE_WITHOUT_LOG: u32 = 300;

/// What is to be read of a project's records, and when.
#[derive(Debug, Default)]
pub(crate) struct Watching {
    /// Every record.
    pub(crate) everything: bool,
    /// Records by name, and what happened to them.
    pub(crate) records: BTreeMap<String, Seen>,
    /// When time alone may make an occasion of a record, in seconds.
    times: BTreeMap<String, u32>,
    by_time: BTreeSet<(u32, String)>,
    /// When the log is read next.
    log_at: u32,
    /// Whether it could be read.
    log_tells: bool,
    /// When every record was read.
    whole_at: u32,
    /// Schedules that are known to be run here.
    begun: BTreeSet<String>,
}

/// How records are read.
#[derive(Clone, Copy, Debug)]
struct Reading<'a> {
    /// Whether the project is live.
    live: bool,
    /// Schedules that are run here for the first time.
    fresh: &'a BTreeSet<String>,
    /// The only schedules that anything is planned of.
    only: Option<&'a BTreeSet<String>>,
}

/// What came of looking at every record.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Reevaluated {
    /// Whether it is done; else REDCap does not answer, or another daemon does it soon.
    pub done: bool,
    /// How many occasions are new, by schedule; reminders are counted.
    pub new: BTreeMap<String, u64>,
}

impl Watching {
    fn look_at(&mut self, record: &str, at: Option<u32>) {
        if let Some(before) = self.times.remove(record) {
            self.by_time.remove(&(before, record.to_owned()));
        }
        if let Some(at) = at {
            self.times.insert(record.to_owned(), at);
            self.by_time.insert((at, record.to_owned()));
        }
    }

    /// What happened to a record, beside what is known to have.
    pub(crate) fn add(&mut self, record: &str, seen: Seen) {
        let entry = self.records.entry(record.to_owned()).or_default();
        *entry = std::mem::take(entry).and(seen);
    }

    /// Whether it is time to read every record again.
    pub(crate) fn wants_everything(&self, now: u32) -> bool {
        let patience = if self.log_tells { WHOLE } else { WHOLE_WITHOUT_LOG };
        self.whole_at == 0 || self.whole_at + patience <= now
    }
}

impl Gateway {
    /// A record may have changed: somebody saved a form of it, if REDCap names one. Nothing is believed until it is
    /// read back.
    pub fn record_changed(&self, project: &str, record: &str, form: Option<&str>) {
        let Some(work) = self.work.get(project) else { return };
        self.forget(project, record);
        let forms = form.map(str::to_owned).into_iter().collect();
        work.watching.lock().add(record, Seen::Saved(forms));
        self.wake_deciding(project);
    }

    /// When time alone may next make an occasion of a record of a project, or its log is to be read.
    pub fn next_watch(&self, project: &str) -> Option<u32> {
        let watching = self.work.get(project)?.watching.lock();
        watching.by_time.first().map(|(at, _)| *at)
    }

    /// Every record of a project is looked at now, for one schedule or for all of them. What is known already is left
    /// alone: a record that has its invitation gets no second one.
    pub async fn reevaluate(
        &self,
        project: &str,
        schedule: Option<&str>,
        why: &str,
    ) -> Result<Reevaluated, crate::by_hand::InviteError> {
        let (project, design) = self.ready(project)?;
        if let Some(id) = schedule.filter(|id| design.schedule(id).is_none()) {
            return Err(crate::by_hand::InviteError::Schedule(id.into()));
        }
        let before = self.store.made(&project.name).await?;
        let step = Step::Reevaluate {
            project: project.name.clone(),
            schedule: schedule.map(str::to_owned),
            why: why.into(),
        };
        self.store.commit(step).await?;
        if self.lease(&format!("schedule/{}", project.name)).await?.is_some() {
            self.read_records(project).await?;
        }
        let done = self.store.to_reevaluate(&project.name).await?.is_empty();
        self.wake_deciding(&project.name);
        let mut new = self.store.made(&project.name).await?;
        new.retain(|id, count| {
            *count -= before.get(id).copied().unwrap_or(0).min(*count);
            *count > 0 && !crate::by_hand::is_by_hand(id) && schedule.is_none_or(|only| only == id)
        });
        Ok(Reevaluated { done, new })
    }

    /// REDCap's log is read now, and not only when it is time to.
    pub fn read_log_now(&self, project: &str) {
        if let Some(work) = self.work.get(project) {
            work.watching.lock().log_at = 0;
        }
    }

    /// Reads what is to be read, plans what it gives reason for, and says how much that was.
    pub(crate) async fn read_records(&self, project: &Arc<Project>) -> Result<usize, StoreError> {
        let Some(design) = project.design() else { return Ok(0) };
        let now = self.clock.seconds();
        let live = self.is_live(project).await?;
        let fresh = self.fresh(project, &design).await?;
        let asked = self.store.to_reevaluate(&project.name).await?;
        let log_until = if live { self.read_log(project, &design, now).await? } else { None };
        let (everything, records) = {
            let mut watching = self.work[&project.name].watching.lock();
            while let Some((_, record)) = watching.by_time.first().filter(|(at, _)| *at <= now).cloned() {
                watching.look_at(&record, None);
                watching.add(&record, Seen::Looked);
            }
            (std::mem::take(&mut watching.everything), std::mem::take(&mut watching.records))
        };
        // What a person asked for is looked at for their schedules only, unless everything is read anyway.
        let only =
            (!everything && fresh.is_empty() && !asked.is_empty() && !asked.contains("")).then_some(&asked);
        let whole = everything || !fresh.is_empty() || !asked.is_empty();
        let count = records.len() + usize::from(whole);
        let read = if whole || (!live && !records.is_empty()) {
            let how = Reading { live, fresh: &fresh, only };
            self.read_everything(project, &design, &records, how, now).await
        } else {
            self.read_named(project, &design, &records).await
        };
        if !matches!(read, Ok(true)) {
            // What was to be read is read again: a saved form makes no second row in REDCap's log.
            let mut watching = self.work[&project.name].watching.lock();
            watching.everything |= everything;
            for (record, seen) in records {
                watching.add(&record, seen);
            }
            return read.map(|_| 0);
        }
        if !asked.is_empty() {
            // What is asked for while this was read is not done yet.
            let (project, before) = (project.name.clone(), now);
            self.store.commit(Step::Reevaluated { project, schedules: asked, before }).await?;
        }
        if let Some(until) = log_until {
            self.store.commit(Step::ReadLog { project: project.name.clone(), until }).await?;
        }
        Ok(count)
    }

    async fn read_everything(
        &self,
        project: &Arc<Project>,
        design: &Arc<Design>,
        seen: &BTreeMap<String, Seen>,
        how: Reading<'_>,
        now: u32,
    ) -> Result<bool, StoreError> {
        let Some(rows) = self.export(project, vec![]).await else { return Ok(false) };
        self.plan(project, design, rows, seen, how).await?;
        if how.only.is_some() {
            return Ok(true);
        }
        let name = project.name.clone();
        self.store.commit(Step::ReadWhole { project: name.clone() }).await?;
        if !how.live || !how.fresh.is_empty() {
            // Until now nothing of it was sent; what was due is recorded.
            let schedules = how.fresh.iter().cloned().collect();
            self.store.commit(Step::GoLive { project: name, schedules }).await?;
        }
        self.work[&project.name].watching.lock().whole_at = now;
        Ok(true)
    }

    async fn read_named(
        &self,
        project: &Arc<Project>,
        design: &Arc<Design>,
        records: &BTreeMap<String, Seen>,
    ) -> Result<bool, StoreError> {
        let names: Vec<_> = records.keys().cloned().collect();
        for batch in names.chunks(IN_A_BATCH) {
            let Some(rows) = self.export(project, batch.to_vec()).await else { return Ok(false) };
            let how = Reading { live: true, fresh: &BTreeSet::new(), only: None };
            self.plan(project, design, rows, records, how).await?;
            if project.takes_over.mends {
                let step = Step::Mended { project: project.name.clone(), records: batch.to_vec() };
                self.store.commit(step).await?;
            }
        }
        Ok(true)
    }

    /// Rows of some records, or of all; none when REDCap does not answer.
    async fn export(&self, project: &Project, records: Vec<String>) -> Option<Vec<Map<String, Value>>> {
        let wanted = ExportRecords { records, survey_fields: true, ..ExportRecords::default() };
        match project.redcap.export_records(&wanted).await {
            Ok(rows) => Some(rows),
            Err(error) => {
                let error = without_values(&error);
                tracing::warn!(project = project.name, error, "records cannot be read; they are read again");
                None
            }
        }
    }

    /// Whether what a project finds is sent. Before it has read every record once, it is recorded only.
    async fn is_live(&self, project: &Project) -> Result<bool, StoreError> {
        use std::sync::atomic::Ordering;
        let live = &self.work[&project.name].live;
        if live.load(Ordering::Relaxed) || project.takes_over.go_live == GoLive::Everything {
            return Ok(true);
        }
        let since = self.store.live_since(&project.name).await?;
        live.store(since.is_some(), Ordering::Relaxed);
        Ok(since.is_some())
    }

    /// The schedules that are run here for the first time: what holds already of theirs was somebody else's to send.
    async fn fresh(&self, project: &Project, design: &Design) -> Result<BTreeSet<String>, StoreError> {
        if project.takes_over.go_live == GoLive::Everything {
            return Ok(BTreeSet::new());
        }
        let work = &self.work[&project.name];
        let run = design.schedules.iter().filter(|schedule| schedule.not_run.is_none());
        let run: BTreeSet<_> = run.map(|schedule| schedule.id.clone()).collect();
        let given: BTreeSet<_> = takeover::sent_by_redcap(project, design).map(|it| it.id.clone()).collect();
        {
            let known = &work.watching.lock().begun;
            if run.is_subset(known) && given.is_disjoint(known) {
                return Ok(BTreeSet::new());
            }
        }
        let mut begun = self.store.begun(&project.name).await?;
        let given: Vec<_> = given.into_iter().filter(|id| begun.remove(id)).collect();
        if !given.is_empty() {
            let step = Step::GiveBack { project: project.name.clone(), schedules: given };
            self.store.commit(step).await?;
        }
        let fresh = run.difference(&begun).cloned().collect();
        work.watching.lock().begun = begun;
        Ok(fresh)
    }

    /// Reads what REDCap's log says since it was read last; until when, if it was read.
    async fn read_log(
        &self,
        project: &Project,
        design: &Design,
        now: u32,
    ) -> Result<Option<u32>, StoreError> {
        {
            let mut watching = self.work[&project.name].watching.lock();
            if watching.log_at > now {
                return Ok(None);
            }
            watching.log_at = now + LOG;
        }
        let since = self.store.log_read_until(&project.name).await?;
        let from = civil(since.unwrap_or(now).saturating_sub(OVERLAP), project);
        let wanted = ReadLog {
            kind: LogKind::Record,
            begin: Some(from.strftime("%Y-%m-%d %H:%M").to_string()),
            ..ReadLog::default()
        };
        let rows = match project.redcap.log(&wanted).await {
            Ok(rows) => rows,
            Err(error) => {
                let passing = error.is_passing();
                if !passing {
                    self.work[&project.name].watching.lock().log_tells = false;
                    let sentence = "REDCap's log cannot be read, so every record is read every five minutes, and \
                                    alerts that go by the saving of a form are found by REDCap's Data Entry Trigger \
                                    alone; give the token's user the right to see the log";
                    self.tell(project, vec![sentence.into()]).await;
                }
                return Ok(None);
            }
        };
        let mut watching = self.work[&project.name].watching.lock();
        watching.log_tells = true;
        for row in rows {
            let Some(record) = &row.record else { continue };
            if let Some(seen) = seen(&row.action, &row.details, &design.model) {
                self.forget(&project.name, record);
                watching.add(record, seen);
            }
        }
        Ok(Some(now))
    }

    /// Plans what the records give reason for. That is arithmetic over every condition and record, so it does
    /// not hold the threads that send; and what it comes to is written in pieces, so that it does not hold the
    /// store.
    async fn plan(
        &self,
        project: &Arc<Project>,
        design: &Arc<Design>,
        rows: Vec<Map<String, Value>>,
        seen: &BTreeMap<String, Seen>,
        how: Reading<'_>,
    ) -> Result<(), StoreError> {
        let (now, for_rules, designed) = (self.clock.seconds(), project.clone(), design.clone());
        let named: BTreeSet<String> = seen.keys().cloned().collect();
        let (seen, salt) = (seen.clone(), self.salt.clone());
        let found = tokio::task::spawn_blocking(move || {
            let records = redcap::record::from_flat_rows(&designed.model, &rows);
            let phone = |record: &Record| (record.id.clone(), phone_of(&for_rules, &designed.model, record));
            let phones: Vec<_> = records.iter().map(phone).collect();
            let mut occasions = Vec::new();
            let mut looks = Vec::new();
            for record in &records {
                let looked = Seen::Looked;
                let seen = seen.get(&record.id).unwrap_or(&looked);
                occasions.extend(trigger::occasions(&for_rules, &designed, record, seen, &salt, now));
                looks.push((record.id.clone(), trigger::next_look(&for_rules, &designed, record, now)));
            }
            (phones, occasions, looks)
        });
        let (phones, mut occasions, looks) = match found.await {
            Ok(found) => found,
            // A condition that panics is a mistake of ours, and must not pass for no reason to write.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        {
            let mut watching = self.work[&project.name].watching.lock();
            for (record, at) in looks {
                watching.look_at(&record, at);
            }
        }
        if let Some(only) = how.only {
            // What happened to a record meanwhile is found all the same: it is not asked for a second time.
            let happened = |new: &NewMessage| new.record.as_ref().is_some_and(|id| named.contains(id));
            let wanted =
                |new: &NewMessage| new.origin.as_ref().is_some_and(|origin| only.contains(&origin.schedule));
            occasions.retain(|new| wanted(new) || happened(new));
        }
        before_go_live(&mut occasions, design, how, now);
        for new in occasions.iter_mut().filter(|new| design.is_queued(new)) {
            new.held = new.record.as_deref().map(takeover::queued);
        }
        for pairs in phones.chunks(AT_ONCE) {
            self.store.commit(Step::Phones { project: project.name.clone(), pairs: pairs.to_vec() }).await?;
        }
        for occasions in occasions.chunks(AT_ONCE) {
            self.store.commit(Step::Plan(occasions.to_vec())).await?;
        }
        Ok(())
    }
}

/// The rule of what was due before a project went live.
pub const BEFORE_GO_LIVE: &str = "schedule.before-go-live";

/// The rule of what is far more than was planned.
pub const BRAKE: &str = "schedule.brake";

/// What holds already when a project goes live, or when one of its schedules is run here for the first time, may have been sent before, by REDCap itself: it is recorded, and not
/// sent. What is due at a moment of its own that is still to come is planned as ever.
fn before_go_live(occasions: &mut [NewMessage], design: &Design, how: Reading<'_>, now: u32) {
    for new in occasions {
        let is_fresh = new.origin.as_ref().is_some_and(|origin| how.fresh.contains(&origin.schedule));
        if how.live && !is_fresh {
            continue;
        }
        let fixed = |origin: &crate::schedule::Origin| {
            design.schedule(&origin.schedule).is_some_and(|schedule| schedule.timing.is_fixed())
        };
        if new.origin.as_ref().is_some_and(fixed) && new.due > now {
            continue;
        }
        new.held = Some(Reason::new(
            BEFORE_GO_LIVE,
            "its condition held already when the project went live, so it may have been sent before; a person \
             releases what is wanted",
        ));
    }
}

/// What a row of REDCap's log says of a record; none when it says nothing of its values.
fn seen(action: &str, details: &str, model: &redcap::Project) -> Option<Seen> {
    let action = action.to_ascii_lowercase();
    let about_a_record = ["record", "response"].iter().any(|word| action.contains(word));
    let changes = ["create", "update", "delete"].iter().any(|word| action.starts_with(word));
    if !about_a_record || !changes {
        return None;
    }
    if ["(import)", "(api)"].iter().any(|word| action.contains(word)) {
        return Some(Seen::Imported);
    }
    if ["(auto calculation)", "delete"].iter().any(|word| action.contains(word)) {
        return Some(Seen::Looked);
    }
    // Values are not quoted so that they could be told from names for certain. It only narrows down which form it
    // was; and where nothing is understood, it may have been any.
    let mut forms = BTreeSet::new();
    for part in details.split(", ") {
        let name = part.split([' ', '(', '=']).next().unwrap_or_default();
        let form = model.field(name).map(|field| field.instrument.clone());
        forms.extend(form.or_else(|| model.status_of(name).map(|form| form.name.clone())));
    }
    Some(Seen::Saved(forms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use redcap::project::Field;

    #[test]
    fn a_row_of_the_log_says_what_happened_to_a_record() {
        let mut model = redcap::Project::classic("x");
        for (name, instrument) in [("age", "entry"), ("mood", "diary")] {
            model.fields.push(Field { name: name.into(), instrument: instrument.into(), ..Field::default() });
        }
        let forms = |names: &[&str]| Some(Seen::Saved(names.iter().map(|&name| name.to_owned()).collect()));
        for (action, details, expected) in [
            ("Update record 5", "age = '7'", forms(&["entry"])),
            (
                "Update Response 2 (Event 1 (Arm 1: Arm 1))",
                "mood(2) = checked, age = '1'",
                forms(&["diary", "entry"]),
            ),
            ("Create record 5", "", forms(&[])),
            ("Update record (import) 5", "age = '7'", Some(Seen::Imported)),
            ("Update record (API) 5", "age = '7'", Some(Seen::Imported)),
            ("Update record (Auto calculation) 1 (event)", "age = '7'", Some(Seen::Looked)),
            ("Delete record 5", "", Some(Seen::Looked)),
            ("Manage/Design", "", None),
            ("Data export", "", None),
        ] {
            assert_eq!(seen(action, details, &model), expected, "{action}");
        }
    }

    #[test]
    fn a_saved_form_is_not_forgotten_for_an_import() {
        let form = |name: &str| Seen::Saved(BTreeSet::from([name.to_owned()]));
        assert_eq!(Seen::Imported.and(form("a")), form("a"));
        assert_eq!(form("a").and(Seen::Looked), form("a"));
        assert_eq!(form("a").and(Seen::Saved(BTreeSet::new())), Seen::Saved(BTreeSet::new()));
        assert_eq!(Seen::Looked.and(Seen::Imported), Seen::Imported);
    }
}
