//! A text that grows at its end: it shows the order of all that was written to it.

use std::fmt;

use crate::Model;

/// APPEND and GET of one key; an absent key is the empty text.
#[derive(Clone, Copy, Debug)]
pub struct Append;

/// What is asked of an [`Append`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AppendInput {
    /// APPEND.
    Append(String),
    /// GET.
    Get,
}

/// What an [`Append`] answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendOutput {
    /// To APPEND: the text's length afterwards, in bytes.
    Length(usize),
    /// To GET.
    Text(String),
}

impl Model for Append {
    type State = String;
    type Input = AppendInput;
    type Output = AppendOutput;

    fn initial() -> String {
        String::new()
    }

    fn step(state: &String, input: &AppendInput, output: Option<&AppendOutput>) -> Option<String> {
        let fits = match (input, output) {
            (_, None) => true,
            (AppendInput::Append(end), Some(AppendOutput::Length(length))) => *length == state.len() + end.len(),
            (AppendInput::Get, Some(AppendOutput::Text(text))) => text == state,
            _ => false,
        };
        let after = || match input {
            AppendInput::Append(end) => format!("{state}{end}"),
            AppendInput::Get => state.clone(),
        };
        fits.then(after)
    }

    fn changes(input: &AppendInput, _: Option<&AppendOutput>) -> bool {
        *input != AppendInput::Get
    }
}

impl fmt::Display for AppendInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AppendInput::Append(end) => write!(f, "append {end}"),
            AppendInput::Get => f.write_str("get"),
        }
    }
}

impl fmt::Display for AppendOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AppendOutput::Length(length) => write!(f, "{length} bytes"),
            AppendOutput::Text(text) => write!(f, "'{text}'"),
        }
    }
}
