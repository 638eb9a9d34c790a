//! Figures as a Markdown table with aligned columns, readable in a terminal and in the documentation.

/// Rows of text under a heading.
#[derive(Clone, Debug, Default)]
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

    /// Columns of figures are flush right, all others flush left.
    pub(crate) fn markdown(&self) -> String {
        let columns = 0..self.rows[0].len();
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(3);
        let widths: Vec<usize> = columns.clone().map(width).collect();
        let is_figure = |cell: &String| cell.chars().all(|c| c.is_ascii_digit() || " .-%()".contains(c));
        let right: Vec<bool> = columns.map(|column| self.rows[1..].iter().all(|row| is_figure(&row[column]))).collect();
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).zip(&right);
            let cells: Vec<String> = cells
                .map(
                    |((cell, width), right)| if *right { format!("{cell:>width$}") } else { format!("{cell:<width$}") },
                )
                .collect();
            text += &format!("| {} |\n", cells.join(" | "));
            if number == 0 {
                let rules = widths.iter().zip(&right);
                let rules: Vec<String> =
                    rules.map(|(width, right)| "-".repeat(width - 1) + if *right { ":" } else { "-" }).collect();
                text += &format!("| {} |\n", rules.join(" | "));
            }
        }
        text
    }
}

/// A figure with about three digits that count.
pub(crate) fn figure(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => "-".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
