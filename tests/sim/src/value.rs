//! Replies of the Redis protocol, as far as workloads ask for them.

/// Begins what a primary tells another node between replies: eight bytes follow.
const POSITION: [u8; 2] = [0, 2];

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `+`
    Simple(String),
    /// `-`
    Error(String),
    /// `:`
    Int(i64),
    /// `$`, and `_` and `,`, which are nothing and doubles in version 3 of the protocol
    Bulk(Option<String>),
    /// `*`, and `~` and `%`, which are sets and maps in version 3
    Array(Option<Vec<Value>>),
    /// `>`: replies to nothing
    Push(Vec<Value>),
}

impl Value {
    /// The replies in `bytes`.
    ///
    /// # Panics
    /// If the last is not whole: a session writes whole ones.
    #[must_use]
    pub fn parse_all(bytes: &[u8]) -> Vec<Value> {
        let mut rest = bytes;
        std::iter::from_fn(|| {
            while let Some(behind) = rest.strip_prefix(&POSITION) {
                rest = &behind[8..];
            }
            (!rest.is_empty()).then(|| Value::take(&mut rest))
        })
        .collect()
    }

    /// The number that it is; nothing counts as 0.
    #[must_use]
    pub fn number(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            Value::Bulk(None) => Some(0),
            Value::Bulk(Some(text)) => text.parse().ok(),
            _ => None,
        }
    }

    /// The text of the message that it is, if it replies to nothing.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        let (Value::Push(members) | Value::Array(Some(members))) = self else { return None };
        match &members[..] {
            [Value::Bulk(Some(kind)), Value::Bulk(Some(text))] if kind == "tanist" => Some(text),
            _ => None,
        }
    }

    fn take(rest: &mut &[u8]) -> Value {
        let kind = rest[0];
        let line = Value::line(rest);
        match kind {
            b'+' => Value::Simple(line),
            b'-' => Value::Error(line),
            b':' => Value::Int(line.parse().expect("an integer")),
            b'$' => Value::Bulk(line.parse::<usize>().ok().map(|len| {
                let text = String::from_utf8_lossy(&rest[..len]).into_owned();
                *rest = &rest[len + 2..];
                text
            })),
            b'_' => Value::Bulk(None),
            b',' => Value::Bulk(Some(line)),
            b'*' | b'~' | b'%' => Value::Array(line.parse::<usize>().ok().map(|len| {
                let len = if kind == b'%' { 2 * len } else { len };
                (0..len).map(|_| Value::take(rest)).collect()
            })),
            b'>' => {
                let len: usize = line.parse().expect("a count");
                Value::Push((0..len).map(|_| Value::take(rest)).collect())
            }
            other => panic!("no reply begins with {other}"),
        }
    }

    fn line(rest: &mut &[u8]) -> String {
        let end = rest.windows(2).position(|pair| pair == b"\r\n").expect("a line ends");
        let line = String::from_utf8_lossy(&rest[1..end]).into_owned();
        *rest = &rest[end + 2..];
        line
    }
}
