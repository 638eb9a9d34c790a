//! Figures as a Markdown table with aligned columns, readable in a terminal and in the book.

/// Rows of text under a heading.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(heading: &[&str]) -> Self {
        Self { rows: vec![heading.iter().map(ToString::to_string).collect()] }
    }

    pub(crate) fn row(&mut self, cells: &[String]) {
        self.rows.push(cells.to_vec());
    }

    pub(crate) fn print(&self) {
        let widths: Vec<usize> = (0..self.rows[0].len())
            .map(|column| self.rows.iter().map(|row| row[column].len()).max().unwrap_or(0))
            .collect();
        for (i, row) in self.rows.iter().enumerate() {
            let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}")).collect();
            println!("| {} |", cells.join(" | "));
            if i == 0 {
                let rules: Vec<_> = widths.iter().map(|width| format!("{}:", "-".repeat(width - 1))).collect();
                println!("| {} |", rules.join(" | "));
            }
        }
    }
}
