//! Fields of hashes that expire.

use Flag::*;
use Handler::Keys;

use crate::command::field_expiry;
use crate::engine::call::spec::{Argument, Category, CommandSpec, Flag, Group, Handler, KeySpec, KeyUse, spec};

const FIELDS: Argument =
    Argument::block("fields", &[Argument::integer("numfields"), Argument::string("field").multiple()]).after("FIELDS");

const CONDITION: Argument = Argument::one_of(
    "condition",
    &[Argument::word("nx", "NX"), Argument::word("xx", "XX"), Argument::word("gt", "GT"), Argument::word("lt", "LT")],
)
.optional();

const UNITS: [Argument; 4] = [
    Argument::integer("seconds").after("EX"),
    Argument::integer("milliseconds").after("PX"),
    Argument::unix_time("unix-time-seconds").after("EXAT"),
    Argument::unix_time("unix-time-milliseconds").after("PXAT"),
];

const PER_FIELD: &str = "O(N) where N is the number of specified fields.";

pub(super) static COMMANDS: &[CommandSpec] = &[
    spec("hexpire", -6, &[Write, Fast], Group::Hash, "9.0.0", Keys(field_expiry::hexpire))
        .keys(&[KeySpec::at(1, KeyUse::Alter)])
        .categories_own(&[Category::Hash])
        .arguments(&[Argument::key("key", 0), Argument::integer("seconds"), CONDITION, FIELDS])
        .doc("Sets how many seconds fields of a hash live.", PER_FIELD),
    spec("hpexpire", -6, &[Write, Fast], Group::Hash, "9.0.0", Keys(field_expiry::hpexpire))
        .keys(&[KeySpec::at(1, KeyUse::Alter)])
        .categories_own(&[Category::Hash])
        .arguments(&[Argument::key("key", 0), Argument::integer("milliseconds"), CONDITION, FIELDS])
        .doc("Sets how many milliseconds fields of a hash live.", PER_FIELD),
    spec("hexpireat", -6, &[Write, Fast], Group::Hash, "9.0.0", Keys(field_expiry::hexpireat))
        .keys(&[KeySpec::at(1, KeyUse::Alter)])
        .categories_own(&[Category::Hash])
        .arguments(&[Argument::key("key", 0), Argument::integer("unix-time-seconds"), CONDITION, FIELDS])
        .doc("Sets when fields of a hash expire, in Unix seconds.", PER_FIELD),
    spec("hpexpireat", -6, &[Write, Fast], Group::Hash, "9.0.0", Keys(field_expiry::hpexpireat))
        .keys(&[KeySpec::at(1, KeyUse::Alter)])
        .categories_own(&[Category::Hash])
        .arguments(&[Argument::key("key", 0), Argument::integer("unix-time-milliseconds"), CONDITION, FIELDS])
        .doc("Sets when fields of a hash expire, in Unix milliseconds.", PER_FIELD),
    spec("httl", -5, &[Readonly, Fast], Group::Hash, "9.0.0", Keys(field_expiry::httl))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::Hash])
        .arguments(&[Argument::key("key", 0), FIELDS])
        .doc("Returns how many seconds fields of a hash live.", PER_FIELD),
    spec("hpttl", -5, &[Readonly, Fast], Group::Hash, "9.0.0", Keys(field_expiry::hpttl))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::Hash])
        .arguments(&[Argument::key("key", 0), FIELDS])
        .doc("Returns how many milliseconds fields of a hash live.", PER_FIELD),
    spec("hexpiretime", -5, &[Readonly, Fast], Group::Hash, "9.0.0", Keys(field_expiry::hexpiretime))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::Hash])
        .arguments(&[Argument::key("key", 0), FIELDS])
        .doc("Returns when fields of a hash expire, in Unix seconds.", PER_FIELD),
    spec("hpexpiretime", -5, &[Readonly, Fast], Group::Hash, "9.0.0", Keys(field_expiry::hpexpiretime))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::Hash])
        .arguments(&[Argument::key("key", 0), FIELDS])
        .doc("Returns when fields of a hash expire, in Unix milliseconds.", PER_FIELD),
    spec("hpersist", -5, &[Write, Fast], Group::Hash, "9.0.0", Keys(field_expiry::hpersist))
        .keys(&[KeySpec::at(1, KeyUse::Alter)])
        .categories_own(&[Category::Hash])
        .arguments(&[Argument::key("key", 0), FIELDS])
        .doc("Makes fields of a hash never expire.", PER_FIELD),
    spec("hgetex", -5, &[Write, Fast], Group::Hash, "9.0.0", Keys(field_expiry::hgetex))
        .keys(&[KeySpec::at(1, KeyUse::Change)])
        .categories_own(&[Category::Hash])
        .arguments(&[
            Argument::key("key", 0),
            Argument::one_of(
                "expiration",
                &[UNITS[0], UNITS[1], UNITS[2], UNITS[3], Argument::word("persist", "PERSIST")],
            )
            .optional(),
            FIELDS,
        ])
        .doc("Returns the values of fields of a hash, and sets or removes when they expire.", PER_FIELD),
    spec("hsetex", -6, &[Write, DenyOom, Fast], Group::Hash, "9.0.0", Keys(field_expiry::hsetex))
        .keys(&[KeySpec::at(1, KeyUse::Extend)])
        .categories_own(&[Category::Hash])
        .arguments(&[
            Argument::key("key", 0),
            Argument::one_of("key-condition", &[Argument::word("nx", "NX"), Argument::word("xx", "XX")]).optional(),
            Argument::one_of("fields-condition", &[Argument::word("fnx", "FNX"), Argument::word("fxx", "FXX")])
                .optional(),
            Argument::one_of(
                "expiration",
                &[UNITS[0], UNITS[1], UNITS[2], UNITS[3], Argument::word("keepttl", "KEEPTTL")],
            )
            .optional(),
            Argument::block(
                "fields",
                &[
                    Argument::integer("numfields"),
                    Argument::block("data", &[Argument::string("field"), Argument::string("value")]).multiple(),
                ],
            )
            .after("FIELDS"),
        ])
        .doc("Sets fields of a hash, and when they expire.", PER_FIELD),
    spec("hgetdel", -5, &[Write, Fast], Group::Hash, "9.1.0", Keys(field_expiry::hgetdel))
        .keys(&[KeySpec::at(1, KeyUse::Take)])
        .categories_own(&[Category::Hash])
        .arguments(&[Argument::key("key", 0), FIELDS])
        .doc(
            "Returns the values of fields of a hash and deletes them.",
            "O(N) where N is the number of fields to be retrieved and deleted.",
        ),
];
