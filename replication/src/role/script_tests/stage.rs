//! Two machines, a lease authority, and the messages between them.

use std::collections::VecDeque;
use std::time::Duration;

use tanist_db_core::clock::Monotonic;
use tanist_db_core::ids::{Epoch, Lsn};
use tanist_db_core::level::Levels;

use crate::lease::LeaseTimes;
use crate::role::{Ask, Effect, End, Event, Identity, Machine, Sight};
use crate::serving::Standing;
use crate::transport::principal::Principal;
use crate::vault::catalog::LeaseRecord;
use crate::vault::lease::authority::{AppendRuling, LeaseAuthority, Ruling, StreamId};
use crate::vault::lease::roster::{Caller, ConnectionId};
use crate::vault::testing::frame;
use crate::wire::message::{Answer, Hello, LeaseView, Peer, Progress, Request};

const LEASE: Duration = Duration::from_millis(1_600);
/// Where the scripts' clock begins: machines take 0 for the distant past.
const ORIGIN_US: u64 = 1_000_000;
/// The log's end when a script begins.
const END: u64 = 10;

/// From a node to the vault.
#[derive(Clone, Debug)]
enum Up {
    Ask { ask: Ask, sent: Monotonic },
    Append(Epoch),
    Follow { after: Lsn },
    Record { epoch: Epoch, lsn: Lsn },
}

/// From the vault to a node.
#[derive(Clone, Debug)]
enum Down {
    Event(Event),
    /// The append stream may begin after this record.
    Ready(Lsn),
    /// Records for a follower, up to this one.
    Records(Lsn),
}

struct Node {
    name: &'static str,
    machine: Machine,
    executing: u32,
    /// Newest record appended or applied.
    last: Lsn,
    /// Newest record sent on the append stream; none while it is not ready.
    shipped: Option<Lsn>,
    /// Epoch of the records that it appends.
    epoch: Epoch,
    following: bool,
    connection: u64,
    stream: Option<StreamId>,
    /// Calls without an answer so far.
    open: Vec<Ask>,
    up: VecDeque<Up>,
    down: VecDeque<Down>,
}

/// Everything that a script plays with.
pub(super) struct Stage {
    now: Monotonic,
    lease_authority: LeaseAuthority,
    durable: Lsn,
    nodes: [Node; 2],
    lines: Vec<String>,
}

impl Node {
    fn new(name: &'static str) -> Node {
        let me = Identity {
            node: name.to_owned(),
            incarnation: 1,
            resp_address: format!("{name}:resp"),
            quic_address: format!("{name}:quic"),
        };
        Node {
            name,
            machine: Machine::new(me, LeaseTimes::of(LEASE), Lsn(0)),
            executing: 0,
            last: Lsn(0),
            shipped: None,
            epoch: Epoch(0),
            following: false,
            connection: 0,
            stream: None,
            open: Vec::new(),
            up: VecDeque::new(),
            down: VecDeque::new(),
        }
    }

    fn caller(&self) -> Caller {
        let hello = Hello {
            levels: Levels::OWN,
            cluster: 1,
            peer: Peer::Database,
            node: self.name.to_owned(),
            incarnation: 1,
            pid: 1,
            resp_address: format!("{}:resp", self.name),
            quic_address: format!("{}:quic", self.name),
        };
        let principal = Principal::node(self.name).expect("a node's name");
        Caller::admit(ConnectionId(self.connection), hello, 1, &principal).expect("as certified")
    }
}

impl Stage {
    /// Node a is primary of epoch 1, b its standby, both have all of the log; the clock stands at 0, when the lease was granted.
    pub(super) fn new() -> Stage {
        let now = Monotonic(ORIGIN_US);
        let lease_authority = LeaseAuthority::new(now, LEASE, LeaseRecord::default(), Lsn(0));
        let mut stage =
            Stage { now, lease_authority, durable: Lsn(0), nodes: [Node::new("a"), Node::new("b")], lines: Vec::new() };
        stage.play("a connects");
        stage.settle();
        (2..=END).for_each(|_| stage.play("a executes a write"));
        stage.play("b connects");
        stage.settle();
        stage.play("b reports");
        stage.take_lines();
        stage
    }

