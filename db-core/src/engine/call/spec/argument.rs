//! The arguments of a command, as `COMMAND DOCS` shows them; clients use them to complete and check commands.

/// What an argument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgumentKind {
    /// Any bytes.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Double,
    /// A key, of the command's key specification of this number.
    Key(u8),
    /// A glob pattern.
    Pattern,
    /// What names of keys are made of, those of the command's key specification of this number.
    KeyPattern(u8),
    /// Seconds or milliseconds since 1970.
    UnixTime,
    /// The token alone.
    PureToken,
    /// One of several arguments.
    OneOf(&'static [Argument]),
    /// Several arguments together.
    Block(&'static [Argument]),
}

impl ArgumentKind {
    /// Name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ArgumentKind::String => "string",
            ArgumentKind::Integer => "integer",
            ArgumentKind::Double => "double",
            ArgumentKind::Key(_) => "key",
            ArgumentKind::Pattern | ArgumentKind::KeyPattern(_) => "pattern",
            ArgumentKind::UnixTime => "unix-time",
            ArgumentKind::PureToken => "pure-token",
            ArgumentKind::OneOf(_) => "oneof",
            ArgumentKind::Block(_) => "block",
        }
    }

    /// The number of the key specification that it belongs to.
    #[must_use]
    pub const fn key_spec(self) -> Option<u8> {
        match self {
            ArgumentKind::Key(spec) | ArgumentKind::KeyPattern(spec) => Some(spec),
            _ => None,
        }
    }

    /// The arguments that it is made of.
    #[must_use]
    pub const fn parts(self) -> &'static [Argument] {
        match self {
            ArgumentKind::OneOf(parts) | ArgumentKind::Block(parts) => parts,
            _ => &[],
        }
    }
}

/// One argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argument {
    /// Its name for people.
    pub name: &'static str,
    /// What it is.
    pub kind: ArgumentKind,
    /// The word before it; empty if there is none.
    pub token: &'static str,
    /// Version of Redis that brought it, if that is a later one than the command's.
    pub since: &'static str,
    /// Version of Redis since when another way is better; empty if there is none.
    pub deprecated_since: &'static str,
    /// It may be left out.
    pub optional: bool,
    /// It may be given several times.
    pub multiple: bool,
    /// With its token each time.
    pub multiple_token: bool,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $kind:ident;)+) => {$(
        $(#[$doc])*
        #[must_use]
        pub const fn $name(name: &'static str) -> Argument {
            Argument::new(name, ArgumentKind::$kind)
        }
    )+};
}

impl Argument {
    const fn new(name: &'static str, kind: ArgumentKind) -> Argument {
        Argument {
            name,
            kind,
            token: "",
            since: "",
            deprecated_since: "",
            optional: false,
            multiple: false,
            multiple_token: false,
        }
    }

    kinds! {
        /// Any bytes.
        string = String;
        /// A whole number.
        integer = Integer;
        /// A number.
        double = Double;
        /// A glob pattern.
        pattern = Pattern;
        /// A moment.
        unix_time = UnixTime;
    }

    /// A key, of the command's key specification of this number.
    #[must_use]
    pub const fn key(name: &'static str, spec: u8) -> Argument {
        Argument::new(name, ArgumentKind::Key(spec))
    }

    /// What names of keys are made of, those of the command's key specification of this number.
    #[must_use]
    pub const fn key_pattern(name: &'static str, spec: u8) -> Argument {
        Argument::new(name, ArgumentKind::KeyPattern(spec))
    }

    /// A word that stands alone.
    #[must_use]
    pub const fn word(name: &'static str, token: &'static str) -> Argument {
        Argument::new(name, ArgumentKind::PureToken).after(token)
    }

    /// One of several.
    #[must_use]
    pub const fn one_of(name: &'static str, parts: &'static [Argument]) -> Argument {
        Argument::new(name, ArgumentKind::OneOf(parts))
    }

    /// Several together.
    #[must_use]
    pub const fn block(name: &'static str, parts: &'static [Argument]) -> Argument {
        Argument::new(name, ArgumentKind::Block(parts))
    }

    /// It stands after this word.
    #[must_use]
    pub const fn after(mut self, token: &'static str) -> Argument {
        self.token = token;
        self
    }

    /// Brought by this version of Redis.
    #[must_use]
    pub const fn since(mut self, version: &'static str) -> Argument {
        self.since = version;
        self
    }

    /// Another way is better since this version of Redis.
    #[must_use]
    pub const fn deprecated_since(mut self, version: &'static str) -> Argument {
        self.deprecated_since = version;
        self
    }

    /// It may be left out.
    #[must_use]
    pub const fn optional(mut self) -> Argument {
        self.optional = true;
        self
    }

    /// It may be given several times.
    #[must_use]
    pub const fn multiple(mut self) -> Argument {
        self.multiple = true;
        self
    }

    /// It may be given several times, each time after its token.
    #[must_use]
    pub const fn each_after(self, token: &'static str) -> Argument {
        let mut argument = self.after(token).multiple();
        argument.multiple_token = true;
        argument
    }

    /// Names of its flags on the wire.
    pub fn flags(&self) -> impl Iterator<Item = &'static str> + Clone {
        let flags = [(self.optional, "optional"), (self.multiple, "multiple"), (self.multiple_token, "multiple_token")];
        flags.into_iter().filter_map(|(has, name)| has.then_some(name))
    }

    /// What came later than the version `first`, of this argument and its parts: names with versions.
    pub fn later(&self, first: &str, visit: &mut dyn FnMut(&'static str, &'static str)) {
        if !self.since.is_empty() && self.since != first {
            visit(self.since, if self.token.is_empty() { self.name } else { self.token });
        } else {
            self.kind.parts().iter().for_each(|part| part.later(first, visit));
        }
    }
}
