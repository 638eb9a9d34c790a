//! Doubles: read as C's `strtod` reads them, and written as Redis writes scores.

/// Returns the double that all of `text` is, as the protocol takes scores: no blank, not "not a number", not what is too large or too
/// small for any but infinity and zero.
pub(super) fn parse(text: &[u8]) -> Option<f64> {
    if text.first().is_none_or(u8::is_ascii_whitespace) {
        return None;
    }
    let value = read(text)?;
    (!is_out_of_range(value, text)).then_some(value)
}

/// Returns the double that all of `text` is, as bounds of ranges are read: blanks may be before it, nothing at all is 0, what is too
/// large is infinite, and a zero byte ends it.
pub(super) fn parse_bound(text: &[u8]) -> Option<f64> {
    let text = until_zero(text);
    if text.is_empty() { Some(0.0) } else { read(after_blanks(text)) }
}

/// Returns the double that all of `text` is, as SORT reads weights: as bounds, but not what is too large or too small for a double.
pub(super) fn parse_weight(text: &[u8]) -> Option<f64> {
    let value = parse_bound(text)?;
    (!is_out_of_range(value, after_blanks(until_zero(text))) && !value.is_subnormal()).then_some(value)
}

fn until_zero(text: &[u8]) -> &[u8] {
    &text[..text.iter().position(|byte| *byte == 0).unwrap_or(text.len())]
}

/// What is behind the blanks of C at the beginning.
fn after_blanks(text: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    &text[text.iter().take_while(|byte| blank(byte)).count()..]
}

fn is_out_of_range(value: f64, text: &[u8]) -> bool {
    (value.is_infinite() && !names_infinity(text)) || (value == 0.0 && has_digits(text))
}

fn read(text: &[u8]) -> Option<f64> {
    let (negative, rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let value = match rest {
        [b'0', b'x' | b'X', hex @ ..] => read_hex(hex)?,
        // Rust reads what C does, and a second sign or `nan` besides.
        [b'-' | b'+', ..] => return None,
        decimal => std::str::from_utf8(decimal).ok()?.parse::<f64>().ok().filter(|value| !value.is_nan())?,
    };
    Some(if negative { -value } else { value })
}

/// Hexadecimal digits with a point, and perhaps a binary exponent.
fn read_hex(text: &[u8]) -> Option<f64> {
    let (digits, exponent) = match text.iter().position(|byte| matches!(byte, b'p' | b'P')) {
        Some(at) => (&text[..at], std::str::from_utf8(&text[at + 1..]).ok()?.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (mut significand, mut scale, mut any, mut behind_point) = (0u64, exponent, false, false);
    for byte in digits {
        let Some(digit) = char::from(*byte).to_digit(16) else {
            if *byte != b'.' || std::mem::replace(&mut behind_point, true) {
                return None;
            }
            continue;
        };
        any = true;
        if significand < 1 << 60 {
            significand = significand << 4 | u64::from(digit);
            scale -= if behind_point { 4 } else { 0 };
        } else if !behind_point {
            scale += 4;
        }
    }
    any.then(|| significand as f64 * 2f64.powi(scale))
}

fn names_infinity(text: &[u8]) -> bool {
    text.iter().any(|byte| matches!(byte, b'i' | b'I'))
}

/// Whether a digit other than 0 is before the exponent.
fn has_digits(text: &[u8]) -> bool {
    let end = text.iter().position(|byte| matches!(byte, b'e' | b'E' | b'p' | b'P')).unwrap_or(text.len());
    text[..end].iter().any(|byte| matches!(byte, b'1'..=b'9'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_read_as_c_reads_them() {
        for (text, value) in [
            ("1", 1.0),
            ("-0", -0.0),
            ("+1.5", 1.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("inf", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("0x1f", 31.0),
            ("0x1.8p1", 3.0),
            ("0", 0.0),
            ("0e5", 0.0),
        ] {
            assert_eq!(parse(text.as_bytes()).map(f64::to_bits), Some(value.to_bits()), "{text}");
        }
        for text in ["", " 1", "1 ", "x", "nan", "1e400", "1e-400", "1e", "--1", "+-1", "0x", "1.2.3", "0x1.1.1"] {
            assert_eq!(parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(parse_bound(b" 1"), Some(1.0));
        assert_eq!(parse_bound(b"\x0b\r1"), Some(1.0));
        assert_eq!(parse_bound(b""), Some(0.0));
        assert_eq!(parse_bound(b" "), None);
        assert_eq!(parse_bound(b"5\0x"), Some(5.0));
        assert_eq!(parse_bound(b"1e400"), Some(f64::INFINITY));
        for (text, weight) in [("", 0.0), (" 7", 7.0), ("-inf", f64::NEG_INFINITY), ("0x1f", 31.0), ("3\0", 3.0)] {
            assert_eq!(parse_weight(text.as_bytes()), Some(weight), "{text:?}");
        }
        for text in [" ", "7 ", "nan", "1e400", " 1e400", "1e-400", "1e-310", "x"] {
            assert_eq!(parse_weight(text.as_bytes()), None, "{text:?}");
        }
    }
}
