//! Dumps, which each server writes in a way of its own and restores from the other one.

use crate::dice::{Dice, PREFIXES};

/// Where a command's words have the payload.
const PAYLOAD: usize = 3;

/// What a reply to DUMP contains, unless the key does not exist.
pub(crate) fn payload(reply: &[u8]) -> Option<&[u8]> {
    let reply = reply.strip_prefix(b"$").filter(|reply| !reply.starts_with(b"-"))?;
    let start = reply.windows(2).position(|end| end == b"\r\n")? + 2;
    reply.get(start..reply.len() - 2)
}

/// The arguments of RESTORE for Redis and for us, each with the other's payload.
pub(crate) fn exchanged(words: &[String], of_redis: &[u8], of_ours: &[u8]) -> [Vec<Vec<u8>>; 2] {
    [of_ours, of_redis].map(|payload| {
        let mut args: Vec<Vec<u8>> = words.iter().map(|word| word.clone().into_bytes()).collect();
        let damaged = args[PAYLOAD] == b"damaged";
        args[PAYLOAD] = payload.to_vec();
        if damaged {
            args[PAYLOAD][0] ^= 1;
        }
        args
    })
}

impl Dice {
    pub(crate) fn dump_command(&mut self) -> Vec<String> {
        let prefix = self.of(&PREFIXES);
        vec!["dump".into(), self.key_of(prefix)]
    }

    /// RESTORE; the payload is to be put in the place of its word.
    pub(crate) fn restore_command(&mut self) -> Vec<String> {
        let prefix = self.of(&PREFIXES);
        let payload = if self.below(10) == 0 { "damaged" } else { "payload" };
        let time = match self.below(6) {
            0 => self.of(&["-1", "x"]).to_owned(),
            1 => (100_000_000 + self.below(1000) * 100_000).to_string(),
            _ => "0".to_owned(),
        };
        let mut words = vec!["restore".into(), self.key_of(prefix), time, payload.into()];
        for _ in 0..self.below(4) {
            match self.below(9) {
                0..=4 => words.push("REPLACE".into()),
                5 => words.extend(["idletime".into(), self.of(&["0", "100", "-1", "x"]).into()]),
                6 => words.extend(["FREQ".into(), self.of(&["0", "255", "256", "-1", "x"]).into()]),
                7 => words.push(self.of(&["foo", "freq", ""]).into()),
                _ => {
                    // A moment long ago, or in years.
                    words[2] = self.of(&["1000", "4000000000000", "0", "-7"]).into();
                    words.push("absttl".into());
                }
            }
        }
        words
    }
}
