//! The system's limit on open files (`RLIMIT_NOFILE`), compared with what `maxclients` needs.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::limits::{FILES_PER_THREAD, FILES_RESERVED};

/// Clients that a node with `threads` threads may have, of `clients` that it shall have: as many as the system gives it open files
/// for. Raises the process's own limit as far as it goes. `None`: not one.
#[must_use]
pub fn clients_with_files(clients: u32, threads: usize) -> Option<u32> {
    let others = FILES_RESERVED + FILES_PER_THREAD * threads as u64;
    fitting(clients, others, raise(others + u64::from(clients)))
}

/// As [`clients_with_files`], without raising anything.
#[must_use]
pub fn clients_possible(clients: u32, threads: usize) -> Option<u32> {
    let others = FILES_RESERVED + FILES_PER_THREAD * threads as u64;
    let limit = getrlimit(Resource::Nofile);
    fitting(clients, others, limit.maximum.unwrap_or(u64::MAX))
}

/// Of `files` that may be open, `others` are no clients.
fn fitting(clients: u32, others: u64, files: u64) -> Option<u32> {
    let left = files.checked_sub(others).filter(|left| *left > 0)?;
    Some(clients.min(u32::try_from(left).unwrap_or(u32::MAX)))
}

/// Raises the limit to `wanted`, or as near to that as is allowed; returns what it is then.
fn raise(wanted: u64) -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let (now, most) = (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX));
    let mut new = wanted.min(most);
    // The system has a bound of its own (fs.nr_open), which may be below the process's.
    while new > now {
        if setrlimit(Resource::Nofile, Rlimit { current: Some(new), maximum: limit.maximum }).is_ok() {
            return new;
        }
        new /= 2;
    }
    now
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node took any `maxclients`, and refused clients with errors of the system when the files had run out.
    #[test]
    fn clients_are_bounded_by_what_may_be_open() {
        assert_eq!(fitting(10_000, 100, 20_000), Some(10_000));
        assert_eq!(fitting(10_000, 100, 1024), Some(924));
        assert_eq!(fitting(u32::MAX, 100, u64::MAX), Some(u32::MAX));
        assert_eq!((fitting(1, 100, 101), fitting(1, 100, 100), fitting(1, 100, 3)), (Some(1), None, None));
    }

    #[test]
    fn a_limit_is_raised_and_never_lowered() {
        let before = raise(0);
        assert!(raise(before.saturating_add(1)) >= before);
        assert!(raise(1) >= before);
    }
}
