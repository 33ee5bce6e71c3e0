//! What became true here and every session with another node must hear: entries that are durable,
//! receipts, refusals, newer control documents.
//!
//! News goes to those it concerns and wakes nobody else: where a thousand villages are connected,
//! what one of them brings is no news to the others.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cuntong_protocol::{
    id::Scope,
    log::{LogHead, LogId},
    sync::Input,
};
use tokio::sync::mpsc;

/// News kept for a session that is slow to hear; one that falls further behind begins anew.
const KEPT: usize = 4_096;

/// The place where news is told. Clones are the same place.
#[derive(Debug, Clone, Default)]
pub struct News(Arc<Mutex<Room>>);

/// Who tells: a session does not hear its own news again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Teller(u64);

impl Teller {
    /// This very node, by a person's hand.
    pub const DESK: Self = Self(0);
}

/// Those who listen, and what each asked to hear of.
#[derive(Debug, Default)]
struct Room {
    last: u64,
    hearers: BTreeMap<Teller, mpsc::Sender<Vec<Input>>>,
    by_scope: BTreeMap<Scope, BTreeSet<Teller>>,
    /// Those who speak with nodes above: they pass on what is heard of nodes below.
    upward: BTreeSet<Teller>,
}

/// Hears until dropped.
#[derive(Debug)]
pub struct Hearing {
    news: News,
    teller: Teller,
    scopes: Vec<Scope>,
    told: mpsc::Receiver<Vec<Input>>,
}

impl News {
    /// Tells everybody else whom it concerns.
    pub fn tell(&self, from: Teller, inputs: Vec<Input>) {
        // Nobody listening is the usual state of a node on its own.
        if inputs.is_empty() {
            return;
        }
        let mut room = self.room();
        let mut letters: BTreeMap<Teller, Vec<Input>> = BTreeMap::new();
        for input in &inputs {
            for (teller, part) in room.deal(input) {
                letters.entry(teller).or_default().push(part);
            }
        }
        let _own = letters.remove(&from);
        for (teller, letter) in letters {
            let kept = room.hearers.get(&teller).map(|h| h.try_send(letter));
            if !matches!(kept, Some(Ok(()))) {
                // It hears of that by the end of its channel, after what it was told before.
                let _behind = room.hearers.remove(&teller);
            }
        }
    }

    /// Entries became durable by a person's hand.
    pub fn committed(&self, heads: Vec<(LogId, LogHead)>) {
        if !heads.is_empty() {
            self.tell(Teller::DESK, vec![Input::Committed(heads)]);
        }
    }

    /// A control document was replaced by a newer one.
    pub fn controls_changed(&self) {
        self.tell(Teller::DESK, vec![Input::ControlsChanged]);
    }

    /// Asks the session with a node above whether both agree, once it has heard what was told before.
    pub fn ask(&self, question: u64) {
        self.tell(Teller::DESK, vec![Input::Ask(question)]);
    }

    /// Hears from now on what concerns everybody; more with [`Hearing::of`].
    pub fn listen(&self) -> Hearing {
        let (sender, told) = mpsc::channel(KEPT);
        let mut room = self.room();
        room.last += 1;
        let teller = Teller(room.last);
        let _new = room.hearers.insert(teller, sender);
        drop(room);
        Hearing {
            news: self.clone(),
            teller,
            scopes: Vec::new(),
            told,
        }
    }

    /// Whoever panicked while telling left a list of hearers as good as it was.
    fn room(&self) -> MutexGuard<'_, Room> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hearing {
    /// A name for whoever hears here, to tell news of its own by.
    pub const fn teller(&self) -> Teller {
        self.teller
    }

    /// Hears of these scopes as well and, if `upward`, of nodes below.
    pub fn of(&mut self, scopes: impl IntoIterator<Item = Scope>, upward: bool) {
        let mut room = self.news.room();
        for scope in scopes {
            if room.by_scope.entry(scope).or_default().insert(self.teller) {
                self.scopes.push(scope);
            }
        }
        if upward {
            room.upward.insert(self.teller);
        }
    }

    /// Waits for the next news, and takes what else is there by then. `None`: fell too far behind;
    /// what was missed may have been anything. May be given up and asked again.
    pub async fn next(&mut self) -> Option<Vec<Input>> {
        let mut inputs = self.told.recv().await?;
        while let Ok(more) = self.told.try_recv() {
            inputs.extend(more);
        }
        Some(inputs)
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        let mut room = self.news.room();
        let _gone = room.hearers.remove(&self.teller);
        room.upward.remove(&self.teller);
        for scope in &self.scopes {
            if let Some(hearers) = room.by_scope.get_mut(scope) {
                hearers.remove(&self.teller);
                if hearers.is_empty() {
                    let _nobody = room.by_scope.remove(scope);
                }
            }
        }
    }
}

