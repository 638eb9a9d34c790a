//! Other programs that a test runs beside a cluster.

use std::io::Read;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::harness::PATIENCE;

/// Runs a program to its end; whether it has succeeded, and what it has said. One that takes several times as long as anything may is
/// killed.
pub(crate) fn run(command: &mut Command) -> (bool, String) {
    let (mut said, writer) = std::io::pipe().expect("a pipe");
    let errors = writer.try_clone().expect("a second handle");
    let mut child = command.stdin(Stdio::null()).stdout(writer).stderr(errors).spawn().expect("it was found before");
    // The handles of this process, which would keep the pipe open.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        said.read_to_string(&mut text).map(|_| text)
    });
    let end = Instant::now() + 4 * PATIENCE;
    let status = loop {
        match child.try_wait().expect("a child of this process") {
            Some(status) => break Some(status),
            None if Instant::now() > end => break None,
            None => sleep(Duration::from_millis(20)),
        }
    };
    if status.is_none() {
        child.kill().and_then(|()| child.wait()).expect("a child of this process");
    }
    let text = reader.join().expect("the reader does not panic").expect("text");
    (status.is_some_and(|status| status.success()), text)
}
