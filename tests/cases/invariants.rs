//! What must hold whatever happens, each by a name of its own. Where a test elsewhere says it already, it stands
//! there and is named here; [`each_invariant_stands_where_this_list_says`] reads the list.
//!
//! | no. | invariant | where it stands |
//! |--:|---|---|
//! | 1 | equal vectors mean equal documents and digests | `tests/cases/invariants/histories.rs`: `invariant_01_equal_vectors_mean_equal_documents`; over thousands of seeds `tests/cases/histories.rs`: `no_history_loses_or_doubles_a_saved_act` |
//! | 2 | nothing is sent before it is durable: no power cut ever makes two entries of one position | `tests/cases/invariants/histories.rs`: `invariant_02_no_power_cut_makes_two_entries_of_one_position`; at each step of a transaction `node/src/store/contract/disk.rs`: `a_power_cut_at_any_step_of_saving_leaves_all_of_it_or_nothing` |
//! | 3 | a hub, a township or a village restored from any backup loses nothing that anybody acknowledged | `tests/cases/invariants/histories.rs`: `invariant_03_a_machine_restored_from_any_backup_loses_nothing` |
//! | 4 | a clone is told apart before its first entry | `tests/cases/invariants/histories.rs`: `invariant_04_a_cloned_disk_writes_in_an_epoch_of_its_own`; two at once on a line `tests/cases/hostile/sessions.rs`: `greeting_twice_as_two_boots_closes_the_session` |
//! | 5 | a session cut anywhere goes on, batches are whole or absent, at most 64 KiB travel twice | `tests/cases/invariants/lines.rs`: `invariant_05_a_session_cut_at_any_message_goes_on_and_sends_little_twice`; by real processes, within a frame too `tests/cases/kills.rs`: `a_node_killed_in_the_middle_of_a_message_loses_nothing_and_sends_little_twice` |
//! | 6 | doubled, overtaken and replayed messages change nothing | `tests/cases/invariants/lines.rs`: `invariant_06_doubled_and_replayed_messages_change_nothing` |
//! | 7 | logs have no gap, and nobody acknowledges what is not durable | `tests/cases/invariants/histories.rs`: `invariant_07_logs_have_no_gap_and_receipts_are_of_what_is_held` |
//! | 8 | a peer never hears of a scope it may not read, nor any more once it may not | `tests/cases/invariants/lines.rs`: `invariant_08_a_village_hears_of_its_own_scopes_alone_and_of_none_once_they_are_taken_away`; a node struck off the roster `tests/cases/hostile/control.rs`: `what_a_revoked_machine_still_sends_is_quarantined` |
//! | 9 | a hostile change is not applied, not forwarded, panics nothing, spoils no document | `tests/cases/hostile/mutations.rs`: `tens_of_thousands_of_sealed_mutations_leave_the_hub_unharmed`; `protocol/src/gate/tests/mutations.rs`: `tens_of_thousands_of_hostile_changes_end_in_a_refusal_or_a_sound_document` |
//! | 10 | one bad document delays no other | `tests/cases/invariants/refusals.rs`: `invariant_10_a_bad_document_delays_no_other` |
//! | 11 | a refusal is told exactly until a person has dealt with it | `tests/cases/invariants/refusals.rs`: `invariant_11_a_refusal_reaches_its_author_once_through_any_cut`; until it is settled `node/src/store/contract/settling.rs`: `refused_work_is_open_once_until_it_is_settled_once` |
//! | 12 | a proof that does not match ends in equality within two round trips and the data | `protocol/src/sync/tests/repairs.rs`: `a_proof_that_does_not_match_ends_in_equality_in_two_round_trips_whatever_the_peers_version`; with real stores `tests/cases/repairs.rs`: `a_document_damaged_behind_the_stores_back_is_mended_by_the_next_session_and_noted` |
//! | 13 | memory does not grow with the documents, and an idle session has less than 64 KB | `tests/memory/main.rs`: `invariant_13_an_idle_session_has_less_than_64_kb`; `node/src/store/contract/logs.rs`: `memory_does_not_grow_with_the_number_of_documents` |
//! | 14 | a clock that is twenty years wrong stops nothing | `tests/cases/invariants/histories.rs`: `invariant_14_clocks_twenty_years_wrong_stop_nothing` |
//! | 15 | a version before or after this one is spoken with | `protocol/src/sync/tests/rules.rs`: `a_peer_of_the_first_minor_version_is_sent_batches_as_they_are`, `a_newer_minor_version_is_spoken_with`; `protocol/src/wire/codec/tests.rs`: `a_hello_without_the_fields_added_since_is_read` |
//! | 16 | many that return at once all get through, none waits for the last | `tests/cases/invariants/herd.rs`: `invariant_16_a_herd_is_served_side_by_side`; two thousand against a real hub are a benchmark, `storm` |
//! | 17 | elision loses nothing | `protocol/src/wire/pack/tests.rs`: `any_writing_comes_back`, `every_part_of_a_history_of_several_writers_comes_back_byte_for_byte`, `what_remains_of_any_rest_gives_it_back` |
//! | 18 | what was folded comes back byte for byte | `tests/cases/invariants/histories.rs`: `invariant_18_what_was_folded_comes_back_to_the_byte`; in every way entries are told `node/src/store/contract/bodies.rs`: `a_folded_change_is_told_byte_for_byte_in_every_way_entries_are_told` |

mod herd;
mod histories;
mod lines;
mod refusals;

use std::{fs, path::Path};

/// Steps of one history.
const STEPS: usize = 120;

#[test]
fn each_invariant_stands_where_this_list_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let root = root.expect("tests/ lies in the workspace");
    let list = fs::read_to_string(root.join("tests/cases/invariants.rs")).expect("this file");
    let rows = list.lines().filter_map(|l| l.strip_prefix("//! | "));
    let mut numbers = Vec::new();
    for row in rows {
        let Some(number) = row.split(" | ").next().and_then(|n| n.parse::<u32>().ok()) else {
            continue;
        };
        numbers.push(number);
        let (mut file, mut tests) = (String::new(), 0);
        for quoted in row.split('`').skip(1).step_by(2) {
            if quoted.contains('/') {
                let read = fs::read_to_string(root.join(quoted));
                file = read.unwrap_or_else(|e| panic!("{number}: {quoted}: {e}"));
            } else if quoted.contains('_') {
                let test = format!("fn {quoted}(");
                assert!(file.contains(&test), "{number}: no {quoted}");
                tests += 1;
            }
        }
        assert!(tests > 0, "{number} has no test");
    }
    assert_eq!(numbers, (1..=18).collect::<Vec<_>>());
}
