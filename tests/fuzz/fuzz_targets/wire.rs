//! See `tanist_hostile::wire`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tanist_hostile::wire::read(bytes));
