//! A client's way to the cluster: a write goes, and the number in its reply comes back, or why there is none.

use redis::RedisError;
use redis::aio::MultiplexedConnection;
use tanist_client::{Client, Error};

use super::kind::Kind;
use super::ledger::Fate;
use super::load::{Access, REPLY_WAIT};
use super::stock::{Library, Stock};
use crate::cli::ask;
use crate::config::Password;
use crate::front::NOT_EXECUTED;

/// Codes of error replies that say that the command was not executed.
const REFUSALS: [&str; 6] = ["READONLY", "NOTPRIMARY", "LOADING", "OOM", "NOAUTH", "MOVED"];

/// Why a write was not confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) fate: Fate,
    /// In few words, to count by.
    pub(super) kind: String,
}

impl Trouble {
    pub(super) fn new(fate: Fate, kind: &str) -> Trouble {
        Trouble { fate, kind: kind.to_owned() }
    }

    /// An error reply, by its first word and the rest.
    pub(super) fn of_reply(code: &str, rest: Option<&str>) -> Trouble {
        // That a command has waited in vain is one code, whether it was executed or not.
        let refused = REFUSALS.contains(&code) || rest.is_some_and(|rest| rest.ends_with(NOT_EXECUTED));
        Trouble::new(if refused { Fate::Refused } else { Fate::Unknown }, code)
    }
}

/// One way to send a write and to get the number in its reply.
pub(super) enum ClientLink {
    Library(Box<Client>),
    Plain(Plain),
    Stock(Box<Stock>),
}

impl ClientLink {
    /// Opens the way of clients of this kind.
    ///
    /// # Errors
    /// A sentence: the client library finds no primary, or a stock client cannot be started.
    pub(super) async fn open(kind: Kind, access: &Access) -> Result<ClientLink, String> {
        let plain = |addresses: &[String]| {
            let (addresses, password) = (addresses.to_vec(), access.password.clone());
            ClientLink::Plain(Plain { addresses, password, turn: 0, open: None })
        };
        let addresses = &access.resp;
        Ok(match kind {
            Kind::Library => {
                let client = Client::connect(access.client.clone()).await.map_err(|e| e.to_string())?;
                ClientLink::Library(Box::new(client))
            }
            Kind::Plain => plain(&addresses[..1]),
            Kind::Forwarded => plain(&addresses[1..]),
            Kind::Either => plain(addresses),
            Kind::Stock(library) => ClientLink::Stock(Box::new(ClientLink::stock(library, access).await?)),
        })
    }

    /// A stock client, which has connected to nothing yet.
    ///
    /// # Errors
    /// A sentence: it is not installed.
    pub(super) async fn stock(library: Library, access: &Access) -> Result<Stock, String> {
        Stock::start(library, &access.form, &access.resp, &access.password, REPLY_WAIT).await
    }

    pub(super) async fn send(&mut self, words: &[String]) -> Result<u64, Trouble> {
        match self {
            ClientLink::Library(client) => match client.command(words).await {
                Ok(redis::Value::Int(reply)) => Ok(u64::try_from(reply).unwrap_or(0)),
                Ok(_) => Err(Trouble::new(Fate::Unknown, "another reply than a number")),
                Err(Error::Server(error)) => Err(Trouble::of_reply(error.code(), error.details())),
                Err(Error::Unknown(_)) => Err(Trouble::new(Fate::Unknown, "outcome unknown")),
                Err(_) => Err(Trouble::new(Fate::Refused, "not executed in time")),
            },
            ClientLink::Plain(plain) => plain.send(words).await,
            ClientLink::Stock(stock) => stock.send(words).await,
        }
    }
}

/// A client as simple as they come: one connection, to the next of its addresses whenever something goes wrong.
pub(super) struct Plain {
    addresses: Vec<String>,
    password: Password,
    turn: usize,
    open: Option<MultiplexedConnection>,
}

impl Plain {
    async fn connection(&mut self) -> Result<&mut MultiplexedConnection, Trouble> {
        if self.open.is_none() {
            let address = &self.addresses[self.turn % self.addresses.len()];
            let connection = ask::connect(address, &self.password, REPLY_WAIT).await;
            self.open = Some(connection.map_err(|_| Trouble::new(Fate::Refused, "no connection"))?);
        }
        self.open.as_mut().ok_or_else(|| Trouble::new(Fate::Refused, "no connection"))
    }

    async fn send(&mut self, words: &[String]) -> Result<u64, Trouble> {
        let mut command = redis::Cmd::new();
        command.arg(words);
        let outcome = match self.connection().await {
            Ok(connection) => command.query_async(connection).await.map_err(|e| plain_trouble(&e)),
            Err(trouble) => Err(trouble),
        };
        if outcome.is_err() {
            self.open = None;
            self.turn += 1;
        }
        outcome
    }
}

fn plain_trouble(error: &RedisError) -> Trouble {
    match error.code() {
        Some(code) => Trouble::of_reply(code, error.detail()),
        None if error.is_timeout() => Trouble::new(Fate::Unknown, "no reply in time"),
        None => Trouble::new(Fate::Unknown, "connection lost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_says_that_nothing_happened() {
        let fate = |code, rest| Trouble::of_reply(code, Some(rest)).fate;
        assert_eq!(fate("READONLY", "You can't write"), Fate::Refused);
        assert_eq!(
            fate("NOTDURABLE", "it may or may not survive"),
            Fate::Unknown,
            "executed, and not known to be kept"
        );
        assert_eq!(fate("NOTDURABLE", "waited for 3000 ms (not executed)"), Fate::Refused);
        assert_eq!(fate("ERR", ""), Fate::Unknown);
    }
}
