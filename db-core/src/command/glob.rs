//! Patterns of KEYS and SCAN: `*`, `?`, `[a-z]`, `[^a]` and `\`, byte by byte, as Redis reads them.

/// Whether `text` matches `pattern` as a whole. Takes at most the product of both lengths, whatever the pattern: after a
/// mismatch only the last star needs to take one byte more.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut pos) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        if pattern.get(at) == Some(&b'*') {
            at += 1;
            star = Some((at, pos));
            continue;
        }
        if pos == text.len() {
            return at == pattern.len();
        }
        if at < pattern.len()
            && let Some(next) = one(pattern, at, text[pos])
        {
            (at, pos) = (next, pos + 1);
            continue;
        }
        let Some((after, taken)) = &mut star else { return false };
        *taken += 1;
        (at, pos) = (*after, *taken);
        if pos > text.len() {
            return false;
        }
    }
}

/// Where the pattern goes on if its part at `at`, which is no star, matches `byte`.
fn one(pattern: &[u8], at: usize, byte: u8) -> Option<usize> {
    match pattern[at] {
        b'?' => Some(at + 1),
        b'[' => class(pattern, at + 1, byte),
        b'\\' if at + 1 < pattern.len() => (pattern[at + 1] == byte).then_some(at + 2),
        literal => (literal == byte).then_some(at + 1),
    }
}

/// As [`one`], for a class whose members start at `at`; an unfinished class ends with the pattern.
fn class(pattern: &[u8], mut at: usize, byte: u8) -> Option<usize> {
    let negated = pattern.get(at) == Some(&b'^');
    at += usize::from(negated);
    let mut found = false;
    loop {
        match &pattern[at.min(pattern.len())..] {
            [] => break,
            [b'\\', escaped, ..] => {
                found |= *escaped == byte;
                at += 2;
            }
            [b']', ..] => {
                at += 1;
                break;
            }
            [from, b'-', to, ..] => {
                found |= (*from.min(to)..=*from.max(to)).contains(&byte);
                at += 3;
            }
            [member, ..] => {
                found |= *member == byte;
                at += 1;
            }
        }
    }
    (found != negated).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_in_redis() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("*", &["", "a", "abc"], &[]),
            ("", &[""], &["a"]),
            ("a*c", &["ac", "abc", "abcbc"], &["ab", "acd"]),
            ("h?llo", &["hello", "hallo"], &["hllo", "heello"]),
            ("h[ae]llo", &["hello", "hallo"], &["hillo"]),
            ("h[^e]llo", &["hallo", "hbllo"], &["hello"]),
            ("h[a-c]llo", &["hallo", "hcllo"], &["hdllo"]),
            ("h[c-a]llo", &["hallo", "hbllo"], &["hdllo"]),
            ("\\*a", &["*a"], &["aa", "\\*a"]),
            ("[\\]]", &["]"], &["\\", "a"]),
            ("[]a]", &[], &["]", "a", "a]"]),
            ("[^]", &["a", "]"], &[""]),
            ("[abc", &["a", "c"], &["d", "[abc"]),
            ("[a-", &["a", "-"], &["b"]),
            ("a\\", &["a\\"], &["a"]),
            ("**a**", &["a", "ba", "ab"], &["", "b"]),
            ("*a?b*", &["xaybz", "aab"], &["ab"]),
        ];
        for (pattern, yes, no) in cases {
            for text in *yes {
                assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} matches {text}");
            }
            for text in *no {
                assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} does not match {text}");
            }
        }
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let pattern = b"a*".repeat(200);
        let text = b"a".repeat(8000);
        assert!(matches(&pattern, &text));
        let mut never = pattern.clone();
        never.push(b'b');
        assert!(!matches(&never, &text));
    }
}
