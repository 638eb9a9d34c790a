//! Places on the earth.

use Flag::*;
use Handler::Keys;

use crate::command::geo;
use crate::engine::call::spec::{
    Argument, Begin, Category, CommandSpec, Find, Flag, Group, Handler, KeySpec, KeyUse, spec,
};

const GEO: &[Category] = &[Category::Geo];
const EACH_MEMBER: &str = "O(1) for each member requested.";
const BY_RADIUS: &str = "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center and radius and M is the number of items inside the index.";
const BY_SHAPE: &str = "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around the shape provided as the filter and M is the number of items inside the shape";

const KEY: Argument = Argument::key("key", 0);
const MEMBER: Argument = Argument::string("member");
const LONGITUDE: Argument = Argument::double("longitude");
const LATITUDE: Argument = Argument::double("latitude");
const RADIUS: Argument = Argument::double("radius");
const UNIT: Argument = Argument::one_of(
    "unit",
    &[Argument::word("m", "M"), Argument::word("km", "KM"), Argument::word("ft", "FT"), Argument::word("mi", "MI")],
);
const WITH_COORD: Argument = Argument::word("withcoord", "WITHCOORD").optional();
const WITH_DIST: Argument = Argument::word("withdist", "WITHDIST").optional();
const WITH_HASH: Argument = Argument::word("withhash", "WITHHASH").optional();
const COUNT: Argument =
    Argument::block("count", &[Argument::integer("count").after("COUNT"), Argument::word("any", "ANY").optional()])
        .optional();
const COUNT_SINCE: Argument = Argument::block(
    "count",
    &[Argument::integer("count").after("COUNT"), Argument::word("any", "ANY").since("6.2.0").optional()],
)
.optional();
const ORDER: Argument =
    Argument::one_of("order", &[Argument::word("asc", "ASC"), Argument::word("desc", "DESC")]).optional();
const STORE: Argument = Argument::key("key", 1).after("STORE").optional();
const STOREDIST: Argument = Argument::key("key", 2).after("STOREDIST").optional();
const FROM: Argument = Argument::one_of(
    "from",
    &[
        Argument::string("member").after("FROMMEMBER"),
        Argument::block("longitude_latitude", &[LONGITUDE, LATITUDE]).after("FROMLONLAT"),
    ],
);
const BY: Argument = Argument::one_of(
    "by",
    &[
        Argument::block("circle", &[RADIUS.after("BYRADIUS"), UNIT]),
        Argument::block("box", &[Argument::double("width").after("BYBOX"), Argument::double("height"), UNIT]),
    ],
);

/// The keys of GEORADIUS and GEORADIUSBYMEMBER, whose options begin at an argument of their own.
const RADIUS_KEYS: [KeySpec; 3] = radius_keys(6);
const RADIUS_OF_MEMBER_KEYS: [KeySpec; 3] = radius_keys(5);

const fn radius_keys(options: u8) -> [KeySpec; 3] {
    [
        KeySpec::at(1, KeyUse::Read),
        stored(Begin::AfterNamedOption("STORE", options, &[("STOREDIST", 1), ("COUNT", 1)])),
        stored(Begin::AfterNamedOption("STOREDIST", options, &[("STORE", 1), ("COUNT", 1)])),
    ]
}

const fn stored(begin: Begin) -> KeySpec {
    KeySpec { begin, find: Find::Range { last: 0, step: 1 }, key_use: KeyUse::Overwrite }
}

