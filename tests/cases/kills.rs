//! Real processes that are ended in the middle of a message: nothing that was saved is lost.
//!
//! Two hundred of them: `cargo test -p cuntong-tests --bench kills -- 200`.

use harness::rig::{Moment, Rounds, Target, targets};

/// The first target of that kind and moment.
fn target(kind: &str, moment: Moment) -> Target {
    let found = targets()
        .into_iter()
        .find(|t| t.name() == kind && t.moment == moment);
    found.expect("nodes say it")
}

#[test]
fn a_node_killed_in_the_middle_of_a_message_loses_nothing_and_sends_little_twice() {
    let mut rounds = Rounds::new(7);
    for target in [target("PACK", Moment::Half), target("PROOF", Moment::Came)] {
        let outcome = rounds.round(target);
        assert!(outcome.struck, "{target}: the message was not said");
    }
}
