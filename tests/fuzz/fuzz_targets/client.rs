//! See `tanist_hostile::client`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tanist_hostile::client::read(bytes));
