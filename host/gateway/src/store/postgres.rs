//! The shared database: PostgreSQL, for several daemons.
//!
//! A connection is used on one of the store's own threads and never inside the asynchronous runtime. It is made
//! again when it was lost, but never in the middle of a transaction: what was written there is gone, or, when
//! it was lost while it committed, in doubt.
//!
//! The doubt is settled by a row. Each transaction leaves its name as it commits, and whoever is in doubt puts
//! the same name there: either it finds the name, and the transaction was committed, or it takes the name, and
//! the transaction cannot be committed any more, even if the server only hears of it later. (The server's own
//! number of a transaction would not do: after a crash it is given to another one.)

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use postgres::config::{Host, SslMode, TargetSessionAttrs};
use postgres::fallible_iterator::FallibleIterator;
use postgres::types::{FromSql, IsNull, ToSql, Type, WrongType, to_sql_checked};
use postgres::{Client, Config, NoTls, Statement};
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::sql::{Row, Sql, Value, migration, padded, rows};
use super::{Cause, StoreError};

/// Statements that stay prepared; above that all are forgotten and prepared again.
const STATEMENTS: usize = 512;

/// What is said once on a new connection. A commit is on the disk before it is answered, whatever the server's
/// own setting. A daemon that hangs must not hold its locks longer than a lease, and whoever waits for a lock
/// gives up before the statement as a whole does. Either way it is known for what it is: another one's turn.
/// A statement is planned once, for its plan does not depend on what is given.
const SETTINGS: &str = "SET synchronous_commit = on; SET statement_timeout = '15s'; SET lock_timeout = '10s'; \
                        SET idle_in_transaction_session_timeout = '15s'; SET client_min_messages = warning; \
                        SET plan_cache_mode = force_generic_plan";

/// A connection to the server, or what it takes to make one.
pub(super) struct Postgres {
    url: SecretString,
    tls: Option<MakeRustlsConnect>,
    session: Option<Session>,
    transaction: Transaction,
    /// Random: what the names of this one's transactions begin with.
    name: String,
    /// Transactions that were begun.
    count: u64,
}

struct Session {
    client: Client,
    statements: HashMap<String, Statement>,
}

/// The last transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Transaction {
    Open { is_spoilt: bool },
    InDoubt,
    Ended { is_committed: bool },
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postgres").field("is_connected", &self.session.is_some()).finish_non_exhaustive()
    }
}

impl Postgres {
    /// Connects. An address or a password that cannot be right is [`StoreError::Open`], and a server that does
    /// not answer is [`StoreError::Away`].
    pub(super) fn open(url: SecretString) -> Result<Postgres, StoreError> {
        let config = config(&url)?;
        let named = |source| StoreError::Open { path: place(&config), source };
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => Some(tls().map_err(|error| named(error.into()))?),
        };
        let session = Session::connect(&config, tls.as_ref()).map_err(|error| match error.code() {
            // The password, the database or the rights of the user.
            Some(code) if ["28", "3D", "42"].contains(&&code.code()[..2]) => named(said(error)),
            _ => StoreError::Away(said(error)),
        })?;
        let transaction = Transaction::Ended { is_committed: false };
        let mut name = [0; 16];
        getrandom::fill(&mut name).map_err(|_| StoreError::Random)?;
        let name = hex::encode(name);
        Ok(Postgres { url, tls, session: Some(session), transaction, name, count: 0 })
    }

    /// The name of this one's nth transaction.
    fn named(&self, nth: u64) -> String {
        format!("{}-{nth}", self.name)
    }

    /// Does something on the connection, which is made again if it was lost, unless a transaction is open.
    fn run<T>(
        &mut self,
        work: impl FnOnce(&mut Session) -> Result<T, postgres::Error>,
    ) -> Result<T, StoreError> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None if matches!(self.transaction, Transaction::Open { .. }) => {
                return Err(StoreError::Away(
                    "the connection was lost in the middle of a transaction".into(),
                ));
            }
            None => Session::connect(&config(&self.url)?, self.tls.as_ref())
                .map_err(|error| StoreError::Away(said(error)))?,
        };
        let result = work(&mut session).map_err(|error| failed(error, session.client.is_closed()));
        // A lost connection is not used again.
        if !matches!(result, Err(StoreError::Away(_))) {
            self.session = Some(session);
            if let (Err(_), Transaction::Open { is_spoilt }) = (&result, &mut self.transaction) {
                *is_spoilt = true;
            }
        }
        result
    }

    /// Does something that may be done twice. A connection that was lost while nobody used it is found lost
    /// only now, and a new one may be there at once.
    fn run_again<T>(
        &mut self,
        work: impl Fn(&mut Session) -> Result<T, postgres::Error>,
    ) -> Result<T, StoreError> {
        let was_idle = self.session.is_some() && !matches!(self.transaction, Transaction::Open { .. });
        match self.run(&work) {
            Err(StoreError::Away(_)) if was_idle => self.run(&work),
            result => result,
        }
    }

    /// Brings the schema to this program's version, step by step.
    fn forward(&mut self) -> Result<(), StoreError> {
        // Making an index takes as long as it takes.
        self.script("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")?;
        self.lock(&[b"schema"])?;
        let table = "SELECT CAST(to_regclass('consentry_schema') AS TEXT)";
        if super::sql::scalar::<Option<String>>(self, table, &[])?.is_none() {
            self.script(
                "CREATE TABLE consentry_schema (version BIGINT NOT NULL);
                 INSERT INTO consentry_schema VALUES (0);
                 CREATE TABLE consentry_commit (name TEXT PRIMARY KEY, how TEXT NOT NULL)",
            )?;
        }
        let mut found: i64 = super::sql::scalar(self, "SELECT version FROM consentry_schema", &[])?;
        while found != super::VERSION {
            let (script, reached) = migration(found, true).ok_or(StoreError::Version { found })?;
            self.script(&script)?;
            self.execute("UPDATE consentry_schema SET version = ?1", &[reached.into()])?;
            found = reached;
        }
        Ok(())
    }
}

