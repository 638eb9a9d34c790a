//! Prefetching: requests are parsed ahead of their execution.
//!
//! A pipeline brings many requests at once. Parsing some of them before the first is executed shows which keys they touch, and
//! the engine prefetches the memory of all of them into the processor's cache: one wait instead of one for each.

use std::collections::VecDeque;

use tanist_db_core::command::CommandSpec;
use tanist_db_core::engine::Engine;

use super::input::Input;
use crate::front::commands::COMMANDS;
use crate::front::limits::REQUESTS_AHEAD;
use crate::resp::{Parsed, ProtocolError, Request, RequestParser};

/// A request that stands at the front of the input or behind others that do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planned {
    pub(super) request: Request,
    /// What it calls; `None` if that is an error, which is made when its turn comes.
    pub(super) spec: Option<&'static CommandSpec>,
}

/// Requests in the order of their coming.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    planned: VecDeque<Planned>,
    /// What follows them is no request: nothing behind it is looked at.
    malformed: Option<ProtocolError>,
}

impl Ahead {
    /// The next request, if it is complete: parses more of the input when none is left. With `trusted` several at a time;
    /// the limits of others may change with each.
    pub(super) fn next(
        &mut self,
        parser: &mut RequestParser,
        input: &mut Input,
        data: Option<(&Engine, u8)>,
        trusted: bool,
    ) -> Result<Option<Planned>, ProtocolError> {
        if self.planned.is_empty() {
            self.parse(parser, input, trusted);
            // The memory of a single request would come no sooner.
            if let (Some((engine, database)), 2..) = (data, self.planned.len()) {
                self.prefetch(parser, input, engine, database);
            }
        }
        match (self.planned.front(), self.malformed) {
            (None, Some(error)) => Err(error),
            (front, _) => Ok(front.copied()),
        }
    }

    /// Prepares for [`next`](Self::next) to be called a moment later. False if there is nothing to prepare.
    pub(super) fn plan(
        &mut self,
        parser: &mut RequestParser,
        input: &mut Input,
        data: Option<(&Engine, u8)>,
        trusted: bool,
    ) -> bool {
        if !self.planned.is_empty() {
            return false;
        }
        self.parse(parser, input, trusted);
        if let Some((engine, database)) = data {
            self.prefetch(parser, input, engine, database);
        }
        !self.planned.is_empty()
    }

    /// The front request, once [`next`](Self::next) has returned it.
    pub(super) fn front(&self) -> Option<&Planned> {
        self.planned.front()
    }

    /// The front request has been dealt with, its bytes are consumed.
    pub(super) fn done(&mut self) {
        self.planned.pop_front();
    }

    fn parse(&mut self, parser: &mut RequestParser, input: &mut Input, trusted: bool) {
        parser.forget();
        let max = if trusted { REQUESTS_AHEAD } else { 1 };
        let mut at = 0;
        while self.planned.len() < max && self.malformed.is_none() {
            let rest = &input.unread()[at..];
            match parser.parse(rest) {
                Ok(Parsed::Command(request)) => {
                    let spec = COMMANDS.find(request.arguments(), |at| parser.argument(&request, rest, at)).ok();
                    self.planned.push_back(Planned { request, spec });
                    at += request.bytes;
                }
                Ok(Parsed::Nothing { bytes }) if self.planned.is_empty() => input.consume(bytes),
                Ok(Parsed::Nothing { .. } | Parsed::Incomplete { .. }) => break,
                Err(error) => self.malformed = Some(error),
            }
        }
    }

    fn prefetch(&self, parser: &RequestParser, input: &Input, engine: &Engine, database: u8) {
        let mut rest = input.unread();
        let keys = self.planned.iter().filter_map(|planned| {
            let here = rest;
            rest = &here[planned.request.bytes..];
            let (spec, request) = (planned.spec?, &planned.request);
            let argument = |at: u8| parser.argument(request, here, usize::from(at));
            let first = spec.keys.first()?.fixed()?;
            // The arguments are as many as the command needs, and its keys are among those; a member may be left out.
            let has_member = (1..request.arguments()).contains(&usize::from(spec.member));
            Some((argument(first), has_member.then(|| argument(spec.member))))
        });
        engine.prefetch(database, keys);
    }
}
