//! Stock clients: programs in Python and JavaScript that execute with their library what they are told, a line for each command and
//! each reply. `stock/client.py` and `stock/client.mjs` say how; both are a part of this program.

use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tanist_replication::transport::address::HostPort;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::ledger::Fate;
use super::link::Trouble;
use crate::config::Password;
use crate::front::NOT_EXECUTED;

const PYTHON: &str = include_str!("stock/client.py");
const NODE: &str = include_str!("stock/client.mjs");

/// Longest wait for an interpreter that starts.
const START_WAIT: Duration = Duration::from_secs(20);
/// Longest wait for an outcome: clients of a cluster wait for a reply several times.
const OUTCOME_WAIT: Duration = Duration::from_secs(30);
/// Letters of an error's text to count by.
const ERROR_CHARS_MAX: usize = 60;

/// A library that is no part of Tanist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Library {
    RedisPy,
    Ioredis,
    NodeRedis,
}

/// How a stock client finds the primary: as its pair's setting `cluster_mode` wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// It asks the nodes, as Sentinels, for the primary of this name.
    Sentinel(String),
    /// It asks the nodes, as those of a Redis Cluster, who has the slots.
    Cluster,
}

impl Library {
    pub(super) fn name(self) -> &'static str {
        match self {
            Library::RedisPy => "redis-py",
            Library::Ioredis => "ioredis",
            Library::NodeRedis => "node-redis",
        }
    }

    /// What its package manager calls it.
    fn package(self) -> &'static str {
        match self {
            Library::RedisPy | Library::NodeRedis => "redis",
            Library::Ioredis => "ioredis",
        }
    }

    fn installer(self) -> &'static str {
        match self {
            Library::RedisPy => "pip install",
            Library::Ioredis | Library::NodeRedis => "npm install",
        }
    }

    fn interpreter(self) -> Command {
        match self {
            Library::RedisPy => {
                let mut command = Command::new("python3");
                command.args(["-c", PYTHON]);
                command
            }
            Library::Ioredis | Library::NodeRedis => {
                let mut command = Command::new("node");
                command.args(["--input-type=module", "--eval", NODE, "--"]);
                command
            }
        }
    }
}

/// A line of output.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Line {
    version: Option<String>,
    reply: Option<serde_json::Value>,
    error: Option<String>,
}

/// A running stock client. Dropped, it ends.
pub(super) struct Stock {
    /// Killed when it is dropped.
    _child: Child,
    requests: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    version: String,
    /// It does not reply any more, or not in its turn.
    is_gone: bool,
}

impl Stock {
    /// Starts a client of the nodes at `addresses` (`host:port`), which waits `reply_wait` for each reply. It connects when it has
    /// something to send.
    ///
    /// # Errors
    /// A sentence: its interpreter or its library is not installed.
    pub(super) async fn start(
        library: Library,
        form: &Form,
        addresses: &[String],
        password: &Password,
        reply_wait: Duration,
    ) -> Result<Stock, String> {
        let missing = |why: String| format!("{why}: {} {}", library.installer(), library.package());
        let mut command = library.interpreter();
        command.arg(options(library, form, addresses, reply_wait)?).env("TANIST_REQUIREPASS", &password.0);
        // Ctrl-C is for the drill, which ends its clients then.
        command.process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|e| {
            let program = command.as_std().get_program().display().to_string();
            missing(format!("cannot start {program}: {e}"))
        })?;
        let (Some(requests), Some(replies)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("its pipes are missing".into());
        };
        let lines = BufReader::new(replies).lines();
        let mut stock = Stock { _child: child, requests, lines, version: String::new(), is_gone: false };
        match timeout(START_WAIT, stock.line()).await {
            Ok(Some(Line { version: Some(version), .. })) => stock.version = version,
            Ok(Some(Line { error: Some(why), .. })) => return Err(missing(why)),
            Ok(_) => return Err(missing("it ended at once".into())),
            Err(_) => return Err(format!("it did not start within {} s", START_WAIT.as_secs())),
        }
        Ok(stock)
    }

    /// The library's version.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    pub(super) async fn send(&mut self, words: &[String]) -> Result<u64, Trouble> {
        let gone = |fate| Trouble::new(fate, "the client's program has ended");
        if self.is_gone {
            return Err(gone(Fate::Refused));
        }
        let mut line = serde_json::to_string(words).unwrap_or_default();
        line.push('\n');
        let outcome = async {
            self.requests.write_all(line.as_bytes()).await.ok()?;
            self.line().await
        };
        match timeout(OUTCOME_WAIT, outcome).await {
            Ok(Some(Line { reply: Some(reply), .. })) => {
                reply.as_u64().ok_or_else(|| Trouble::new(Fate::Unknown, "another reply than a number"))
            }
            Ok(Some(Line { error: Some(text), .. })) => Err(trouble(&text)),
            Ok(_) | Err(_) => {
                self.is_gone = true;
                Err(gone(Fate::Unknown))
            }
        }
    }

    /// The next line; `None` if it is none of those that are expected, or there is none.
    async fn line(&mut self) -> Option<Line> {
        serde_json::from_str(&self.lines.next_line().await.ok()??).ok()
    }
}

