//! One binary for all tests that see the product from outside.

mod road;
