//! A question to one node, by the protocol that every node speaks whatever its role.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo, RedisError};
use tanist_replication::transport::address::HostPort;

use crate::config::Password;

/// Longest wait for a connection: a node on this machine needs a millisecond.
const CONNECT_WAIT: Duration = Duration::from_secs(1);

/// Sends `words` to the node at `address` (`host:port`) and gives its answer, waiting for it no longer than `wait`.
///
/// # Errors
/// A sentence: it cannot be reached, does not answer, asks for another password, or answers with an error.
pub(super) async fn ask(address: &str, password: &Password, words: &[&str], wait: Duration) -> Result<String, String> {
    put(&mut connect(address, password, wait).await?, words).await
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
    let at: HostPort = address.parse()?;
    let mut settings = RedisConnectionInfo::default();
    if !password.0.is_empty() {
        settings = settings.set_password(&password.0);
    }
    let info = ConnectionAddr::Tcp(at.host().to_owned(), at.port()).into_connection_info().map_err(|e| explain(&e))?;
    let client = redis::Client::open(info.set_redis_settings(settings)).map_err(|e| explain(&e))?;
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT_WAIT)).set_response_timeout(Some(wait));
    client.get_multiplexed_async_connection_with_config(&config).await.map_err(|e| explain(&e))
}

fn explain(error: &RedisError) -> String {
    match error.code() {
        Some("NOAUTH") => "it asks for a password: give it in TANIST_REQUIREPASS".into(),
        Some("WRONGPASS") => "it asks for another password: give it in TANIST_REQUIREPASS".into(),
        Some(code) => format!("{code} {}", error.detail().unwrap_or_default()),
        None if error.is_timeout() => "it does not answer".into(),
        None if error.is_connection_refusal() => "nobody listens there".into(),
        None => error.to_string(),
    }
}
