//! One binary for all tests that see the product from outside.

mod arrows;
mod before_start;
mod browser;
mod by_hand;
mod command_line;
mod crash;
mod floor;
mod hostile;
mod inbox;
mod language;
mod load;
mod mail;
mod monitoring;
mod operations;
mod privacy;
mod road;
mod scenarios;
mod store;
mod takeover;
