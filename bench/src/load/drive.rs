//! The loop that sends and counts.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use super::outcome::Outcome;
use super::requests::{Batch, Expected, Requests};
use super::{Clock, Group, Pace};
use crate::Fallible;

/// A server that answers nothing for so long has lost a request.
const SILENCE_MICROS_MAX: u64 = 30_000_000;

/// Bytes that one `read` may take.
const READ_BYTES: usize = 256 << 10;

/// How long a load runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// Load that is not measured.
    pub(crate) warm_up_seconds: f64,
    pub(crate) seconds: f64,
    /// Whether outcomes carry a time series.
    pub(crate) slices: bool,
}

/// The measurement begins or ends now: the moment to read the processor's accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    Begin,
    End,
}

/// Groups of connections with their requests, to be sent to one server after the other.
pub(crate) struct Prepared {
    groups: Vec<(Group, Vec<Requests>)>,
}

impl Prepared {
    pub(crate) fn new(groups: &[Group]) -> Self {
        let made = groups.iter().enumerate().map(|(g, group)| {
            let number = |connection: usize| (g * 100_000 + connection) as u64;
            (group.clone(), (0..group.connections).map(|c| Requests::new(group, number(c))).collect())
        });
        Self { groups: made.collect() }
    }

    /// Runs the load and answers an outcome for each group.
    pub(crate) fn run(&self, port: u16, timing: Timing, moment: &mut dyn FnMut(Moment)) -> Fallible<Vec<Outcome>> {
        Driver::connect(self, port, timing)?.run(moment)
    }
}

/// One connection.
struct Connection<'a> {
    stream: TcpStream,
    group: usize,
    requests: &'a Requests,
    /// Number of the batch that is sent next.
    next: usize,
    /// The batch whose reply is awaited.
    current: Option<Batch>,
    /// Bytes of it that are written.
    written: usize,
    /// Bytes or lines of its reply that have come.
    received: usize,
    /// Since when its latency counts.
    since: u64,
    /// At the open pace: batches that were due so far, and the first one's time.
    due: u64,
    begun: u64,
    waits_to_write: bool,
}

/// The times at which a group's batches are due.
struct Schedule {
    /// Microseconds between two batches of the group.
    every: f64,
    /// Batches that were due so far.
    due: u64,
    connections: u64,
    first: usize,
}

impl Schedule {
    /// When the group's batch of this number is due.
    fn time(&self, batch: u64) -> u64 {
        (batch as f64 * self.every) as u64
    }

    /// When a connection's batch of this number is due: the group's batches go round its connections.
    fn time_of(&self, connection: usize, number: u64) -> u64 {
        self.time((connection - self.first) as u64 + number * self.connections)
    }
}

struct Driver<'a> {
    epoll: rustix::fd::OwnedFd,
    connections: Vec<Connection<'a>>,
    pipelines: Vec<u64>,
    schedules: Vec<Option<Schedule>>,
    outcomes: Vec<Outcome>,
    clock: Clock,
    measured_from: u64,
    until: u64,
    heard: u64,
    buffer: Vec<u8>,
}

impl<'a> Driver<'a> {
    fn connect(prepared: &'a Prepared, port: u16, timing: Timing) -> Fallible<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let (mut connections, mut schedules) = (Vec::new(), Vec::new());
        for (group, (spec, requests)) in prepared.groups.iter().enumerate() {
            schedules.push(match spec.pace {
                Pace::Closed => None,
                Pace::Open { per_second } => Some(Schedule {
                    every: 1e6 * spec.pipeline as f64 / per_second,
                    due: 0,
                    connections: spec.connections as u64,
                    first: connections.len(),
                }),
            });
            for requests in requests {
                let stream = TcpStream::connect(("127.0.0.1", port))?;
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                let data = epoll::EventData::new_u64(connections.len() as u64);
                epoll::add(&epoll, &stream, data, epoll::EventFlags::IN)?;
                connections.push(Connection::new(stream, group, requests));
            }
        }
        let measured_from = (timing.warm_up_seconds * 1e6) as u64;
        Ok(Self {
            epoll,
            connections,
            pipelines: prepared.groups.iter().map(|(spec, _)| spec.pipeline as u64).collect(),
            schedules,
            outcomes: prepared.groups.iter().map(|_| Outcome::new(timing.slices)).collect(),
            clock: Clock::start(),
            measured_from,
            until: measured_from + (timing.seconds * 1e6) as u64,
            heard: 0,
            buffer: vec![0; READ_BYTES],
        })
    }