/// What the program is told, in JSON.
fn options(library: Library, form: &Form, addresses: &[String], reply_wait: Duration) -> Result<String, String> {
    let (form, name) = match form {
        Form::Sentinel(name) => ("sentinel", name.as_str()),
        Form::Cluster => ("cluster", ""),
    };
    let mut nodes = Vec::new();
    for address in addresses {
        let at: HostPort = address.parse()?;
        nodes.push((at.host().to_owned(), at.port()));
    }
    let wait_ms = reply_wait.as_millis() as u64;
    let mut options = serde_json::json!({"form": form, "nodes": nodes, "name": name, "wait_ms": wait_ms});
    if library != Library::RedisPy {
        options["library"] = library.package().into();
    }
    Ok(options.to_string())
}

/// What a library's own words mean. Only a node's promise says that a command was not executed: what a library says of a connection
/// may be about one that has carried the command.
fn trouble(text: &str) -> Trouble {
    let fate = if text.ends_with(NOT_EXECUTED) { Fate::Refused } else { Fate::Unknown };
    let first = text.split(' ').next().unwrap_or_default();
    let is_code = first.len() > 1 && first.bytes().all(|byte| byte.is_ascii_uppercase());
    let sentence = text.split(". ").next().unwrap_or_default().trim_end_matches('.');
    let kind: String = if is_code { first.into() } else { sentence.chars().take(ERROR_CHARS_MAX).collect() };
    Trouble { fate, kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libraries_say_is_counted_by_its_first_words() {
        let kind = |text: &str| trouble(text).kind;
        assert_eq!(kind("UNKNOWN the primary was lost before it replied"), "UNKNOWN");
        assert_eq!(
            kind("Error 111 connecting to 127.0.0.1:6379. Connection refused."),
            "Error 111 connecting to 127.0.0.1:6379"
        );
        assert_eq!(kind("Connection is closed."), "Connection is closed");
        assert_eq!(kind(&"ü".repeat(100)).chars().count(), ERROR_CHARS_MAX);
    }

    #[test]
    fn only_a_nodes_promise_says_that_nothing_happened() {
        assert_eq!(trouble(&format!("NOTDURABLE waited {NOT_EXECUTED}")).fate, Fate::Refused);
        assert_eq!(trouble("Connection is closed.").fate, Fate::Unknown);
    }

    #[test]
    fn programs_are_told_hosts_and_ports() {
        let told =
            options(Library::Ioredis, &Form::Sentinel("m".into()), &["[::1]:7000".into()], Duration::from_secs(1));
        let told: serde_json::Value = serde_json::from_str(&told.expect("an address")).expect("JSON");
        let expected = serde_json::json!({
            "library": "ioredis", "form": "sentinel", "name": "m", "nodes": [["::1", 7000]], "wait_ms": 1000
        });
        assert_eq!(told, expected);
        assert!(options(Library::RedisPy, &Form::Cluster, &["nowhere".into()], Duration::ZERO).is_err());
    }
}
