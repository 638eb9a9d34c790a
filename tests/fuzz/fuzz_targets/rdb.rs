//! See `tanist_hostile::rdb`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tanist_hostile::rdb::read(bytes));
