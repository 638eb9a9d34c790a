//! See `tanist_hostile::redo`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tanist_hostile::redo::read(bytes));
