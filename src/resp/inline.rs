//! Inline commands: words separated by blanks, with the quotes and escapes of `redis-cli`.

/// A quote that is not closed, or that is followed by something else than a blank.
#[derive(Debug)]
pub(super) struct Unbalanced;

/// Splits `line` into words; their bytes are appended to `out` without quotes, and `word(start, end)` tells where each
/// lies in it.
///
/// In double quotes `\n \r \t \b \a`, `\xHH` and `\` before any other byte are escapes; in single quotes only `\'` is.
pub(super) fn split(line: &[u8], out: &mut Vec<u8>, mut word: impl FnMut(usize, usize)) -> Result<(), Unbalanced> {
    let mut rest = line;
    loop {
        rest = rest.trim_ascii_start();
        // A zero byte ends a line, as it does in Redis, whose words are C strings here.
        if matches!(rest.first(), None | Some(0)) {
            return Ok(());
        }
        let start = out.len();
        rest = read_word(rest, out)?;
        word(start, out.len());
    }
}

/// Reads one word up to a blank or the end and gives what follows it.
fn read_word<'a>(mut rest: &'a [u8], out: &mut Vec<u8>) -> Result<&'a [u8], Unbalanced> {
    while let Some((&byte, tail)) = rest.split_first() {
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' | 0 => return Ok(rest),
            b'"' => return closed(double_quoted(tail, out)?),
            b'\'' => return closed(single_quoted(tail, out)?),
            _ => out.push(byte),
        }
        rest = tail;
    }
    Ok(rest)
}

/// A closing quote must be the end of its word.
fn closed(rest: &[u8]) -> Result<&[u8], Unbalanced> {
    match rest.first() {
        None => Ok(rest),
        Some(byte) if byte.is_ascii_whitespace() => Ok(rest),
        Some(_) => Err(Unbalanced),
    }
}

fn double_quoted<'a>(mut rest: &'a [u8], out: &mut Vec<u8>) -> Result<&'a [u8], Unbalanced> {
    loop {
        rest = match rest {
            [] => return Err(Unbalanced),
            [b'"', tail @ ..] => return Ok(tail),
            [b'\\', b'x', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(hex(*high) << 4 | hex(*low));
                tail
            }
            [b'\\', escaped, tail @ ..] => {
                out.push(unescape(*escaped));
                tail
            }
            [byte, tail @ ..] => {
                out.push(*byte);
                tail
            }
        }
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], out: &mut Vec<u8>) -> Result<&'a [u8], Unbalanced> {
    loop {
        rest = match rest {
            [] => return Err(Unbalanced),
            [b'\'', tail @ ..] => return Ok(tail),
            [b'\\', b'\'', tail @ ..] => {
                out.push(b'\'');
                tail
            }
            [byte, tail @ ..] => {
                out.push(*byte);
                tail
            }
        }
    }
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'a' => 7,
        other => other,
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
        let (mut out, mut spans) = (Vec::new(), Vec::new());
        split(line, &mut out, |start, end| spans.push((start, end))).ok()?;
        Some(spans.into_iter().map(|(start, end)| out[start..end].to_vec()).collect())
    }

    #[test]
    fn words_are_split_and_unquoted_as_a_shell_does() {
        let cases: [(&[u8], &[&[u8]]); 9] = [
            (b"", &[]),
            (b"  \t ", &[]),
            (b"GET key", &[b"GET", b"key"]),
            (b"  SET  a\t1  ", &[b"SET", b"a", b"1"]),
            (br#"SET "a b" 'c d'"#, &[b"SET", b"a b", b"c d"]),
            (br#""\x41\n\"\q\xg1""#, &[b"A\n\"qxg1"]),
            (br"'it\'s \n'", &[br"it's \n"]),
            (br#"ECHO "" ''"#, &[b"ECHO", b"", b""]),
            (br#"foo"bar" x"#, &[b"foobar", b"x"]),
        ];
        for (line, expected) in cases {
            assert_eq!(words(line).unwrap(), expected, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn open_quotes_and_text_behind_a_quote_are_refused() {
        for line in [&br#"GET "a"#[..], b"GET 'a", br#"GET "a"b"#, b"GET 'a'b", br#""\"#, br#"""""#] {
            assert!(words(line).is_none(), "{}", line.escape_ascii());
        }
    }
}
