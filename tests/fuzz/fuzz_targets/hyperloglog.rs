//! See `tanist_hostile::hyperloglog`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tanist_hostile::hyperloglog::read(bytes));
