//! Exports for people who have no account here. An export of opt-outs holds phone numbers and mailboxes: it is what the
//! study team needs in order to honour them elsewhere.

use gateway::store::{Store, StoreError};
use gateway::vocabulary::Word;
use jiff::Timestamp;

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store failed.
    #[error("read the opt-outs")]
    Store(#[from] StoreError),
    /// The CSV could not be written.
    #[error("write the CSV")]
    Csv(#[from] csv::Error),
    /// The CSV could not be finished.
    #[error("finish the CSV")]
    End(#[from] std::io::Error),
}

/// Every opt-out there ever was, as CSV with a header, oldest first. Instants are RFC 3339 in UTC; an opt-out
/// without an end is in force.
pub async fn opt_outs(store: &Store, out: impl std::io::Write) -> Result<(), ExportError> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(["number", "channel", "project", "opted_out_at", "source", "inbound_sid", "ended_at"])?;
    let at = |seconds: u32| {
        Timestamp::from_second(i64::from(seconds)).map(|at| at.to_string()).unwrap_or_default()
    };
    for opt_out in store.all_opt_outs().await? {
        let project = if opt_out.project.is_empty() { "(institution)" } else { &opt_out.project };
        csv.write_record([
            opt_out.of.expose(),
            opt_out.channel.word(),
            project,
            &at(opt_out.at),
            &opt_out.source,
            opt_out.cause.as_deref().unwrap_or_default(),
            &opt_out.ended.map(at).unwrap_or_default(),
        ])?;
    }
    csv.flush()?;
    Ok(())
}
