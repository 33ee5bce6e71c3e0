//! The courses a sample case may take: what is done, where, and how many working days in.

use cuntong_protocol::{
    act::{
        Accept, ActBody, Close, Correct, Decide, Deliver, DeliveryWay, Missing, Reason, Refuse,
        Supplement,
    },
    control::Item,
};

/// Which desk acts, in the order of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Desk {
    /// The village, in the morning.
    Village,
    /// The township, while the village's morning is still on its way.
    TownshipUnaware,
    /// The township, in the afternoon.
    Township,
    /// The county, before the day ends.
    County,
}

/// One act of a course.
#[derive(Debug, Clone)]
pub struct Step {
    /// Working days after the papers were taken.
    pub day: u64,
    pub desk: Desk,
    pub body: ActBody,
}

/// How a case goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    Draft,
    Received,
    Correcting,
    /// Corrected, handed in, accepted.
    Supplemented,
    Accepted,
    /// 容缺受理
    WithGaps,
    Reviewing,
    Granted,
    Denied,
    Closed,
    Delivered,
    NotAccepted,
    Withdrawn,
    Terminated,
    /// 即办 at the village.
    OnTheSpot,
    /// 即办 at the township, then delivered.
    AtCounter,
    /// Withdrawn in the village while the township decides, neither knowing of the other.
    Disputed,
}

impl Course {
    /// Each course and how many of a hundred cases take it.
    pub const SHARES: [(Self, u64); 17] = [
        (Self::Delivered, 34),
        (Self::Received, 9),
        (Self::Closed, 8),
        (Self::Accepted, 7),
        (Self::Reviewing, 6),
        (Self::OnTheSpot, 7),
        (Self::AtCounter, 5),
        (Self::Granted, 4),
        (Self::Correcting, 4),
        (Self::Supplemented, 3),
        (Self::WithGaps, 3),
        (Self::Draft, 2),
        (Self::Denied, 2),
        (Self::NotAccepted, 2),
        (Self::Withdrawn, 2),
        (Self::Terminated, 1),
        (Self::Disputed, 1),
    ];

    /// Working days ago that its papers were taken, at least and at most.
    pub const fn age(self) -> (u64, u64) {
        match self {
            Self::Draft => (0, 3),
            Self::Received => (0, 2),
            Self::Correcting => (2, 7),
            Self::Supplemented | Self::Accepted | Self::WithGaps => (5, 14),
            Self::Reviewing => (3, 20),
            Self::Granted | Self::Denied => (5, 15),
            Self::Disputed => (4, 10),
            Self::Closed => (6, 30),
            Self::Delivered
            | Self::NotAccepted
            | Self::Withdrawn
            | Self::Terminated
            | Self::OnTheSpot
            | Self::AtCounter => (8, 40),
        }
    }

    /// Whether a case of that item can take this course; `own`: the township decides it.
    pub fn suits(self, item: &Item, own: bool, at_village: bool) -> bool {
        match self {
            Self::OnTheSpot => at_village && item.on_the_spot,
            Self::AtCounter => own && item.on_the_spot,
            Self::WithGaps => {
                !at_village && item.materials.iter().any(|material| material.deferrable)
            }
            // A county's decision and a village's withdrawal never meet unaware on one day.
            Self::Disputed => own && !at_village,
            Self::Draft
            | Self::Received
            | Self::Correcting
            | Self::Supplemented
            | Self::Accepted
            | Self::Reviewing
            | Self::Granted
            | Self::Denied
            | Self::Closed
            | Self::Delivered
            | Self::NotAccepted
            | Self::Withdrawn
            | Self::Terminated => !at_village,
        }
    }