    /// Delivers everything that is under way.
    fn settle(&mut self) {
        while let Some(node) = self.nodes.iter().find(|node| !node.up.is_empty() || !node.down.is_empty()) {
            let name = node.name;
            let line = if node.up.is_empty() { format!("{name} hears vault") } else { format!("vault hears {name}") };
            self.play(&line);
        }
    }

    /// What has come of the events since the last time.
    pub(super) fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    /// Plays one event.
    pub(super) fn play(&mut self, line: &str) {
        let words: Vec<&str> = line.split([' ', ',']).filter(|word| !word.is_empty()).collect();
        let number = |text: &str| text.parse::<u64>().unwrap_or_else(|_| panic!("no number in '{line}'"));
        match words[..] {
            ["at", ms, "ms"] => self.pass_until(Monotonic(ORIGIN_US + number(ms) * 1000)),
            ["vault", "wakes"] => self.vault_wakes(),
            ["vault", "hears", "the", "obituary", "of", node] => self.obituary(index(node)),
            ["vault", "hears", "an", "old", "hand-over", "of", node, "at", at] => {
                self.old_hand_over(index(node), Lsn(number(at)));
            }
            ["vault", "hears", node] => self.vault_hears(index(node)),
            ["vault", "never", "hears", node] if self.nodes[index(node)].up.pop_front().is_some() => {}
            [node, "never", "hears", "vault"] if self.nodes[index(node)].down.pop_front().is_some() => {}
            [_, "never", "hears", _] => self.nothing_under_way(),
            [node, "hears", "vault"] => self.node_hears(index(node)),
            [node, "wakes", ref rest @ ..] => {
                let node = index(node);
                self.nodes[node].executing = rest.first().map_or(0, |count| number(count) as u32);
                let Node { executing, last, .. } = self.nodes[node];
                self.handle(node, Event::Tick(Sight { executing, last, ..Sight::default() }));
            }
            [node, "executes", "a", "write"] => self.append(index(node)),
            [node, "reports"] => self.report(index(node)),
            [node, "is", "asked", "to", "switch", "over"] => {
                self.handle(index(node), Event::SwitchoverAsked { to: None });
            }
            [node, "connects"] => self.connect(index(node)),
            [node, "is", "cut", "off"] => self.cut(index(node)),
            [node, "dies"] => {
                let node = &mut self.nodes[index(node)];
                (node.following, node.shipped) = (false, None);
                node.connection = 0;
                node.up.clear();
                node.down.clear();
            }
            _ => panic!("no event: '{line}'"),
        }
    }

    /// The vault runs while time passes; otherwise it would take itself for paused.
    fn pass_until(&mut self, then: Monotonic) {
        while self.now < then {
            self.now = self.now.after(LEASE / 16).min(then);
            self.lease_authority.awake(self.now);
        }
    }

    fn nothing_under_way(&mut self) {
        self.say("nothing is under way".to_owned());
    }

    fn say(&mut self, line: String) {
        self.lines.push(line);
    }

    fn ms(&self, at: Monotonic) -> u64 {
        at.0.saturating_sub(ORIGIN_US) / 1000
    }

    // The vault.

    fn vault_wakes(&mut self) {
        if self.lease_authority.tick(self.now) {
            self.say("vault: the lease has run out".to_owned());
            self.news();
        }
    }

    fn obituary(&mut self, dead: usize) {
        let name = self.nodes[dead].name;
        let mut caller = self.nodes[dead].caller();
        caller.hello.peer = Peer::Supervisor;
        let request = Request::Obituary { node: name.to_owned(), incarnation: 1 };
        let ruling = self.lease_authority.call(self.now, &caller, request, self.durable);
        self.settle_ruling(ruling, None);
    }

    /// A request that was sent on a connection that the node has given up for lost.
    fn old_hand_over(&mut self, from: usize, at: Lsn) {
        let caller = self.nodes[from].caller();
        let epoch = self.nodes[from].epoch.0;
        let request = Request::HandOver { epoch, successor: self.nodes[1 - from].name.to_owned(), at: at.0 };
        match self.lease_authority.call(self.now, &caller, request, self.durable) {
            Ruling::Answer(answer) => self.say(format!("vault: nothing changes: {answer:?}")),
            other => self.say(format!("vault: {other:?}")),
        }
    }

