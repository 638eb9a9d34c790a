//! Specs of commands that treat strings as arrays of bits.

use Flag::*;
use Handler::{Keys, KeysOrWhole};

use crate::command::bits;
use crate::engine::call::spec::{Argument, Category, CommandSpec, Flag, Group, Handler, KeySpec, KeyUse, spec};

const UNIT: Argument = Argument::one_of("index_unit", &[Argument::word("byte", "BYTE"), Argument::word("bit", "BIT")])
    .since("7.0.0")
    .optional();

const FIELD: [Argument; 2] = [Argument::string("encoding"), Argument::integer("offset")];

pub(super) static COMMANDS: &[CommandSpec] = &[
    spec("setbit", 4, &[Write, DenyOom], Group::Bitmap, "2.2.0", Keys(bits::setbit))
        .keys(&[KeySpec::at(1, KeyUse::Change)])
        .categories_own(&[Category::Bitmap])
        .arguments(&[Argument::key("key", 0), Argument::integer("offset"), Argument::integer("value")])
        .doc("Sets or clears a bit of the value of a key, and what it was.", "O(1)"),
    spec("getbit", 3, &[Readonly, Fast], Group::Bitmap, "2.2.0", Keys(bits::getbit))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::Bitmap])
        .arguments(&[Argument::key("key", 0), Argument::integer("offset")])
        .doc("A bit of the value of a key.", "O(1)"),
    spec("bitcount", -2, &[Readonly], Group::Bitmap, "2.6.0", Keys(bits::bitcount))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::Bitmap])
        .arguments(&[
            Argument::key("key", 0),
            Argument::block("index", &[Argument::integer("start"), Argument::integer("end"), UNIT]).optional(),
        ])
        .doc("How many bits of the value of a key are set.", "O(N)"),
    spec("bitpos", -3, &[Readonly], Group::Bitmap, "2.8.7", Keys(bits::bitpos))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::Bitmap])
        .arguments(&[
            Argument::key("key", 0),
            Argument::integer("bit"),
            Argument::block(
                "index",
                &[
                    Argument::integer("start"),
                    Argument::block("end_index", &[Argument::integer("end"), UNIT]).optional(),
                ],
            )
            .optional(),
        ])
        .doc("Where the first bit that is set or not set is in the value of a key.", "O(N)"),
    spec("bitop", -4, &[Write, DenyOom], Group::Bitmap, "2.6.0", KeysOrWhole(bits::operation::bitop, |_| false))
        .keys(&[KeySpec::at(2, KeyUse::Overwrite), KeySpec::from(3, 1, KeyUse::Read)])
        .categories_own(&[Category::Bitmap])
        .arguments(&[
            Argument::one_of(
                "operation",
                &[
                    Argument::word("and", "AND"),
                    Argument::word("or", "OR"),
                    Argument::word("xor", "XOR"),
                    Argument::word("not", "NOT"),
                    Argument::word("diff", "DIFF").since("8.2.0"),
                    Argument::word("diff1", "DIFF1").since("8.2.0"),
                    Argument::word("andor", "ANDOR").since("8.2.0"),
                    Argument::word("one", "ONE").since("8.2.0"),
                ],
            ),
            Argument::key("destkey", 0),
            Argument::key("key", 1).multiple(),
        ])
        .doc("Combines the values of keys bit by bit, and stores the result.", "O(N)"),
    spec("bitfield", -2, &[Write, DenyOom], Group::Bitmap, "3.2.0", Keys(bits::field::bitfield))
        .keys(&[KeySpec::at(1, KeyUse::Set)])
        .categories_own(&[Category::Bitmap])
        .arguments(&[
            Argument::key("key", 0),
            Argument::one_of(
                "operation",
                &[
                    Argument::block("encoding_offset", &FIELD).after("GET"),
                    Argument::block(
                        "write",
                        &[
                            Argument::one_of(
                                "wrap_sat_fail",
                                &[
                                    Argument::word("wrap", "WRAP"),
                                    Argument::word("sat", "SAT"),
                                    Argument::word("fail", "FAIL"),
                                ],
                            )
                            .after("OVERFLOW")
                            .optional(),
                            Argument::one_of(
                                "write_operation",
                                &[
                                    Argument::block(
                                        "encoding_offset_value",
                                        &[FIELD[0], FIELD[1], Argument::integer("value")],
                                    )
                                    .after("SET"),
                                    Argument::block(
                                        "encoding_offset_increment",
                                        &[FIELD[0], FIELD[1], Argument::integer("increment")],
                                    )
                                    .after("INCRBY"),
                                ],
                            ),
                        ],
                    ),
                ],
            )
            .multiple()
            .optional(),
        ])
        .doc(
            "Reads, sets and adds to integers of any width at any bit of the value of a key.",
            "O(1) for each subcommand specified",
        ),
    spec("bitfield_ro", -2, &[Readonly, Fast], Group::Bitmap, "6.0.0", Keys(bits::field::bitfield))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(&[Category::Bitmap])
        .arguments(&[Argument::key("key", 0), Argument::block("encoding_offset", &FIELD).each_after("GET").optional()])
        .doc("Reads integers of any width at any bit of the value of a key.", "O(1) for each subcommand specified"),
];
