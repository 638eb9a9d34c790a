//! The kernel's account of processes.

use std::collections::HashMap;
use std::fs;

/// Processor time that a process has used, all its threads that live, in nanoseconds; 0 if it is gone.
///
/// `/proc/PID/stat` counts in hundredths of a second; the scheduler's own account is exact.
pub(crate) fn cpu_nanos(pid: u32) -> u64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    let of = |task: fs::DirEntry| {
        let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0)
    };
    tasks.flatten().map(of).sum()
}

/// The process and all that descend from it.
pub(crate) fn descendants(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        if let Some(parent) = parent(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut all = vec![root];
    let mut at = 0;
    while let Some(pid) = all.get(at) {
        let of = children.remove(pid).unwrap_or_default();
        all.extend(of);
        at += 1;
    }
    all
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may contain anything; state and parent follow.
    stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
}

/// Resident memory in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Resident {
    /// All of it.
    pub(crate) all: u64,
    /// Without files and shared memory.
    pub(crate) anonymous: u64,
}

/// Resident memory of a process; zeros if it is gone.
pub(crate) fn resident(pid: u32) -> Resident {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
    };
    Resident { all: field("VmRSS"), anonymous: field("RssAnon") }
}
