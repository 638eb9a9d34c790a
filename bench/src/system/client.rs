//! A client for questions beside the load: one command at a time.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::Fallible;
use crate::load::push_command;

/// A connection that blocks.
pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    pub(crate) fn connect(port: u16) -> Fallible<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Waits for replies as long as it takes.
    pub(crate) fn be_patient(&mut self) -> Fallible<()> {
        Ok(self.0.get_ref().set_read_timeout(None)?)
    }

    /// The reply to a command as text: a simple string, a number or a bulk string.
    pub(crate) fn ask(&mut self, parts: &[&str]) -> Fallible<String> {
        let mut out = Vec::new();
        let bytes: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        push_command(&mut out, &bytes);
        self.0.get_mut().write_all(&out)?;
        let line = self.line()?;
        match line.split_at_checked(1) {
            Some(("+" | ":", rest)) => Ok(rest.to_owned()),
            Some(("$", "-1")) => Ok(String::new()),
            Some(("$", length)) => {
                let mut text = vec![0; length.parse::<usize>()? + 2];
                self.0.read_exact(&mut text)?;
                text.truncate(text.len() - 2);
                Ok(String::from_utf8_lossy(&text).into_owned())
            }
            _ => Err(format!("{parts:?} was answered with: {line}").into()),
        }
    }

    /// One field of `INFO`.
    pub(crate) fn info(&mut self, section: &str, field: &str) -> Fallible<String> {
        let text = self.ask(&["INFO", section])?;
        let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        Ok(value.ok_or_else(|| format!("INFO {section} has no {field}"))?.trim().to_owned())
    }

    /// One field of `INFO` that is a number.
    pub(crate) fn info_number(&mut self, section: &str, field: &str) -> Fallible<u64> {
        Ok(self.info(section, field)?.parse()?)
    }

    fn line(&mut self) -> Fallible<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err("the server closed the connection".into());
        }
        Ok(line.trim_end().to_owned())
    }
}
