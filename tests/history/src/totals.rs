//! Transfers between keys that keep a sum: what a transaction half seen, half lost or half repeated would break.

/// The amounts of all accounts, read in one transaction (MGET, or EXEC).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Who read.
    pub client: u32,
    /// When it was answered.
    pub returned: u64,
    /// The amounts, in the order of the accounts.
    pub amounts: Vec<i64>,
}

/// The first reading, by time, whose amounts do not sum to `total`, as a sentence; `None` if all do.
#[must_use]
pub fn unbalanced(readings: &[Reading], total: i64) -> Option<String> {
    let sum = |reading: &Reading| reading.amounts.iter().sum::<i64>();
    let wrong = readings.iter().filter(|reading| sum(reading) != total).min_by_key(|reading| reading.returned)?;
    let Reading { client, returned, amounts } = wrong;
    let sum = sum(wrong);
    Some(format!("client {client} read at {returned} the accounts {amounts:?}, together {sum} and not {total}"))
}
