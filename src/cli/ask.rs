//! Sends one command to one node over the Redis protocol, which every node speaks in every role.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo, RedisError};
use tanist_replication::transport::address::HostPort;
use tokio::time::{Instant, sleep};

use crate::config::Password;

/// Longest wait for a connection: a node on this machine needs a millisecond.
pub(super) const CONNECT_WAIT: Duration = Duration::from_secs(1);

/// Why a process that does not run cannot be asked.
pub(super) const NOBODY: &str = "nobody listens there";

/// Why a process cannot be asked that wants to know first who asks: waiting does not change it.
const REFUSES: &str = "it refuses, ";

/// Whether `why` a node cannot be asked stays true however long one waits.
pub(super) fn is_refusal(why: &str) -> bool {
    why.starts_with(REFUSES)
}

/// What a node says to whoever gives a password where none is asked.
const ASKS_FOR_NONE: &str = "without any password configured";

/// How a node begins to say that all its places are taken.
const NO_PLACE: &str = "max number of clients reached";

/// How long a place at a full node is tried for: the node clears an operator's place of whoever has only connected within less.
const PLACE_WAIT: Duration = Duration::from_secs(4);
/// Pause between two tries.
const PLACE_PAUSE: Duration = Duration::from_millis(100);

/// Sends `words` to the node at `address` (`host:port`) and returns its answer, waiting for it no longer than `wait`.
///
/// # Errors
/// A sentence: it cannot be reached, does not answer, asks for another password, or answers with an error.
pub(super) async fn ask(address: &str, password: &Password, words: &[&str], wait: Duration) -> Result<String, String> {
    put(&mut connect(address, password, wait).await?, words).await
}

/// As [`ask`], and tries for some seconds to get a place at a node that is full.
///
/// # Errors
/// As [`ask`].
pub(super) async fn ask_at_length(
    address: &str,
    password: &Password,
    words: &[&str],
    wait: Duration,
) -> Result<String, String> {
    let full_until = Instant::now() + PLACE_WAIT;
    loop {
        match ask(address, password, words, wait).await {
            Err(why) if why.contains(NO_PLACE) && Instant::now() < full_until => sleep(PLACE_PAUSE).await,
            answer => return answer,
        }
    }
}

/// Sends `words` on a connection and gives the answer.
///
/// # Errors
/// A sentence: the node does not answer, or answers with an error.
pub(super) async fn put(connection: &mut MultiplexedConnection, words: &[&str]) -> Result<String, String> {
    let mut command = redis::cmd(words[0]);
    for word in &words[1..] {
        command.arg(word);
    }
    command.query_async(connection).await.map_err(|e| explain(&e))
}

/// A connection to the node at `address`, which waits `wait` for each answer.
///
/// # Errors
/// A sentence: it cannot be reached, does not answer, or asks for another password.
pub(super) async fn connect(
    address: &str,
    password: &Password,
    wait: Duration,
) -> Result<MultiplexedConnection, String> {
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT_WAIT)).set_response_timeout(Some(wait));
    let at: HostPort = address.parse()?;
    // Nothing is sent but what is asked: a refusal is then the answer to it.
    let settings = RedisConnectionInfo::default().set_skip_set_lib_name();
    let info = ConnectionAddr::Tcp(at.host().to_owned(), at.port()).into_connection_info().map_err(|e| explain(&e))?;
    let client = redis::Client::open(info.set_redis_settings(settings)).map_err(|e| explain(&e))?;
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await.map_err(|e| explain(&e))?;
    if let Some(command) = authentication(password) {
        authenticated(command.exec_async(&mut connection).await)?;
    }
    Ok(connection)
}

/// The command that sends the password, if there is one. The client would do so itself, but it keeps for itself why that failed.
pub(super) fn authentication(password: &Password) -> Option<redis::Cmd> {
    (!password.0.is_empty()).then(|| {
        let mut command = redis::cmd("AUTH");
        command.arg(&password.0);
        command
    })
}

/// Whether the password is right; a node that asks for none does not mind.
pub(super) fn authenticated(told: Result<(), RedisError>) -> Result<(), String> {
    match told {
        Err(error) if error.detail().is_some_and(|detail| detail.contains(ASKS_FOR_NONE)) => Ok(()),
        told => told.map_err(|e| explain(&e)),
    }
}

/// Why a question was not answered, for a person.
pub(super) fn explain(error: &RedisError) -> String {
    let text = error.to_string();
    if text.contains(NO_PLACE) {
        return format!("it has no place left, {NO_PLACE}: end clients, or raise maxclients");
    }
    match error.code() {
        Some(code @ ("NOAUTH" | "WRONGPASS")) => format!("{REFUSES}{code}: set TANIST_REQUIREPASS to its password"),
        Some(code) => format!("{code} {}", error.detail().unwrap_or_default()),
        None if error.is_timeout() => "it does not answer".into(),
        None if error.is_connection_refusal() => NOBODY.into(),
        None => text,
    }
}