impl Room {
    /// The part of some news that concerns each.
    fn deal(&self, input: &Input) -> Vec<(Teller, Input)> {
        match input {
            Input::Committed(heads) => {
                self.by_scope(heads, |(log, _)| vec![log.scope], Input::Committed)
            }
            Input::Receipts(receipts) => self.by_scope(
                receipts,
                |receipt| receipt.held.iter().map(|(log, _)| log.scope).collect(),
                Input::Receipts,
            ),
            Input::Rejections(rejections) => {
                self.by_scope(rejections, |r| vec![r.log.scope], Input::Rejections)
            }
            Input::Seen(_) | Input::Ask(_) => self.whole(self.upward.iter(), input),
            Input::Connected
            | Input::Start(_)
            | Input::Busy(_)
            | Input::Message(_)
            | Input::Batch(..)
            | Input::Admitted(_)
            | Input::Packed(_)
            | Input::Unpacked(_)
            | Input::Whole(_)
            | Input::Snap(_)
            | Input::SnapTaken(_)
            | Input::Signed(_)
            | Input::Controls(_)
            | Input::ControlTaken
            | Input::Digests(_)
            | Input::Heads(..)
            | Input::DocBatches(_)
            | Input::Sketch(_)
            | Input::ControlsChanged
            | Input::Scopes { .. }
            | Input::Tick
            | Input::Stop => self.whole(self.hearers.keys(), input),
        }
    }

    fn whole<'t>(
        &self,
        to: impl Iterator<Item = &'t Teller>,
        input: &Input,
    ) -> Vec<(Teller, Input)> {
        to.map(|teller| (*teller, input.clone())).collect()
    }

    /// Sorts a list to those who asked for the scopes that each item is about.
    fn by_scope<T: Clone>(
        &self,
        items: &[T],
        scopes: impl Fn(&T) -> Vec<Scope>,
        input: impl Fn(Vec<T>) -> Input,
    ) -> Vec<(Teller, Input)> {
        let mut parts: BTreeMap<Teller, Vec<T>> = BTreeMap::new();
        for item in items {
            let hearers: BTreeSet<Teller> = scopes(item)
                .iter()
                .filter_map(|scope| self.by_scope.get(scope))
                .flatten()
                .copied()
                .collect();
            for teller in hearers {
                parts.entry(teller).or_default().push(item.clone());
            }
        }
        let parts = parts.into_iter();
        parts.map(|(teller, part)| (teller, input(part))).collect()
    }
}

#[cfg(test)]
mod tests {
    use cuntong_protocol::id::{Kind, NodeId, SiteId, Writer};

    use super::*;

    fn head(site: u32) -> (LogId, LogHead) {
        let log = LogId {
            scope: scope(site),
            writer: Writer {
                node: NodeId([1; 8]),
                epoch: 1,
            },
        };
        (log, LogHead::START)
    }

    fn scope(site: u32) -> Scope {
        Scope {
            kind: Kind::Application,
            site: SiteId(site),
        }
    }

    fn told(hearing: &mut Hearing) -> Vec<Input> {
        let mut all = Vec::new();
        while let Ok(inputs) = hearing.told.try_recv() {
            all.extend(inputs);
        }
        all
    }

    #[test]
    fn each_hears_what_concerns_it_and_nobody_his_own() {
        let news = News::default();
        let [mut shiqiao, mut qingxi, mut hub] = [(); 3].map(|()| news.listen());
        shiqiao.of([scope(3)], false);
        qingxi.of([scope(4)], false);
        hub.of([scope(3), scope(4)], true);
        news.committed(vec![head(3), head(4)]);
        news.tell(qingxi.teller(), vec![Input::Seen(Vec::new())]);
        news.tell(shiqiao.teller(), vec![Input::ControlsChanged]);
        assert_eq!(told(&mut shiqiao), [Input::Committed(vec![head(3)])]);
        assert_eq!(
            told(&mut qingxi),
            [Input::Committed(vec![head(4)]), Input::ControlsChanged]
        );
        assert_eq!(
            told(&mut hub),
            [
                Input::Committed(vec![head(3), head(4)]),
                Input::Seen(Vec::new()),
                Input::ControlsChanged
            ]
        );
    }

    #[test]
    fn whoever_falls_too_far_behind_is_told_so_and_holds_up_nobody() {
        let news = News::default();
        let (mut slow, mut quick) = (news.listen(), news.listen());
        for _one in 0..=KEPT {
            news.controls_changed();
            assert_eq!(told(&mut quick), [Input::ControlsChanged]);
        }
        assert_eq!(told(&mut slow).len(), KEPT);
        assert!(slow.told.is_closed());
    }

    #[test]
    fn nothing_is_left_of_those_who_went() {
        let news = News::default();
        let mut hearing = news.listen();
        hearing.of([scope(3), scope(3)], true);
        drop(hearing);
        let room = news.room();
        assert!(room.hearers.is_empty() && room.by_scope.is_empty() && room.upward.is_empty());
    }
}
