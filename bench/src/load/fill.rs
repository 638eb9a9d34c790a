//! Sets every key once.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::requests::value;
use super::{key, push_command};
use crate::Fallible;

/// Keys a batch.
const BATCH: u64 = 500;

/// Sets every key of `from..to` to a value of this size, in order.
pub(crate) fn fill(port: u16, from: u64, to: u64, value_bytes: usize) -> Fallible<()> {
    let value = value(&mut SmallRng::seed_from_u64(0), value_bytes);
    send_all(port, from..to, |out, number| push_command(out, &[b"SET", &key(b'k', number), &value]))
}

/// Sends one command for each number and waits for as many replies of one line each.
pub(crate) fn send_all(
    port: u16,
    numbers: std::ops::Range<u64>,
    mut push: impl FnMut(&mut Vec<u8>, u64),
) -> Fallible<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut out = Vec::new();
    let mut chunk = vec![0; 1 << 16];
    for first in numbers.clone().step_by(BATCH as usize) {
        out.clear();
        let last = (first + BATCH).min(numbers.end);
        (first..last).for_each(|number| push(&mut out, number));
        stream.write_all(&out)?;
        let mut missing = (last - first) as usize;
        while missing > 0 {
            let read = stream.read(&mut chunk)?;
            let replies = &chunk[..read];
            if read == 0 || replies.contains(&b'-') {
                return Err(format!("the server said: {}", String::from_utf8_lossy(replies)).into());
            }
            missing -= memchr::memchr_iter(b'\n', replies).count();
        }
    }
    Ok(())
}
