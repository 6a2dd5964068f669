//! The daemon: the gateway at work behind its webhooks.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use gateway::store::Sqlite;
use gateway::{Clock, Gateway};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::config::Config;

/// A running daemon. It stops when dropped; what it was doing is in the store.
#[derive(Debug)]
pub struct Daemon {
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// Where it listens.
    pub address: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

impl Daemon {
    /// Starts it. REDCap and Twilio may be away: then it says so, and catches up.
    pub async fn start(config: Config, clock: Clock) -> anyhow::Result<Daemon> {
        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("listen on {}; is another daemon running?", config.listen))?;
        Daemon::start_on(listener, config, clock)
    }

    /// Starts it on a port that was opened before, for those who had to know it first.
    pub fn start_on(listener: TcpListener, config: Config, clock: Clock) -> anyhow::Result<Daemon> {
        let store = Sqlite::open(&config.database, clock.clone())?;
        for note in &config.notes {
            tracing::warn!("{note}");
        }
        let address = listener.local_addr()?;
        let gateway = Arc::new(Gateway::new(config.projects, store, clock, &config.public_url));
        let router = gateway::webhooks::router(gateway.clone(), config.trigger_secret);
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the webhooks are not served any more");
            }
        });
        let working = tokio::spawn(gateway.clone().run());
        Ok(Daemon { gateway, address, tasks: vec![serving, working] })
    }
}

impl Daemon {
    /// Waits until a part of it ends, which none should: then it is better to start anew than to go on
    /// answering webhooks that nobody reads.
    pub async fn ended(&mut self) -> anyhow::Error {
        let Some(first) = self.tasks.first_mut() else { return anyhow::anyhow!("the daemon has no parts") };
        let first = std::pin::pin!(first);
        anyhow::anyhow!("a part of the daemon ended: {:?}", first.await)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