impl Session {
    fn connect(config: &Config, tls: Option<&MakeRustlsConnect>) -> Result<Session, postgres::Error> {
        let mut client = match tls {
            Some(tls) => config.connect(tls.clone())?,
            None => config.connect(NoTls)?,
        };
        client.batch_execute(SETTINGS)?;
        Ok(Session { client, statements: HashMap::new() })
    }

    fn prepared(&mut self, sql: &str) -> Result<Statement, postgres::Error> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(&numbered(sql))?;
        if self.statements.len() == STATEMENTS {
            self.statements.clear();
        }
        self.statements.insert(sql.into(), statement.clone());
        Ok(statement)
    }
}

/// TLS with the certificates that this machine trusts, as the HTTP client does it.
fn tls() -> Result<MakeRustlsConnect, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// Reads the address. It holds a password, so what is wrong with it is not quoted.
///
/// Whoever asks for TLS gets a verified certificate: the driver knows no other way, so `verify-full` is its
/// `require`. Whoever asks for nothing gets TLS too, except on this machine, where nobody is in between.
fn config(url: &SecretString) -> Result<Config, StoreError> {
    let text = url.expose_secret().replace("sslmode=verify-full", "sslmode=require");
    let mut config: Config = text.parse().map_err(|_| StoreError::Open {
        path: "postgres://…".into(),
        source: "the address is not a PostgreSQL URL; write `postgres://user:password@host/database`".into(),
    })?;
    if config.get_ssl_mode() == SslMode::Prefer {
        let is_here = config.get_hosts().iter().all(|host| match host {
            Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()),
            #[cfg(unix)]
            Host::Unix(_) => true,
        });
        config.ssl_mode(if is_here { SslMode::Disable } else { SslMode::Require });
    }
    config
        .application_name("consentry")
        .connect_timeout(Duration::from_secs(5))
        .keepalives(true)
        .keepalives_idle(Duration::from_secs(10))
        .keepalives_interval(Duration::from_secs(5))
        .keepalives_retries(3)
        .tcp_user_timeout(Duration::from_secs(15))
        // Of several hosts it is the primary: a standby takes nothing.
        .target_session_attrs(TargetSessionAttrs::ReadWrite);
    Ok(config)
}

/// The host and the database, for people.
fn place(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        #[cfg(unix)]
        Some(Host::Unix(path)) => path.display().to_string(),
        None => "…".into(),
    };
    format!("postgres://{host}/{}", config.get_dbname().unwrap_or_default())
}

