//! The daemon: the gateway at work behind its webhooks.

use std::net::SocketAddr;
use std::sync::Arc;

use std::time::Duration;

use gateway::store::{Store, StoreError};
use gateway::{Clock, Gateway};
use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinHandle};

use crate::admin::{self, api};
use crate::config::Config;
use crate::telemetry::{self, TelemetryError};

/// What is being submitted is ended within this time, or is looked for at Twilio by the next daemon.
const DRAIN: Duration = Duration::from_secs(45);

/// A running daemon. It stops when dropped; what it was doing is in the store.
#[derive(Debug)]
pub struct Daemon {
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it tells its health and its figures, if it does.
    pub admin: Option<SocketAddr>,
    serving: JoinHandle<std::io::Result<()>>,
    telling: JoinHandle<std::io::Result<()>>,
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
    /// The figures cannot be kept.
    #[error("keep figures")]
    Figures(#[from] TelemetryError),
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
        let listener = listen(config.listen).await?;
        let admin = match config.admin_listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        Daemon::start_on(listener, admin, config, clock)
    }

    /// Starts it on ports that were opened before, for those who had to know them first.
    pub fn start_on(
        listener: TcpListener,
        admin: Option<TcpListener>,
        config: Config,
        clock: Clock,
    ) -> Result<Daemon, DaemonError> {
        let store = Store::open(&config.database, &config.keys, clock.clone())?;
        for note in &config.notes {
            tracing::warn!("{note}");
        }
        let address = listener.local_addr().map_err(DaemonError::Address)?;
        let admin_address =
            admin.as_ref().map(TcpListener::local_addr).transpose().map_err(DaemonError::Address)?;
        let gateway = Arc::new(Gateway::new(config.projects, store, clock, &config.public_url)?);
        let router = gateway::webhooks::router(gateway.clone(), config.trigger_secret);
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        let telling = match admin {
            Some(listener) => {
                let figures = telemetry::prometheus()?;
                let router = admin::router(gateway.clone(), figures.clone());
                let router = if config.api_tokens.is_empty() {
                    router
                } else {
                    router.merge(api::router(gateway.clone(), config.api_tokens))
                };
                tokio::spawn(async move {
                    tokio::select! {
                        served = axum::serve(listener, router) => served,
                        () = telemetry::upkeep(figures) => Ok(()),
                    }
                })
            }
            None => tokio::spawn(std::future::pending()),
        };
        let working = tokio::spawn(gateway.clone().run());
        Ok(Daemon { gateway, address, admin: admin_address, serving, telling, working })
    }

    /// Waits until a part of it ends, which none should: then it is better to start anew than to go on
    /// answering webhooks that nobody reads.
    pub async fn ended(&mut self) -> DaemonError {
        let served = |served: Result<std::io::Result<()>, JoinError>| match served {
            Ok(Err(source)) => DaemonError::Serving(source),
            Ok(Ok(())) => DaemonError::Ended,
            Err(source) => DaemonError::Part(source),
        };
        tokio::select! {
            ended = &mut self.serving => served(ended),
            ended = &mut self.telling => served(ended),
            worked = &mut self.working => worked.map_or_else(DaemonError::Part, |()| DaemonError::Ended),
        }
    }

    /// Ends it: nothing new is begun, what was begun is ended, and what it held is given to the others. Webhooks
    /// are taken until the end. Says whether everything was ended in time; what was not is looked for at Twilio.
    pub async fn drain(mut self) -> Result<bool, DaemonError> {
        self.gateway.drain();
        let in_time = match tokio::time::timeout(DRAIN, &mut self.working).await {
            Ok(ended) => ended.map(|()| true).map_err(DaemonError::Part)?,
            Err(_) => {
                // Whoever still submits must not do so under a lease that was given up.
                self.working.abort();
                false
            }
        };
        self.gateway.leave().await?;
        Ok(in_time)
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, DaemonError> {
    TcpListener::bind(address).await.map_err(|source| DaemonError::Listen { address, source })
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.serving.abort();
        self.telling.abort();
        self.working.abort();
    }
}