    fn vault_hears(&mut self, from: usize) {
        let caller = self.nodes[from].caller();
        let Some(message) = self.nodes[from].up.pop_front() else { return self.nothing_under_way() };
        match message {
            Up::Ask { ask, sent } => self.vault_asked(from, ask, sent),
            Up::Append(epoch) => match self.lease_authority.open_append(&caller, epoch) {
                Ok(stream) => {
                    let begun = self.lease_authority.begin_append(&caller, stream, self.durable);
                    assert_eq!(begun, Ok(()), "the stream has just been opened");
                    self.nodes[from].stream = Some(stream);
                    let durable = self.durable;
                    self.tell(from, format!("append after {durable}"), Down::Ready(durable));
                }
                Err(answer) => self.refuse_append(from, answer),
            },
            Up::Record { epoch, lsn } => {
                let stream = self.nodes[from].stream.unwrap_or(StreamId(0));
                match self.lease_authority.append(&caller, stream, &frame(epoch.0, lsn.0, 1)) {
                    AppendRuling::Write => {
                        self.durable = lsn;
                        self.say(format!("vault: record {lsn} of epoch {epoch} is on disk"));
                        let event = Event::Durable { lsn };
                        self.tell_event(from, format!("durable to {lsn}"), event);
                        self.push_records();
                    }
                    AppendRuling::Known => self.tell_event(from, format!("durable to {lsn}"), Event::Durable { lsn }),
                    AppendRuling::End(answer) => self.refuse_append(from, answer),
                }
            }
            Up::Follow { after } => {
                self.nodes[from].following = true;
                let durable = self.durable;
                self.tell_event(from, format!("the log is durable to {durable}"), Event::Following { durable });
                if durable > after {
                    self.tell(from, format!("records to {durable}"), Down::Records(durable));
                }
            }
        }
    }

    fn vault_asked(&mut self, from: usize, ask: Ask, sent: Monotonic) {
        let caller = self.nodes[from].caller();
        let ruling = self.lease_authority.call(self.now, &caller, self.request(from, &ask), self.durable);
        self.settle_ruling(ruling, Some((from, ask, sent)));
    }

    fn request(&self, from: usize, ask: &Ask) -> Request {
        match ask.clone() {
            Ask::Renew { epoch } => Request::Renew { epoch: epoch.0 },
            Ask::Claim { seen } => Request::Claim { seen: seen.0 },
            Ask::HandOver { epoch, successor, at } => Request::HandOver { epoch: epoch.0, successor, at: at.0 },
            Ask::Release { epoch } => Request::Release { epoch: epoch.0 },
            Ask::Followers => Request::Report(self.progress(from)),
        }
    }

    fn settle_ruling(&mut self, ruling: Ruling, asker: Option<(usize, Ask, Monotonic)>) {
        let (answer, changed) = match ruling {
            Ruling::Answer(answer) => (answer, false),
            Ruling::Persist { record, .. } => {
                let LeaseRecord { epoch, holder, ended, .. } = &record;
                let what = if *ended {
                    format!("epoch {epoch} of {holder} has ended")
                } else {
                    format!("{holder} holds epoch {epoch}")
                };
                self.say(format!("vault: {what}; on disk before anybody is told"));
                (self.lease_authority.persisted(self.now, self.durable), true)
            }
            Ruling::Wait => unreachable!("a script makes each change durable at once"),
        };
        if let Some((node, ask, sent)) = asker {
            let (words, event) = answer_words(answer, ask, sent);
            self.tell_event(node, words, event);
        }
        if changed {
            self.news();
        }
    }

