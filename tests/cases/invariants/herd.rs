//! Many at once.

use std::collections::BTreeMap;

use harness::{
    county,
    world::{Trick, World},
};

const CASES: usize = 60;
const HUB: usize = 0;
/// Messages a machine handles before it looks at the next line.
const TURN: usize = 1;

#[test]
fn invariant_16_a_herd_is_served_side_by_side() {
    let sites = [
        ("云麓县", county::HUB),
        ("北乡镇", county::BEIXIANG),
        ("南乡镇", county::NANXIANG),
        ("石桥村", county::SHIQIAO),
        ("青溪村", county::QINGXI),
        ("柳塘村", county::LIUTANG),
    ];
    // Everybody calls the hub itself.
    let lines: Vec<_> = (1..sites.len()).map(|at| (at, HUB)).collect();
    for seed in 1..=2 {
        let mut world = World::new(seed, &sites, &lines);
        for at in 1..sites.len() {
            for _case in 0..CASES {
                world.log_case(at);
            }
        }
        for line in 0..lines.len() {
            world.lines[line].plugged = true;
            assert!(world.call(line));
        }
        let mut through: BTreeMap<usize, usize> = BTreeMap::new();
        for turn in 0..1_000 {
            for line in 0..lines.len() {
                for _message in 0..TURN {
                    for end in [1, 0] {
                        let _delivered = world.deliver(line, end, Trick::None);
                    }
                }
                let waits = world.db(line + 1).waiting().expect("it reads").count;
                if waits == 0 {
                    let _first = through.entry(line).or_insert(turn);
                }
            }
            if through.len() == lines.len() {
                break;
            }
        }
        assert_eq!(through.len(), lines.len(), "seed {seed}: all got through");
        let (first, last) = (through.values().min(), through.values().max());
        assert!(
            last <= first.map(|turn| turn * 2 + 4).as_ref(),
            "seed {seed}: nobody waits for another's work: {through:?}"
        );
        world.settle();
        world.check();
    }
}
