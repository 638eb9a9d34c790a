//! A question to one node, by the protocol that every node speaks whatever its role.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo, RedisError};

use crate::config::Password;

/// Longest wait for a connection: a node on this machine needs a millisecond.
const CONNECT_WAIT: Duration = Duration::from_secs(1);

/// Sends `words` to the node at `address` (`host:port`) and gives its answer, waiting for it no longer than `wait`.
///
/// # Errors
/// A sentence: it cannot be reached, does not answer, asks for another password, or answers with an error.
pub(super) async fn ask(address: &str, password: &Password, words: &[&str], wait: Duration) -> Result<String, String> {
    let mut connection = connect(address, password, wait).await?;
    let mut command = redis::cmd(words[0]);
    for word in &words[1..] {
        command.arg(word);
    }
    command.query_async(&mut connection).await.map_err(|e| explain(&e))
}

async fn connect(address: &str, password: &Password, wait: Duration) -> Result<MultiplexedConnection, String> {
    let no_address = || format!("'{address}' is no address: write host:port");
    let (host, port) = address.rsplit_once(':').ok_or_else(no_address)?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port: u16 = port.parse().map_err(|_| no_address())?;
    let mut settings = RedisConnectionInfo::default();
    if !password.0.is_empty() {
        settings = settings.set_password(&password.0);
    }
    let info = ConnectionAddr::Tcp(host, port).into_connection_info().map_err(|e| explain(&e))?;
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