    /// Everybody hears of a change; whoever has asked for it has been answered before.
    fn news(&mut self) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].connection > 0 {
                let view = self.lease_authority.view(self.now);
                self.tell_event(node, format!("news: {}", view_words(&view)), Event::News(view));
            }
        }
    }

    fn refuse_append(&mut self, node: usize, answer: Answer) {
        self.nodes[node].stream = None;
        match answer {
            Answer::Fenced { epoch } => {
                let event = Event::Fenced { epoch: Epoch(epoch) };
                self.tell_event(node, format!("fenced, the newest epoch is {epoch}"), event);
            }
            other => self.say(format!("vault: the append stream of {} ends: {other:?}", self.nodes[node].name)),
        }
    }

    fn push_records(&mut self) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].following {
                let durable = self.durable;
                self.tell(node, format!("records to {durable}"), Down::Records(durable));
            }
        }
    }

    fn report(&mut self, node: usize) {
        let request = Request::Report(self.progress(node));
        let caller = self.nodes[node].caller();
        let _followers = self.lease_authority.call(self.now, &caller, request, self.durable);
    }

    fn progress(&self, node: usize) -> Progress {
        let node = &self.nodes[node];
        let role = node.machine.role().word().to_owned();
        Progress { role, applied: node.last.0, durable: self.durable.0, ..Progress::default() }
    }

    fn tell_event(&mut self, node: usize, words: String, event: Event) {
        self.tell(node, words, Down::Event(event));
    }

    fn tell(&mut self, node: usize, words: String, message: Down) {
        self.say(format!("vault -> {}: {words}", self.nodes[node].name));
        self.nodes[node].down.push_back(message);
    }

    // The nodes.

    fn node_hears(&mut self, node: usize) {
        let Some(message) = self.nodes[node].down.pop_front() else { return self.nothing_under_way() };
        match message {
            Down::Event(event) => {
                let answered = matches!(
                    event,
                    Event::Lease { .. } | Event::Claimed { .. } | Event::Refused { .. } | Event::Followers { .. }
                );
                if answered {
                    self.nodes[node].open.remove(0);
                }
                self.handle(node, event);
            }
            Down::Ready(after) => {
                self.nodes[node].shipped = Some(after);
                self.handle(node, Event::Durable { lsn: after });
                self.ship(node);
            }
            Down::Records(last) if self.nodes[node].following => {
                self.nodes[node].last = last;
                self.handle(node, Event::Applied { last });
            }
            Down::Records(_) => {}
        }
    }

    fn connect(&mut self, node: usize) {
        self.nodes[node].connection += 10 + node as u64;
        let caller = self.nodes[node].caller();
        self.lease_authority.enter(self.now, &caller);
        let view = self.lease_authority.view(self.now);
        self.say(format!("vault -> {}: welcome, {}", self.nodes[node].name, view_words(&view)));
        self.handle(node, Event::Connected { view, length: LEASE });
    }

    fn cut(&mut self, node: usize) {
        let connection = ConnectionId(self.nodes[node].connection);
        self.lease_authority.leave(connection);
        let cut = &mut self.nodes[node];
        (cut.connection, cut.shipped, cut.stream, cut.following) = (0, None, None, false);
        cut.up.clear();
        cut.down.clear();
        let open = std::mem::take(&mut cut.open);
        self.handle(node, Event::Disconnected);
        open.into_iter().for_each(|ask| self.handle(node, Event::Unanswered { ask }));
    }

    fn append(&mut self, node: usize) {
        let writer = &mut self.nodes[node];
        writer.last = writer.last.next();
        self.ship(node);
    }

    /// Sends the records that the append stream has not had yet.
    fn ship(&mut self, node: usize) {
        let Node { shipped: Some(shipped), last, epoch, name, .. } = self.nodes[node] else { return };
        for lsn in (shipped.0 + 1..=last.0).map(Lsn) {
            self.say(format!("{name} -> vault: record {lsn} of epoch {epoch}"));
            self.nodes[node].up.push_back(Up::Record { epoch, lsn });
        }
        self.nodes[node].shipped = Some(last);
    }

    fn send(&mut self, node: usize, words: &str, message: Up) {
        self.say(format!("{} -> vault: {words}", self.nodes[node].name));
        self.nodes[node].up.push_back(message);
    }

    fn handle(&mut self, node: usize, event: Event) {
        let mut effects = Vec::new();
        self.nodes[node].machine.handle(event, self.now, &mut effects);
        effects.into_iter().for_each(|effect| self.act(node, effect));
    }

    fn act(&mut self, node: usize, effect: Effect) {
        let name = self.nodes[node].name;
        match effect {
            Effect::Publish(standing) => self.publish(node, &standing),
            Effect::Ask(ask) => {
                self.nodes[node].open.push(ask.clone());
                let sent = self.now;
                self.send(node, &ask_words(&ask), Up::Ask { ask, sent });
            }
            Effect::OpenAppend(epoch) => {
                self.nodes[node].epoch = epoch;
                self.send(node, &format!("append under epoch {epoch}"), Up::Append(epoch));
            }
            Effect::CloseAppend => {
                (self.nodes[node].shipped, self.nodes[node].stream) = (None, None);
                self.say(format!("{name} ships nothing more"));
            }
            Effect::StartFollow => {
                let after = self.nodes[node].last;
                self.send(node, &format!("follow after {after}"), Up::Follow { after });
            }
            Effect::StopFollow => {
                self.nodes[node].following = false;
                self.say(format!("{name} stops following"));
            }
            Effect::BeginEpoch(epoch) => self.append_own(node, &format!("the start of epoch {epoch}")),
            Effect::Barrier => self.append_own(node, "a barrier"),
            Effect::SwitchoverUnsettled(why) => self.say(format!("{name}: switchover: {why}")),
            Effect::SwitchoverEnded(Ok(report)) => {
                self.say(format!("{name}: switched over, {} holds epoch {}", report.successor, report.epoch));
            }
            Effect::SwitchoverEnded(Err(why)) => self.say(format!("{name}: no switchover: {why}")),
            Effect::TookOver(takeover) => self.say(format!("{name} {}", takeover.words())),
            Effect::End(End::Rejoin(why)) => self.say(format!("{name} ends, to start again: {why}")),
            Effect::End(end) => self.say(format!("{name} ends: {end:?}")),
        }
    }

    /// Appends a record of the machine's own and tells it the position.
    fn append_own(&mut self, node: usize, what: &str) {
        let lsn = self.nodes[node].last.next();
        self.say(format!("{} appends {what} as record {lsn}", self.nodes[node].name));
        self.append(node);
        self.handle(node, Event::OwnRecordAppended { lsn });
    }

    fn publish(&mut self, node: usize, standing: &Standing) {
        let until = self.ms(standing.execute_until);
        let executes = if until > 0 { format!("executes until {until} ms") } else { "executes nothing".to_owned() };
        let (name, role, epoch) = (self.nodes[node].name, standing.role.word(), standing.epoch);
        self.say(format!("{name} is {role}, epoch {epoch}, {executes}"));
    }
}

