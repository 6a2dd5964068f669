//! The daemon: the gateway at work behind its webhooks.

use std::net::SocketAddr;
use std::sync::Arc;

use gateway::store::{Sqlite, StoreError};
use gateway::{Clock, Gateway};
use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinHandle};

use crate::config::Config;

/// A running daemon. It stops when dropped; what it was doing is in the store.
#[derive(Debug)]
pub struct Daemon {
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// Where it listens.
    pub address: SocketAddr,
    serving: JoinHandle<std::io::Result<()>>,
    working: JoinHandle<()>,
}

/// Why a daemon does not start, or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The address cannot be listened on.
    #[error("listen on {address}; is another daemon running?")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The socket cannot be asked for its address.
    #[error("ask the socket for its address")]
    Address(#[source] std::io::Error),
    /// The database cannot be used.
    #[error("open the database")]
    Store(#[from] StoreError),
    /// The webhooks are not served any more.
    #[error("serve the webhooks")]
    Serving(#[source] std::io::Error),
    /// A part of it panicked.
    #[error("go on after a part of the daemon failed; what waits is in the database, and nothing is lost")]
    Part(#[source] JoinError),
    /// A part of it ended, which none should.
    #[error("go on after a part of the daemon ended")]
    Ended,
}

impl Daemon {
    /// Starts it. REDCap and Twilio may be away: then it says so, and catches up.
    pub async fn start(config: Config, clock: Clock) -> Result<Daemon, DaemonError> {
        let address = config.listen;
        let listen = |source| DaemonError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        Daemon::start_on(listener, config, clock)
    }

    /// Starts it on a port that was opened before, for those who had to know it first.
    pub fn start_on(listener: TcpListener, config: Config, clock: Clock) -> Result<Daemon, DaemonError> {
        let store = Sqlite::open(&config.database, clock.clone())?;
        for note in &config.notes {
            tracing::warn!("{note}");
        }
        let address = listener.local_addr().map_err(DaemonError::Address)?;
        let gateway = Arc::new(Gateway::new(config.projects, store, clock, &config.public_url));
        let router = gateway::webhooks::router(gateway.clone(), config.trigger_secret);
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        let working = tokio::spawn(gateway.clone().run());
        Ok(Daemon { gateway, address, serving, working })
    }

    /// Waits until a part of it ends, which none should: then it is better to start anew than to go on
    /// answering webhooks that nobody reads.
    pub async fn ended(&mut self) -> DaemonError {
        tokio::select! {
            served = &mut self.serving => match served {
                Ok(Err(source)) => DaemonError::Serving(source),
                Ok(Ok(())) => DaemonError::Ended,
                Err(source) => DaemonError::Part(source),
            },
            worked = &mut self.working => worked.map_or_else(DaemonError::Part, |()| DaemonError::Ended),
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.serving.abort();
        self.working.abort();
    }
}
