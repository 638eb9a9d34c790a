//! A client that uses Tanist's own library.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tanist_client::{Client, Error, Options};
use tokio::runtime::Runtime;

use super::fate::{Asker, Fate, of_error};

/// A command is tried so long: shorter than the silences that the tests make, so that giving up is tried as well.
const DEADLINE: Duration = Duration::from_secs(3);

pub(super) struct Library {
    runtime: Runtime,
    client: Client,
}

impl Library {
    pub(super) fn new(nodes: &[SocketAddr], tls: &Path) -> Library {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let options =
            Options { deadline: DEADLINE, ..Options::new(nodes.iter().map(|node| (*node).into()).collect(), tls) };
        let client = runtime.block_on(Client::connect(options)).expect("the primary is found");
        Library { runtime, client }
    }
}

impl Asker for Library {
    fn ready(&mut self) -> bool {
        true
    }

    fn ask(&mut self, words: &[&str]) -> Fate {
        match self.runtime.block_on(self.client.command(words)) {
            Ok(value) => Fate::Told(value),
            Err(Error::NotExecuted { .. }) => Fate::Refused,
            Err(Error::Unknown(_)) => Fate::Unknown,
            Err(error) => of_error(&error.into()),
        }
    }

    /// It can, but a test that wants to know of each command's fate finds more in single ones.
    fn transacts(&self) -> bool {
        false
    }

    fn transaction(&mut self, commands: &[&[&str]]) -> Fate {
        unreachable!("nobody asks this client for {commands:?}")
    }
}
