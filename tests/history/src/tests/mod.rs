//! The checker is compared with one that tries everything, is shown faults, and is given much to do.

mod all_orders;
mod large;
mod planted;
mod played;
