//! The institution's front door: one address for webhooks, in front of whichever daemons live. When none does,
//! whoever knocks is sent away, as in life.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use nix::unistd::Pid;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A daemon that answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub(super) pid: Pid,
    pub(super) port: u16,
}

/// The door. It closes when dropped.
#[derive(Debug)]
pub(super) struct Door {
    /// The public URL.
    pub(super) url: String,
    open: Arc<Mutex<Vec<Open>>>,
    waiting: JoinHandle<()>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.waiting.abort();
    }
}

impl Door {
    pub(super) async fn new() -> Result<Door> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let open: Arc<Mutex<Vec<Open>>> = Arc::default();
        let behind = open.clone();
        let waiting = tokio::spawn(async move {
            let mut turn = 0_usize;
            while let Ok((stream, _)) = listener.accept().await {
                turn = turn.wrapping_add(1);
                let mut open = locked(&behind).clone();
                if !open.is_empty() {
                    let first = turn % open.len();
                    open.rotate_left(first);
                }
                tokio::spawn(pass_on(stream, open));
            }
        });
        Ok(Door { url, open, waiting })
    }

    pub(super) fn opened(&self, open: Open) {
        locked(&self.open).push(open);
    }

    pub(super) fn closed(&self, pid: Pid) {
        locked(&self.open).retain(|open| open.pid != pid);
    }

    pub(super) fn close(&self) {
        locked(&self.open).clear();
    }

    /// Who is behind it, for those who do away with all of them.
    pub(super) fn behind(&self) -> Arc<Mutex<Vec<Open>>> {
        self.open.clone()
    }
}

async fn pass_on(mut stream: TcpStream, open: Vec<Open>) {
    for Open { port, .. } in open {
        if let Ok(mut daemon) = TcpStream::connect(("127.0.0.1", port)).await {
            // Whichever end breaks, the other sees it.
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut daemon).await;
            return;
        }
    }
}

/// What another thread left there is still true if it panicked.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
