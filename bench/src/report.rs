//! What a run leaves: a table on the terminal, figures as JSON, and, if asked, its part of the documentation.
//!
//! The book's page is prose by hand around parts that runs replace, each between `<!-- NAME -->` and `<!-- /NAME -->`.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::table::Table;
use crate::{Arguments, Fallible, machine};

/// The page below the documentation's folder.
const PAGE: &str = "benchmarks.md";

/// The outcome of one subcommand.
pub(crate) struct Report {
    pub(crate) name: &'static str,
    pub(crate) table: Table,
    /// Rows as objects, for `summary` and for other programs.
    pub(crate) results: Vec<serde_json::Value>,
    /// File name without its ending, what it shows, the drawing.
    pub(crate) plots: Vec<(String, String, String)>,
    /// Sentences below the table.
    pub(crate) notes: Vec<String>,
}

impl Report {
    pub(crate) fn new(name: &'static str, heading: &[&str]) -> Self {
        Self { name, table: Table::new(heading), results: Vec::new(), plots: Vec::new(), notes: Vec::new() }
    }

    /// Prints, stores, and writes into the documentation if the arguments say so.
    #[expect(clippy::print_stdout, reason = "a benchmark prints what it found")]
    pub(crate) fn publish(&self, arguments: &Arguments) -> Fallible<()> {
        print!("{}", self.table.markdown());
        self.notes.iter().for_each(|note| println!("\n{note}"));
        let machine = machine::describe(&arguments.tanist);
        fs::create_dir_all(&arguments.results)?;
        let stored = json!({"name": self.name, "command": command(), "machine": machine, "results": self.results});
        let path = arguments.results.join(self.name).with_extension("json");
        fs::write(path, serde_json::to_string_pretty(&stored)? + "\n")?;
        match &arguments.book {
            Some(book) => self.write_into(book, &machine),
            None => Ok(()),
        }
    }

    fn write_into(&self, book: &Path, machine: &serde_json::Value) -> Fallible<()> {
        let mut part = format!("`{}`\n\n{}\n\n{}", command(), machine::sentence(machine), self.table.markdown());
        for note in &self.notes {
            part += &format!("\n{note}\n");
        }
        let folder = book.join("benchmarks");
        fs::create_dir_all(&folder)?;
        for (file, words, svg) in &self.plots {
            fs::write(folder.join(format!("{file}.svg")), svg)?;
            part += &format!("\n![{words}](benchmarks/{file}.svg)\n");
        }
        replace_part(book, self.name, &part)
    }
}

/// Replaces one part of the page.
pub(crate) fn replace_part(book: &Path, name: &str, part: &str) -> Fallible<()> {
    let page = book.join(PAGE);
    let text = fs::read_to_string(&page)?;
    let text = with_part(&text, name, part).ok_or_else(|| format!("{} has no part {name}", page.display()))?;
    Ok(fs::write(page, text)?)
}

fn with_part(text: &str, name: &str, part: &str) -> Option<String> {
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let start = text.find(&open)? + open.len();
    let end = start + text[start..].find(&close)?;
    Some(format!("{}\n{}\n\n{}", &text[..start], part.trim(), &text[end..]))
}

/// The command that makes this, as a reader types it: where programs and data are is this machine's affair.
fn command() -> String {
    const PLACES: [&str; 3] = ["--tanist", "--results", "--data"];
    let mut command = "just bench-one".to_owned();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match PLACES.iter().find(|place| word.starts_with(**place)) {
            Some(place) if word == *place => _ = words.next(),
            Some(_) => {}
            None => command += &format!(" {word}"),
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_replaced_and_nothing_else() {
        let text = "a\n<!-- x -->\nold\n<!-- /x -->\nb\n";
        let once = with_part(text, "x", "new\n").unwrap();
        assert_eq!(once, "a\n<!-- x -->\n\nnew\n\n<!-- /x -->\nb\n");
        assert_eq!(with_part(&once, "x", "new").unwrap(), once);
        assert_eq!(with_part(text, "y", "new"), None);
    }
}
