//! See `tanist_hostile::restore`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tanist_hostile::restore::read(bytes));
