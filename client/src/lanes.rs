//! Connections for commands that block: such a command holds up all that is sent behind it, so each has a client of its own while it
//! waits, with a connection to every node. So its wait follows the primary as any other command does.
//!
//! A caller that gives up (drops the future) takes the connections along, by which the node learns that nobody waits any more.

use std::sync::{Arc, Mutex, PoisonError};

use redis::Value;
use tokio::sync::Semaphore;

use crate::client::{Client, Options};
use crate::dial::Dialer;
use crate::error::Error;
use crate::limits;
use crate::request::Request;

#[derive(Debug)]
pub(crate) struct Lanes {
    options: Options,
    dialer: Arc<Dialer>,
    places: Semaphore,
    /// At most [`limits::BLOCKED_IDLE_MAX`].
    idle: Mutex<Vec<Client>>,
}

impl Lanes {
    pub(crate) fn new(options: Options, dialer: Arc<Dialer>) -> Lanes {
        Lanes { options, dialer, places: Semaphore::new(limits::BLOCKED_MAX), idle: Mutex::default() }
    }

    /// Sends a command that blocks and waits for its reply.
    pub(crate) async fn ask(&self, request: Request) -> Result<Vec<Value>, Error> {
        let waited = self.options.deadline;
        let place = tokio::time::timeout(waited, self.places.acquire()).await;
        let _place = place.map_err(|_| {
            let why = format!("{} commands of this client block already", limits::BLOCKED_MAX);
            Error::NotExecuted { waited, done: 0, why }
        })?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let lane = match idle {
            Some(lane) => lane,
            None => Client::start(&self.options, Arc::clone(&self.dialer)).0,
        };
        let replies = lane.send(request).await?;
        // Behind a failed command its reply may still come, or never: that connection serves nobody else.
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < limits::BLOCKED_IDLE_MAX {
            idle.push(lane);
        }
        Ok(replies)
    }
}