/// `?1` becomes `$1`, outside of quotes.
fn numbered(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut is_quoted = false;
    let mut letters = sql.chars().peekable();
    while let Some(letter) = letters.next() {
        is_quoted ^= letter == '\'';
        let is_number = letter == '?' && letters.peek().is_some_and(char::is_ascii_digit);
        out.push(if is_number && !is_quoted { '$' } else { letter });
    }
    out
}

impl Sql for Postgres {
    fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        self.run(|session| {
            let statement = session.prepared(sql)?;
            let values: Vec<_> = values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
            session.client.execute(&statement, &values)
        })
    }

    fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let is_read_only = sql.trim_start().starts_with("SELECT");
        let work = |session: &mut Session| {
            let statement = session.prepared(sql)?;
            session.client.query_raw(&statement, values)?.map(|read| row(&read)).collect()
        };
        // What a statement with `RETURNING` changed may be there although its answer was lost.
        if is_read_only { self.run_again(work) } else { self.run(work) }
    }

    fn each(
        &mut self,
        sql: &str,
        values: &[Value],
        take: &mut dyn FnMut(Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        // Rows come as fast as they are taken, which may be slow. The answer is only fetched as it is read.
        self.run_again(|session| session.client.batch_execute("SET statement_timeout = 0"))?;
        let taken = self.run(|session| {
            let statement = session.prepared(sql)?;
            let mut rows = session.client.query_raw(&statement, values)?;
            while let Some(read) = rows.next()? {
                if let Err(error) = take(row(&read)?) {
                    return Ok(Err(error));
                }
            }
            Ok(Ok(()))
        });
        // On a connection that was lost there is nothing to put back.
        if self.session.is_some() {
            let put_back = self.run(|session| session.client.batch_execute("SET statement_timeout = '15s'"));
            return taken.flatten().and(put_back);
        }
        taken.flatten()
    }

    fn script(&mut self, sql: &str) -> Result<(), StoreError> {
        self.run(|session| session.client.batch_execute(sql))
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        self.run_again(|session| session.client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED"))?;
        self.transaction = Transaction::Open { is_spoilt: false };
        self.count += 1;
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let Transaction::Open { is_spoilt } = self.transaction else {
            return Err(StoreError::Sql("there is no transaction to commit".into()));
        };
        // PostgreSQL answers a commit of a spoilt transaction as if all were well, and takes it back.
        if is_spoilt {
            self.rollback()?;
            return Err(StoreError::Sql("a statement of the transaction had failed".into()));
        }
        let had_connection = self.session.is_some();
        // One round trip. The name of the one before is of no use any more, unless it was taken.
        let commit = format!(
            "DELETE FROM consentry_commit WHERE name = '{}' AND how = 'committed'; INSERT INTO consentry_commit VALUES ('{}', 'committed'); \
             COMMIT",
            self.named(self.count - 1),
            self.named(self.count)
        );
        let result = self.run(|session| session.client.batch_execute(&commit));
        match result {
            Ok(()) => self.transaction = Transaction::Ended { is_committed: true },
            Err(StoreError::Away(_)) if had_connection => self.transaction = Transaction::InDoubt,
            Err(_) => self.rollback()?,
        }
        result
    }

    fn was_committed(&mut self) -> Result<bool, StoreError> {
        if let Transaction::Ended { is_committed } = self.transaction {
            return Ok(is_committed);
        }
        if self.transaction != Transaction::InDoubt {
            return Ok(false);
        }
        let name = self.named(self.count);
        let take = "INSERT INTO consentry_commit VALUES (?1, 'taken back') ON CONFLICT DO NOTHING";
        match self.execute(take, &[name.as_str().into()]) {
            // The transaction is still there, and the server has not noticed that we were gone.
            Err(StoreError::Conflict) => {
                return Err(StoreError::Away("the transaction has not ended".into()));
            }
            taken => taken?,
        };
        let end: String =
            super::sql::scalar(self, "SELECT how FROM consentry_commit WHERE name = ?1", &[name.into()])?;
        let is_committed = end == "committed";
        self.transaction = Transaction::Ended { is_committed };
        Ok(is_committed)
    }

    fn rollback(&mut self) -> Result<(), StoreError> {
        let Transaction::Open { .. } = self.transaction else { return Ok(()) };
        let result = match self.session {
            Some(_) => self.run(|session| session.client.batch_execute("ROLLBACK")),
            None => Ok(()),
        };
        self.transaction = Transaction::Ended { is_committed: false };
        match result {
            // Whether it was taken back is not known, so this connection is not used again.
            Err(StoreError::Away(_)) | Ok(()) => Ok(()),
            Err(error) => {
                self.session = None;
                Err(error)
            }
        }
    }

    fn lock(&mut self, names: &[&[u8]]) -> Result<(), StoreError> {
        if names.is_empty() {
            return Ok(());
        }
        let (places, keys) = padded(names.iter().map(|name| {
            let mut first = [0; 8];
            first.copy_from_slice(&Sha256::digest(name)[..8]);
            i64::from_be_bytes(first)
        }));
        // Rows are taken as they stand. A name that is held already is held twice, and let go at once.
        let keys_as_given = rows(places, &["CAST(? AS BIGINT)"]);
        let lock = format!("SELECT pg_advisory_xact_lock(key) FROM (VALUES {keys_as_given}) AS given (key)");
        self.execute(&lock, &keys).map(|_| ())
    }

    fn for_update(&self) -> &'static str {
        " FOR UPDATE"
    }

    fn skip_locked(&self) -> &'static str {
        " FOR UPDATE SKIP LOCKED"
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn migrate(&mut self) -> Result<(), StoreError> {
        self.begin()?;
        let forward = self.forward();
        if forward.is_err() {
            self.rollback()?;
            return forward;
        }
        self.commit()
    }
}

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Cause> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Integer(value) if *ty == Type::INT8 => value.to_sql(ty, out),
            Value::Integer(value) if *ty == Type::INT4 => i32::try_from(*value)?.to_sql(ty, out),
            Value::Text(value) if <&str as ToSql>::accepts(ty) => value.as_str().to_sql(ty, out),
            Value::Bytes(value) if *ty == Type::BYTEA => value.to_sql(ty, out),
            Value::Integer(_) => Err(Box::new(WrongType::new::<i64>(ty.clone()))),
            Value::Text(_) => Err(Box::new(WrongType::new::<String>(ty.clone()))),
            Value::Bytes(_) => Err(Box::new(WrongType::new::<Vec<u8>>(ty.clone()))),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Value, Cause> {
        Ok(match *ty {
            Type::INT8 => Value::Integer(i64::from_sql(ty, raw)?),
            Type::INT4 => Value::Integer(i32::from_sql(ty, raw)?.into()),
            Type::BYTEA => Value::Bytes(Vec::from_sql(ty, raw)?),
            _ => Value::Text(String::from_sql(ty, raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Value, Cause> {
        Ok(Value::Null)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::INT8 | Type::INT4 | Type::BYTEA) || <String as FromSql>::accepts(ty)
    }
}

fn row(read: &postgres::Row) -> Result<Row, postgres::Error> {
    (0..read.len()).map(|column| read.try_get(column)).collect::<Result<_, _>>().map(Row)
}

/// What a failure means for the transaction.
fn failed(error: postgres::Error, is_closed: bool) -> StoreError {
    let Some(code) = error.code() else {
        // Without a code the server said nothing: the connection failed, or a value did not fit.
        let is_broken =
            std::error::Error::source(&error).is_some_and(<dyn std::error::Error>::is::<std::io::Error>);
        let is_lost = is_closed || error.is_closed() || is_broken;
        return if is_lost { StoreError::Away(said(error)) } else { StoreError::Sql(said(error)) };
    };
    match code.code() {
        // Serialisation, deadlock, a lock that was not had in time, a statement that took too long.
        "40001" | "40P01" | "55P03" | "57014" => StoreError::Conflict,
        // The server is ending or starting, has no room for us, ended our session, or is a standby now.
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "53300" | "25006" => StoreError::Away(said(error)),
        code if code.starts_with("08") => StoreError::Away(said(error)),
        _ if is_closed => StoreError::Away(said(error)),
        _ => StoreError::Sql(said(error)),
    }
}

/// What the server says, without the values that it may quote: they are in its details, and in the message of
/// a value that does not fit.
#[derive(Debug, thiserror::Error)]
#[error("PostgreSQL answers {code}: {message}")]
struct Said {
    code: String,
    message: String,
}

fn said(error: postgres::Error) -> Cause {
    let Some(db) = error.as_db_error() else { return Box::new(error) };
    let code = db.code().code();
    let message = if code.starts_with("22") { "a value does not fit" } else { db.message() };
    Box::new(Said { code: code.into(), message: message.into() })
}
