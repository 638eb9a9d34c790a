//! `CLIENT REPLY OFF` between MULTI and EXEC left its entry, and the entries after it, out of an array that had said how many follow:
//! from then on the client took each reply for that of another command. And a command that takes its time answered although the
//! client had asked not to be answered.

use super::*;

const QUEUED: &str = "+QUEUED\r\n";

#[test]
fn what_changes_replies_within_exec_does_so_behind_its_whole_reply() {
    // What is sent after MULTI, and what comes after its OK and QUEUED.
    let cases = [
        (
            "PING|CLIENT REPLY OFF|PING|CLIENT REPLY ON|PING",
            "*5\r\n+PONG\r\n+OK\r\n+PONG\r\n+OK\r\n+PONG\r\n",
            "+PONG\r\n",
        ),
        ("CLIENT REPLY OFF|PING", "*2\r\n+OK\r\n+PONG\r\n", ""),
        ("CLIENT REPLY SKIP|PING", "*2\r\n+OK\r\n+PONG\r\n", ""),
        ("CLIENT REPLY OFF|CLIENT REPLY SKIP", "*2\r\n+OK\r\n+OK\r\n", ""),
        ("CLIENT REPLY SKIP|CLIENT REPLY ON", "*2\r\n+OK\r\n+OK\r\n", "+PONG\r\n"),
        ("CLIENT REPLY BOGUS", "*1\r\n-ERR syntax error\r\n", "+PONG\r\n"),
    ];
    run(async {
        let node = Node::primary();
        for (queued, whole, ping) in cases {
            let mut client = node.client();
            let count = queued.matches('|').count() + 1;
            client.send(&format!("MULTI\r\n{}\r\nEXEC\r\n", queued.replace('|', "\r\n"))).await;
            client.expect(&format!("+OK\r\n{}{whole}", QUEUED.repeat(count))).await;
            client.ask("PING\r\nCLIENT REPLY ON\r\n", &format!("{ping}+OK\r\n")).await;
        }
        // A client that wants no replies gets that of EXEC if it says there that it wants them again, and nothing else.
        let mut client = node.client();
        client.send("CLIENT REPLY OFF\r\nMULTI\r\nPING\r\nCLIENT REPLY ON\r\nEXEC\r\nECHO a\r\n").await;
        client.expect("*2\r\n+PONG\r\n+OK\r\n$1\r\na\r\n").await;
        client.ask("CLIENT REPLY OFF\r\nMULTI\r\nPING\r\nEXEC\r\nCLIENT REPLY ON\r\n", "+OK\r\n").await;
    });
}

#[test]
fn a_command_that_takes_its_time_is_not_answered_to_whom_wants_no_replies() {
    run(async {
        let node = Node::primary();
        node.context.install_admin(Arc::new(commands::Played::default()));
        let mut client = node.client();
        client.send("CLIENT REPLY SKIP\r\nTANIST DIGEST\r\nECHO a\r\n").await;
        client.expect("$1\r\na\r\n").await;
        client.send("CLIENT REPLY OFF\r\nTANIST SWITCHOVER\r\nCLIENT REPLY ON\r\nTANIST DIGEST\r\n").await;
        client.expect("+OK\r\n$6\r\n7 00ff\r\n").await;
    });
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    On,
    Off,
    Skip,
}

/// Commands outside of transactions, and transactions of such commands.
type Script = Vec<Result<Option<Mode>, Vec<Option<Mode>>>>;

fn a_script() -> impl Strategy<Value = Script> {
    let step = || prop_oneof![Just(None), Just(Some(Mode::On)), Just(Some(Mode::Off)), Just(Some(Mode::Skip))];
    let transaction = proptest::collection::vec(step(), 0..6);
    proptest::collection::vec(prop_oneof![step().prop_map(Ok), transaction.prop_map(Err)], 0..12)
}

/// A client's own count: what each command makes of whether the next is answered.
struct Count {
    off: bool,
    skip: bool,
    sent: String,
    replies: String,
}

impl Count {
    fn say(&mut self, request: &str, reply: &str) {
        self.sent += request;
        if !std::mem::take(&mut self.skip) && !self.off {
            self.replies += reply;
        }
    }

    fn choose(&mut self, mode: Mode) {
        match mode {
            Mode::On => (self.off, self.skip) = (false, false),
            Mode::Off => (self.off, self.skip) = (true, false),
            Mode::Skip => self.skip = !self.off,
        }
    }

    fn step(&mut self, step: Option<Mode>) {
        match step {
            None => self.say("PING\r\n", "+PONG\r\n"),
            Some(mode) => {
                self.skip = false;
                self.choose(mode);
                self.sent += &request(mode);
                if mode == Mode::On {
                    self.replies += "+OK\r\n";
                }
            }
        }
    }

    fn transaction(&mut self, steps: &[Option<Mode>]) {
        self.say("MULTI\r\n", "+OK\r\n");
        let mut whole = format!("*{}\r\n", steps.len());
        for step in steps {
            self.say(&step.map_or_else(|| "PING\r\n".into(), request), QUEUED);
            whole += if step.is_none() { "+PONG\r\n" } else { "+OK\r\n" };
        }
        self.sent += "EXEC\r\n";
        let before = !std::mem::take(&mut self.skip) && !self.off;
        let mut chosen = false;
        for mode in steps.iter().flatten() {
            self.choose(*mode);
            chosen = true;
        }
        if before || (chosen && !self.off && !self.skip) {
            self.replies += &whole;
        }
    }
}

fn request(mode: Mode) -> String {
    format!("CLIENT REPLY {mode:?}\r\n")
}

proptest! {
    #[test]
    fn every_reply_is_whole_and_as_the_client_counts_them(script in a_script()) {
        let mut count = Count { off: false, skip: false, sent: String::new(), replies: String::new() };
        for entry in &script {
            match entry {
                Ok(step) => count.step(*step),
                Err(steps) => count.transaction(steps),
            }
        }
        count.step(Some(Mode::On));
        run(async {
            let mut client = Node::primary().client();
            client.ask(&count.sent, &count.replies).await;
        });
    }
}
