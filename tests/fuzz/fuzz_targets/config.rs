//! See `tanist_hostile::config`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tanist_hostile::config::read(bytes));
