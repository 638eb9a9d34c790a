//! The report of a drill, as text and as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::Fault;
use super::kind::Participants;
use super::ledger::Account;
use super::picture::{Part, Picture, Strip, milliseconds};
use super::round::{Clients, Round};
use super::timeline::{self, line};
use crate::rank::nearest_rank;

/// Everything that `tanist drill --json` prints; described in docs/operations.md.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    fault: Fault,
    cluster: String,
    #[serde(flatten)]
    participants: Participants,
    rounds: Vec<RoundReport>,
    gaps: Vec<Gaps>,
    #[serde(flatten)]
    account: Account,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct RoundReport {
    primary_before: String,
    epoch_before: u64,
    primary_after: String,
    epoch_after: u64,
    /// From the fault until a node was primary under a new epoch.
    takeover_ms: f64,
    /// From the fault until there was a standby again that followed.
    whole_ms: f64,
    takeover: String,
    clients: Vec<ClientsReport>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct ClientsReport {
    kind: &'static str,
    requests: u64,
    confirmed: u64,
    errors: BTreeMap<String, u64>,
    longest_gap_ms: f64,
    #[serde(flatten)]
    account: Account,
}

/// The longest gap of each round, of clients of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Gaps {
    kind: &'static str,
    min_ms: f64,
    median_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

impl Report {
    pub(super) fn new(fault: Fault, cluster: String, participants: Participants, rounds: &[Round]) -> Report {
        let mut account = Account::default();
        rounds.iter().for_each(|round| account += round.account());
        let rounds: Vec<RoundReport> = rounds.iter().map(RoundReport::new).collect();
        let gaps = participants.tried.iter().filter_map(|tried| Gaps::new(tried.name, &rounds)).collect();
        Report { fault, cluster, participants, rounds, gaps, account }
    }

    pub(super) fn account(&self) -> Account {
        self.account
    }

    /// The table, and in words who was primary.
    pub(super) fn text(&self) -> String {
        let mut lines = vec![row(["", "requests", "confirmed", "errors", "longest gap", "lost", "doubled"])];
        let sums: Vec<ClientsReport> = self.participants.tried.iter().map(|tried| self.sum(tried.name)).collect();
        lines.extend(sums.iter().map(ClientsReport::row));
        lines.push(String::new());
        if sums.iter().any(|sum| !sum.errors.is_empty()) {
            lines.push("errors".into());
            lines.extend(sums.iter().flat_map(ClientsReport::errors));
            lines.push(String::new());
        }
        for (number, round) in self.rounds.iter().enumerate() {
            let which = if self.rounds.len() > 1 { format!("round {}: ", number + 1) } else { String::new() };
            lines.push(which + &round.words());
        }
        if self.rounds.len() > 1 {
            lines.extend(self.gaps.iter().map(Gaps::words));
        } else if let Some(round) = self.rounds.first() {
            lines.push(format!("node {}: {}", round.primary_after, round.takeover));
        }
        lines.join("\n") + "\n"
    }

    /// A round as a drawing.
    pub(super) fn picture(&self, round: &Round, clients: u32) -> String {
        let sum = |count: fn(&Clients) -> u64| round.clients.iter().map(count).sum::<u64>();
        let confirmed = sum(|clients| clients.witness.confirmed);
        let errors = sum(|clients| clients.witness.errors.values().sum());
        let each = if clients == 1 { "a client".into() } else { format!("{clients} clients") };
        let panels = self.participants.tried.iter().zip(&round.clients);
        Picture {
            title: format!("tanist drill: {}, node {} takes over", self.fault.of(&round.before.node), round.after.node),
            subtitle: format!(
                "{}; {confirmed} writes confirmed, {errors} errors; {each} of each kind, each one write at a time",
                round.account().words()
            ),
            fault: self.fault.of(&round.before.node),
            course: round.course,
            panels: panels.map(|(tried, clients)| (tried.name, &*tried.manner, &clients.witness)).collect(),
            strips: strips(self.fault, round),
        }
        .svg()
    }

    fn sum(&self, kind: &'static str) -> ClientsReport {
        let mut sum = ClientsReport { kind, ..ClientsReport::default() };
        for clients in self.rounds.iter().flat_map(|round| &round.clients).filter(|clients| clients.kind == kind) {
            sum.requests += clients.requests;
            sum.confirmed += clients.confirmed;
            sum.longest_gap_ms = sum.longest_gap_ms.max(clients.longest_gap_ms);
            sum.account += clients.account;
            for (error, count) in &clients.errors {
                *sum.errors.entry(error.clone()).or_default() += count;
            }
        }
        sum
    }
}

impl RoundReport {
    fn new(round: &Round) -> RoundReport {
        let since_fault = |at: Duration| ms(at.saturating_sub(round.course.fault));
        RoundReport {
            primary_before: round.before.node.clone(),
            epoch_before: round.before.epoch,
            primary_after: round.after.node.clone(),
            epoch_after: round.after.epoch,
            takeover_ms: since_fault(round.course.takeover),
            whole_ms: since_fault(round.course.whole),
            takeover: round.takeover.clone(),
            clients: round.clients.iter().map(ClientsReport::new).collect(),
        }
    }

    fn words(&self) -> String {
        format!(
            "primary: node {} (epoch {}), after {} node {} (epoch {}); the pair was whole after {}",
            self.primary_before,
            self.epoch_before,
            milliseconds(from_ms(self.takeover_ms)),
            self.primary_after,
            self.epoch_after,
            milliseconds(from_ms(self.whole_ms))
        )
    }
}

/// A row of the table.
fn row([name, requests, confirmed, errors, gap, lost, doubled]: [&str; 7]) -> String {
    line(name, &format!("{requests:>9}{confirmed:>11}{errors:>8}{gap:>13}{lost:>6}{doubled:>9}"))
}

impl ClientsReport {
    fn new(clients: &Clients) -> ClientsReport {
        ClientsReport {
            kind: clients.kind.name(),
            requests: clients.witness.requests(),
            confirmed: clients.witness.confirmed,
            errors: clients.witness.errors.clone(),
            longest_gap_ms: ms(clients.witness.longest_gap().length()),
            account: clients.account,
        }
    }

    fn row(&self) -> String {
        let errors: u64 = self.errors.values().sum();
        let counts = [self.requests, self.confirmed, errors, self.account.lost, self.account.doubled];
        let [requests, confirmed, errors, lost, doubled] = counts.map(|count| count.to_string());
        let gap = milliseconds(from_ms(self.longest_gap_ms));
        row([self.kind, &requests, &confirmed, &errors, &gap, &lost, &doubled])
    }

    /// A line for each kind of error, the most frequent first.
    fn errors(&self) -> Vec<String> {
        let mut errors: Vec<_> = self.errors.iter().collect();
        errors.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let names = std::iter::once(self.kind).chain(std::iter::repeat(""));
        names.zip(errors).map(|(name, (error, count))| line(name, &format!("{count:>9} {error}"))).collect()
    }
}

impl Gaps {
    fn new(kind: &'static str, rounds: &[RoundReport]) -> Option<Gaps> {
        let clients = rounds.iter().flat_map(|round| &round.clients).filter(|clients| clients.kind == kind);
        let mut gaps: Vec<f64> = clients.map(|clients| clients.longest_gap_ms).collect();
        gaps.sort_by(f64::total_cmp);
        let at = |share| nearest_rank(&gaps, share);
        Some(Gaps { kind, min_ms: *gaps.first()?, median_ms: at(0.5)?, p99_ms: at(0.99)?, max_ms: *gaps.last()? })
    }

    fn words(&self) -> String {
        let [min, median, p99, max] =
            [self.min_ms, self.median_ms, self.p99_ms, self.max_ms].map(|ms| milliseconds(from_ms(ms)));
        format!("longest gap of a round, {}: min {min}, median {median}, p99 {p99}, max {max}", self.kind)
    }
}

/// The round with the longest gap on the terminal.
pub(super) fn plot(fault: Fault, round: &Round) -> String {
    let rows: Vec<_> = round.clients.iter().map(|clients| (clients.kind.name(), &clients.witness)).collect();
    timeline::plot(&round.course, &rows, &fault.of(&round.before.node))
}

/// What each of the two nodes does when.
fn strips(fault: Fault, round: &Round) -> Vec<Strip> {
    let course = &round.course;
    let begin = Duration::ZERO;
    let primary = |from, epoch: u64| (from, Part::Primary, format!("primary, epoch {epoch}"));
    let standby = |from| (from, Part::Standby, "standby".to_owned());
    let away = |from, words: &str| (from, Part::Away, words.to_owned());
    let mut old = vec![primary(begin, round.before.epoch)];
    let mut other = vec![standby(begin)];
    match fault {
        Fault::Kill => old.push(away(course.fault, "killed; starts again and joins")),
        Fault::Pause => old.extend([away(course.fault, "paused"), away(course.takeover, "goes on, is fenced, joins")]),
        Fault::Switchover => old.push(away(course.fault, "hands over")),
    }
    if round.after.node == round.before.node {
        old.push(primary(course.takeover, round.after.epoch));
    } else {
        other.push(primary(course.takeover, round.after.epoch));
        old.push(standby(if fault == Fault::Switchover { course.takeover } else { course.whole }));
    }
    let strip = |name: &String, parts| Strip { name: name.clone(), parts };
    vec![strip(&round.before.node, old), strip(&round.standby, other)]
}

/// Milliseconds to a hundredth: more is noise.
fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e5).round() / 100.0
}