    /// What happens after the papers were taken.
    pub fn steps(self, item: &Item, own: bool, number: u64) -> Vec<Step> {
        let decider = if own { Desk::Township } else { Desk::County };
        let accept = || step(1, Desk::Township, accept(item, self == Self::WithGaps));
        let review = || {
            step(
                2,
                decider,
                reason(ActBody::Review, "材料齐全,情况属实,拟予办理"),
            )
        };
        let mut all = match self {
            Self::Draft | Self::Received | Self::OnTheSpot => return Vec::new(),
            Self::Correcting => return vec![step(1, Desk::Township, correct())],
            Self::Supplemented => {
                return vec![
                    step(1, Desk::Township, correct()),
                    step(3, Desk::Village, supplement()),
                    step(4, Desk::Township, self::accept(item, false)),
                ];
            }
            Self::NotAccepted => return vec![step(1, Desk::Township, refuse())],
            Self::Withdrawn => {
                let why = "申请人说明情况有变,自愿撤回";
                return vec![
                    accept(),
                    step(2, Desk::Village, reason(ActBody::Withdraw, why)),
                ];
            }
            Self::AtCounter => {
                return vec![
                    step(0, Desk::Township, ActBody::Complete(result(item, number))),
                    step(2, Desk::Village, deliver(number)),
                ];
            }
            Self::Accepted | Self::WithGaps => return vec![accept()],
            Self::Terminated => {
                let why = "申请人死亡,程序终止";
                return vec![
                    accept(),
                    step(4, Desk::Township, reason(ActBody::Terminate, why)),
                ];
            }
            Self::Disputed => {
                let why = "申请人来电要求撤回";
                return vec![
                    accept(),
                    review(),
                    step(3, Desk::Village, reason(ActBody::Withdraw, why)),
                    step(3, Desk::TownshipUnaware, decide(true)),
                ];
            }
            Self::Reviewing | Self::Granted | Self::Denied | Self::Closed | Self::Delivered => {
                vec![accept(), review()]
            }
        };
        let decides = matches!(
            self,
            Self::Granted | Self::Denied | Self::Closed | Self::Delivered
        );
        if decides {
            // One in eight of the finished cases got a no.
            let granted =
                self != Self::Denied && (self == Self::Granted || !number.is_multiple_of(8));
            all.push(step(3, decider, decide(granted)));
        }
        if matches!(self, Self::Closed | Self::Delivered) {
            all.push(step(4, decider, ActBody::Close(result(item, number))));
        }
        if self == Self::Delivered {
            all.push(step(6, Desk::Village, deliver(number)));
        }
        all
    }
}

fn step(day: u64, desk: Desk, body: ActBody) -> Step {
    Step { day, desk, body }
}

fn reason(act: fn(Reason) -> ActBody, text: &str) -> ActBody {
    act(Reason {
        text: text.to_owned(),
    })
}

fn accept(item: &Item, with_gaps: bool) -> ActBody {
    let gaps = (0_u32..)
        .zip(&item.materials)
        .filter(|(_, material)| with_gaps && material.deferrable)
        .map(|(index, _)| index)
        .take(1)
        .collect();
    ActBody::Accept(Accept {
        gaps,
        gap_days: if with_gaps { 5 } else { 0 },
        note: String::new(),
    })
}

fn correct() -> ActBody {
    ActBody::Correct(Correct {
        missing: vec![Missing {
            material: Some(0),
            how: "申请表缺申请人签名,请本人签名或按指印后补交".to_owned(),
        }],
        days: 10,
    })
}

fn supplement() -> ActBody {
    ActBody::Supplement(Supplement {
        materials: vec![0],
        note: "已补签名".to_owned(),
    })
}

fn refuse() -> ActBody {
    ActBody::Refuse(Refuse {
        reason: "申请事项不属于本机关职权范围".to_owned(),
        basis: "《中华人民共和国行政许可法》第三十二条".to_owned(),
        competent: "请向事项主管部门提出申请".to_owned(),
    })
}

fn decide(granted: bool) -> ActBody {
    let (reason, remedies) = if granted {
        ("", "")
    } else {
        (
            "经核对,家庭经济状况不符合规定条件",
            "可在收到决定之日起六十日内申请行政复议,或六个月内提起行政诉讼",
        )
    };
    ActBody::Decide(Decide {
        granted,
        reason: reason.to_owned(),
        remedies: remedies.to_owned(),
    })
}

fn result(item: &Item, number: u64) -> Close {
    Close {
        result: format!("{}办理结果", item.name),
        result_number: format!("样例〔2026〕{number}号"),
    }
}

fn deliver(number: u64) -> ActBody {
    let way = match number % 3 {
        0 => DeliveryWay::Collected,
        1 => DeliveryWay::Mailed,
        _ => DeliveryWay::Electronic,
    };
    ActBody::Deliver(Deliver {
        way,
        receiver: None,
        note: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_of_all_courses_make_a_hundred() {
        assert_eq!(
            Course::SHARES.iter().map(|(_, share)| share).sum::<u64>(),
            100
        );
    }

    #[test]
    fn no_course_is_longer_than_its_case_is_old() {
        let item = &cuntong_protocol::control::catalogue::from_csv(
            cuntong_protocol::control::sample::ITEMS_CSV,
        )
        .unwrap()[0];
        for (course, _share) in Course::SHARES {
            let last = course
                .steps(item, true, 1)
                .iter()
                .map(|step| step.day)
                .max()
                .unwrap_or(0);
            assert!(last <= course.age().0, "{course:?}");
        }
    }
}