pub(super) static COMMANDS: &[CommandSpec] = &[
    spec("geoadd", -5, &[Write, DenyOom], Group::Geo, "3.2.0", Keys(geo::geoadd))
        .keys(&[KeySpec::at(1, KeyUse::Alter)])
        .member(4)
        .categories_own(GEO)
        .arguments(&[
            KEY,
            Argument::one_of("condition", &[Argument::word("nx", "NX"), Argument::word("xx", "XX")])
                .since("6.2.0")
                .optional(),
            Argument::word("change", "CH").since("6.2.0").optional(),
            Argument::block("longitude_latitude_member", &[LONGITUDE, LATITUDE, MEMBER]).multiple(),
        ])
        .doc(
            "Adds members at places, or moves them.",
            "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
        ),
    spec("geopos", -2, &[Readonly], Group::Geo, "3.2.0", Keys(geo::geopos))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .member(2)
        .categories_own(GEO)
        .arguments(&[KEY, MEMBER.multiple()])
        .doc("Returns the longitudes and latitudes of members.", EACH_MEMBER),
    spec("geohash", -2, &[Readonly], Group::Geo, "3.2.0", Keys(geo::geohash))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .member(2)
        .categories_own(GEO)
        .arguments(&[KEY, MEMBER.multiple()])
        .doc("Returns the geohashes of members as text.", EACH_MEMBER),
    spec("geodist", -4, &[Readonly], Group::Geo, "3.2.0", Keys(geo::geodist))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .member(2)
        .categories_own(GEO)
        .arguments(&[KEY, Argument::string("member1"), Argument::string("member2"), UNIT.optional()])
        .doc("Returns the distance between two members.", "O(1)"),
    spec("geosearch", -7, &[Readonly], Group::Geo, "6.2.0", Keys(geo::geosearch))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(GEO)
        .arguments(&[KEY, FROM, BY, ORDER, COUNT, WITH_COORD, WITH_DIST, WITH_HASH])
        .doc("Returns the members in a circle or a box.", BY_SHAPE),
    spec("geosearchstore", -8, &[Write, DenyOom], Group::Geo, "6.2.0", Keys(geo::geosearchstore))
        .keys(&[KeySpec::at(1, KeyUse::Overwrite), KeySpec::at(2, KeyUse::Read)])
        .searches()
        .categories_own(GEO)
        .arguments(&[
            Argument::key("destination", 0),
            Argument::key("source", 1),
            FROM,
            BY,
            ORDER,
            COUNT,
            Argument::word("storedist", "STOREDIST").optional(),
        ])
        .doc("Stores the members in a circle or a box.", BY_SHAPE),
    spec("georadius", -6, &[Write, DenyOom], Group::Geo, "3.2.0", Keys(geo::georadius))
        .keys(&RADIUS_KEYS)
        .searches()
        .categories_own(GEO)
        .arguments(&[
            KEY,
            LONGITUDE,
            LATITUDE,
            RADIUS,
            UNIT,
            WITH_COORD,
            WITH_DIST,
            WITH_HASH,
            COUNT_SINCE,
            ORDER,
            STORE,
            STOREDIST,
        ])
        .doc("Returns or stores the members around a point.", BY_RADIUS),
    spec("georadius_ro", -6, &[Readonly], Group::Geo, "3.2.10", Keys(geo::georadius))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(GEO)
        .arguments(&[KEY, LONGITUDE, LATITUDE, RADIUS, UNIT, WITH_COORD, WITH_DIST, WITH_HASH, COUNT_SINCE, ORDER])
        .doc("As GEORADIUS, without STORE.", BY_RADIUS),
    spec("georadiusbymember", -5, &[Write, DenyOom], Group::Geo, "3.2.0", Keys(geo::georadiusbymember))
        .keys(&RADIUS_OF_MEMBER_KEYS)
        .searches()
        .categories_own(GEO)
        .arguments(&[KEY, MEMBER, RADIUS, UNIT, WITH_COORD, WITH_DIST, WITH_HASH, COUNT, ORDER, STORE, STOREDIST])
        .doc("Returns or stores the members around a member.", BY_RADIUS),
    spec("georadiusbymember_ro", -5, &[Readonly], Group::Geo, "3.2.10", Keys(geo::georadiusbymember))
        .keys(&[KeySpec::at(1, KeyUse::Read)])
        .categories_own(GEO)
        .arguments(&[KEY, MEMBER, RADIUS, UNIT, WITH_COORD, WITH_DIST, WITH_HASH, COUNT, ORDER])
        .doc("As GEORADIUSBYMEMBER, without STORE.", BY_RADIUS),
];
