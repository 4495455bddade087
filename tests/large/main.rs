//! Large content: streamed, resumed, bounded in memory, and never in the way of what is urgent.
//!
//! [`uploads`] and [`pulls`] break transfers in every way and measure what is sent again; [`commands`] does the same
//! with the program as a person uses it; [`flash`] sends urgent messages past transfers that do not move, [`busy`] past
//! a disk that has no time; [`room`] lets a disk get full; [`limits`]
//! asks for too much; [`processes`] measures and kills nodes that are processes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod busy;
mod commands;
#[path = "../common/mod.rs"]
mod common;
mod flash;
mod limits;
mod processes;
mod proxy;
mod pulls;
mod room;
mod stage;
mod uploads;