fn from_ms(ms: f64) -> Duration {
    Duration::from_secs_f64(ms / 1e3)
}

#[cfg(test)]
mod tests {
    use super::super::kind::{Kind, TriedKind, UntriedKind};
    use super::super::round::Leader;
    use super::super::timeline::tests::{COURSE, witness};
    use super::*;

    fn round(account: Account) -> Round {
        let leader = |node: &str, epoch| Leader { node: node.into(), epoch };
        Round {
            before: leader("a", 3),
            after: leader("b", 4),
            standby: "b".into(),
            takeover: "took over from a with epoch 4 in 3.6 ms".into(),
            course: COURSE,
            clients: KINDS.iter().map(|&kind| Clients { kind, witness: witness(), account }).collect(),
        }
    }

    const KINDS: [Kind; 2] = [Kind::Library, Kind::Plain];

    fn report(fault: Fault, rounds: &[Round]) -> Report {
        let tried = |kind: Kind| TriedKind { kind, name: kind.name(), manner: "knows addresses".into() };
        let not_tried = vec![UntriedKind { kind: "redis-py", why: "no module: pip install redis".into() }];
        let participants = Participants { tried: KINDS.map(tried).into(), not_tried };
        Report::new(fault, "5".repeat(32), participants, rounds)
    }