    fn run(mut self, moment: &mut dyn FnMut(Moment)) -> Fallible<Vec<Outcome>> {
        for c in 0..self.connections.len() {
            if self.schedules[self.connections[c].group].is_none() {
                self.send_next(c, 0)?;
            }
        }
        let mut events: Vec<epoll::Event> = Vec::with_capacity(512);
        let mut begun = false;
        loop {
            let now = self.clock.micros();
            if !begun && now >= self.measured_from {
                begun = true;
                moment(Moment::Begin);
                self.measured_from = self.clock.micros();
                self.until += self.measured_from - now;
            }
            if now >= self.until {
                break;
            }
            let wait = self.send_due(now)?;
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&wait)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                self.serve(event.data.u64() as usize, event.flags)?;
            }
            self.complain_of_silence(!events.is_empty())?;
        }
        moment(Moment::End);
        self.charge_unanswered();
        let seconds = (self.clock.micros() - self.measured_from) as f64 / 1e6;
        self.outcomes.iter_mut().for_each(|outcome| outcome.seconds = seconds);
        Ok(self.outcomes)
    }

    /// At the open pace what was due and has no reply has waited at least until now.
    fn charge_unanswered(&mut self) {
        for (c, connection) in self.connections.iter().enumerate() {
            let Some(schedule) = &self.schedules[connection.group] else { continue };
            let answered = connection.begun - u64::from(connection.current.is_some());
            for number in answered..connection.due {
                let waited = self.until.saturating_sub(schedule.time_of(c, number));
                self.outcomes[connection.group].record(self.until - self.measured_from - 1, 0, waited);
            }
        }
    }

    /// Sends what is due at the open pace; returns how long to wait for the next event at most.
    fn send_due(&mut self, now: u64) -> Fallible<Timespec> {
        let mut wait = 100_000;
        for group in 0..self.schedules.len() {
            while let Some(schedule) = &mut self.schedules[group] {
                let time = schedule.time(schedule.due);
                if time > now {
                    wait = wait.min(time - now);
                    break;
                }
                let c = schedule.first + (schedule.due % schedule.connections) as usize;
                schedule.due += 1;
                self.connections[c].due += 1;
                if self.connections[c].current.is_none() {
                    self.send_next(c, now)?;
                }
            }
        }
        Ok(Timespec { tv_sec: 0, tv_nsec: i64::try_from(wait * 1000).unwrap_or(0) })
    }

    fn serve(&mut self, c: usize, flags: epoll::EventFlags) -> Fallible<()> {
        if flags.contains(epoll::EventFlags::OUT) {
            self.write(c)?;
        }
        if !flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR) {
            return Ok(());
        }
        if !self.connections[c].read(&mut self.buffer)? {
            return Ok(());
        }
        let now = self.clock.micros();
        let connection = &mut self.connections[c];
        connection.current = None;
        let group = connection.group;
        if now >= self.measured_from && now < self.until {
            let latency = now - connection.since.min(now);
            self.outcomes[group].record(now - self.measured_from, self.pipelines[group], latency);
        }
        let is_due = self.schedules[group].is_none() || connection.begun < connection.due;
        if is_due && now < self.until { self.send_next(c, now) } else { Ok(()) }
    }

    fn send_next(&mut self, c: usize, now: u64) -> Fallible<()> {
        let connection = &mut self.connections[c];
        connection.since = match &self.schedules[connection.group] {
            None => now,
            Some(schedule) => schedule.time_of(c, connection.begun),
        };
        connection.begin();
        self.write(c)
    }

    fn write(&mut self, c: usize) -> Fallible<()> {
        let connection = &mut self.connections[c];
        let blocked = connection.write()?;
        if blocked != connection.waits_to_write {
            connection.waits_to_write = blocked;
            let flags = if blocked { epoll::EventFlags::IN | epoll::EventFlags::OUT } else { epoll::EventFlags::IN };
            epoll::modify(&self.epoll, &connection.stream, epoll::EventData::new_u64(c as u64), flags)?;
        }
        Ok(())
    }

    fn complain_of_silence(&mut self, heard: bool) -> Fallible<()> {
        let now = self.clock.micros();
        if heard || self.connections.iter().all(|connection| connection.current.is_none()) {
            self.heard = now;
        } else if now - self.heard > SILENCE_MICROS_MAX {
            return Err("the server has not answered for 30 s: it may have sent fewer bytes than expected".into());
        }
        Ok(())
    }
}

impl<'a> Connection<'a> {
    fn new(stream: TcpStream, group: usize, requests: &'a Requests) -> Self {
        Self {
            stream,
            group,
            requests,
            next: 0,
            current: None,
            written: 0,
            received: 0,
            since: 0,
            due: 0,
            begun: 0,
            waits_to_write: false,
        }
    }

    fn begin(&mut self) {
        self.current = Some(self.requests.batches[self.next]);
        self.next = (self.next + 1) % self.requests.batches.len();
        self.begun += 1;
        (self.written, self.received) = (0, 0);
    }

    /// Writes what is left of the batch; true if the socket takes no more now.
    fn write(&mut self) -> Fallible<bool> {
        let Some(batch) = self.current else { return Ok(false) };
        while batch.start + self.written < batch.end {
            match self.stream.write(&self.requests.bytes[batch.start + self.written..batch.end]) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    /// Reads once; true if the batch has all its replies.
    fn read(&mut self, buffer: &mut [u8]) -> Fallible<bool> {
        let read = match self.stream.read(buffer) {
            Ok(0) => return Err("the server closed a connection".into()),
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let said = &buffer[..read];
        let Some(batch) = self.current else { return Err(unexpected(said)) };
        if self.received == 0 && said[0] == b'-' {
            return Err(unexpected(said));
        }
        let wanted = match batch.expected {
            Expected::Bytes(bytes) => {
                self.received += read;
                bytes
            }
            Expected::Lines(lines) => {
                self.received += memchr::memchr_iter(b'\n', said).count();
                lines
            }
        };
        if self.received > wanted { Err(unexpected(said)) } else { Ok(self.received == wanted) }
    }
}

/// An error reply, or more than was asked for.
fn unexpected(said: &[u8]) -> Box<dyn std::error::Error> {
    let start = memchr::memchr(b'-', said).unwrap_or(0);
    let text = String::from_utf8_lossy(&said[start..said.len().min(start + 200)]).into_owned();
    format!("the server said something else than expected: {text}").into()
}