fn index(name: &str) -> usize {
    match name {
        "a" => 0,
        "b" => 1,
        _ => panic!("no node is called '{name}'"),
    }
}

fn ask_words(ask: &Ask) -> String {
    match ask {
        Ask::Renew { epoch } => format!("renew epoch {epoch}"),
        Ask::Claim { seen } => format!("claim after epoch {seen}"),
        Ask::HandOver { epoch, successor, at } => format!("hand epoch {epoch} over to {successor} at {at}"),
        Ask::Release { epoch } => format!("release epoch {epoch}"),
        Ask::Followers => "report, and tell me of the others".to_owned(),
    }
}

fn answer_words(answer: Answer, ask: Ask, sent: Monotonic) -> (String, Event) {
    match answer {
        Answer::Lease(view) => (format!("lease: {}", view_words(&view)), Event::Lease { ask, sent, view }),
        Answer::Claimed { epoch, sealed } => (
            format!("claimed: epoch {epoch}, sealed at {sealed}"),
            Event::Claimed { epoch: Epoch(epoch), sealed: Lsn(sealed), sent },
        ),
        Answer::Refused { why } => (format!("refused: {why}"), Event::Refused { ask, why }),
        Answer::Followers(nodes) => {
            let words = nodes.iter().map(|node| {
                let Progress { role, applied, .. } = &node.progress;
                format!("{} is {role}, has applied {applied}", node.node)
            });
            (words.collect::<Vec<_>>().join("; "), Event::Followers { sent, nodes })
        }
        other => panic!("no answer to a call: {other:?}"),
    }
}

fn view_words(view: &LeaseView) -> String {
    match (view.holder.as_str(), view.remaining_us) {
        ("", _) => "nobody holds an epoch".to_owned(),
        (holder, 0) => format!("epoch {} of {holder} is over", view.epoch),
        (holder, left) => format!("{holder} holds epoch {} for {} ms", view.epoch, left / 1000),
    }
}