    #[test]
    fn a_clean_drill_says_so() {
        let report = report(Fault::Kill, &[round(Account::default())]);
        assert_eq!(report.account().words(), "nothing lost, nothing doubled");
        let text = report.text();
        for part in [
            "library          1951       1950       1        41 ms     0        0",
            "plain               1 connection lost",
            "primary: node a (epoch 3), after 20 ms node b (epoch 4); the pair was whole after 300 ms",
            "node b: took over from a",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
        assert!(text.lines().all(|line| line.len() <= 100), "{text}");
    }

    #[test]
    fn what_is_lost_in_one_of_several_rounds_is_not_overlooked() {
        let lost = Account { lost: 1, doubled: 0 };
        let rounds = [round(Account::default()), round(lost), round(Account::default())];
        let report = report(Fault::Pause, &rounds);
        assert_eq!(report.account(), Account { lost: 2, doubled: 0 }, "one of each kind of client");
        assert!(report.account().words().starts_with("LOST: 2"), "{}", report.account().words());
        assert!(report.text().contains("longest gap of a round, plain: min 41 ms, median 41 ms"), "{}", report.text());
        let json = serde_json::to_value(&report).expect("plain data");
        assert_eq!((&json["lost"], &json["rounds"][1]["clients"][1]["lost"]), (&2.into(), &1.into()), "{json}");
        assert_eq!((&json["tried"][1]["kind"], &json["not_tried"][0]["kind"]), (&"plain".into(), &"redis-py".into()));
        assert_eq!(json["fault"], "pause");
    }

    #[test]
    fn each_fault_has_its_picture() {
        for (fault, words) in [
            (Fault::Kill, "killed; starts"),
            (Fault::Pause, "is fenced"),
            (Fault::Switchover, "switchover from node a"),
        ] {
            let round = round(Account::default());
            let strips = strips(fault, &round);
            let last: Vec<Part> = strips.iter().filter_map(|strip| strip.parts.last()).map(|part| part.1).collect();
            assert_eq!(last, [Part::Standby, Part::Primary]);
            let drawn = report(fault, &[]).picture(&round, 4);
            let shown = drawn + &format!("{strips:?}") + &plot(fault, &round);
            assert!(shown.contains(words), "{words} is not in {shown}");
        }
    }
}
