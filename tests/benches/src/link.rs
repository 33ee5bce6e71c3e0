//! Two network namespaces joined by a user-space wire: whatever speaks IP can be run in them.
//!
//! The hub's namespace has 10.77.0.1/24, the node's 10.77.0.2/24, each on a TUN device whose
//! packets one thread a direction carries through a [`Shaper`]. Needs root and `ip` of iproute2.

use std::{
    net::Ipv4Addr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use serde::Serialize;
use tun_rs::{DeviceBuilder, SyncDevice};

use crate::{
    profile::{Cut, MTU, Profile},
    shaper::{Counters, Seen, Shaper},
    signals,
};

/// Address of the hub in its namespace.
pub const HUB: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// Address of the node in its namespace.
pub const NODE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
/// Namespaces are named by this, the process and a number of its own.
const PREFIX: &str = "ctb";
/// The device in the namespaces of a link, and of one below it.
const WIRES: [&str; 2] = ["wire", "lower"];
/// Packets taken from a device before those due are sent on.
const BURST: usize = 64;
/// Longest a thread waits when nothing is due.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// An end of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Hub,
    Node,
}

/// What both directions carried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Carried {
    /// From the node to the hub.
    pub up: Counters,
    pub down: Counters,
}

/// A direction and what wakes its thread.
#[derive(Debug)]
struct Lane {
    shaper: Mutex<Shaper>,
    wake: OwnedFd,
}

#[derive(Debug)]
struct Shared {
    began: Instant,
    up: Lane,
    down: Lane,
    cuts: Mutex<Vec<Cut>>,
    stop: AtomicBool,
}

/// A running link. Dropped, it takes its namespaces away.
#[derive(Debug)]
pub struct Link {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    spaces: [String; 2],
    /// The hub's end is the node's end of another link, whose namespace it is.
    below: bool,
}

impl Link {
    /// Whether this process may make links; the reason when not.
    ///
    /// # Errors
    /// Not root, no `ip`, no TUN.
    pub fn possible() -> Result<()> {
        if !rustix::process::geteuid().is_root() {
            bail!("only root makes network namespaces");
        }
        if !Path::new("/dev/net/tun").exists() {
            bail!("there is no /dev/net/tun");
        }
        ip(&["-V"]).map(drop)
    }

    /// Makes the namespaces and begins to carry.
    ///
    /// # Errors
    /// See [`Link::possible`]; the kernel's own.
    pub fn start(profile: &Profile) -> Result<Self> {
        Self::lay_out(profile, None)
    }

    /// A second link, whose hub's end is the node's end of this one: 10.77.1.1, and 10.77.1.2
    /// beyond it.
    ///
    /// # Errors
    /// See [`Link::start`].
    pub fn start_below(&self, profile: &Profile) -> Result<Self> {
        Self::lay_out(profile, Some(self.space(Side::Node)))
    }

    fn lay_out(profile: &Profile, below: Option<&str>) -> Result<Self> {
        Self::possible()?;
        sweep();
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let space = |end| format!("{PREFIX}{}-{number}{end}", std::process::id());
        let mut link = Self {
            shared: Arc::new(Shared {
                began: Instant::now(),
                up: Lane::new(Shaper::new(profile.up, profile.seed))?,
                down: Lane::new(Shaper::new(profile.down, profile.seed ^ 0x5555))?,
                cuts: Mutex::new(profile.cuts.clone()),
                stop: AtomicBool::new(false),
            }),
            threads: Vec::new(),
            spaces: [below.map_or_else(|| space("a"), str::to_owned), space("b")],
            below: below.is_some(),
        };
        let hub = Arc::new(link.lay(Side::Hub)?);
        let node = Arc::new(link.lay(Side::Node)?);
        for (up, from, to) in [(true, &node, &hub), (false, &hub, &node)] {
            let (shared, from, to) = (link.shared.clone(), from.clone(), to.clone());
            let thread = std::thread::Builder::new()
                .name(if up { "up" } else { "down" }.into())
                .spawn(move || carry(&shared, up, &from, &to))?;
            link.threads.push(thread);
        }
        Ok(link)
    }

    /// The device of one end, in its namespace.
    fn lay(&self, side: Side) -> Result<SyncDevice> {
        let (space, wire) = (self.space(side), self.wire());
        // The namespace's own name would be longer than the 15 bytes of a device's.
        let name = match side {
            Side::Hub => self.space(Side::Node).replace(PREFIX, "h"),
            Side::Node => space.replace(PREFIX, "t"),
        };
        if side == Side::Node || !self.below {
            make_space(space)?;
        }
        let device = DeviceBuilder::new()
            .name(&name)
            .mtu(MTU as u16)
            .build_sync()
            .context("a TUN device")?;
        device.set_nonblocking(true)?;
        ip(&["link", "set", &name, "netns", space])?;
        ip(&["-n", space, "link", "set", &name, "name", wire])?;
        let address = format!("{}/24", self.address(side));
        ip(&["-n", space, "addr", "add", &address, "dev", wire])?;
        let mtu = MTU.to_string();
        ip(&["-n", space, "link", "set", wire, "mtu", &mtu, "up"])?;
        Ok(device)
    }

    const fn wire(&self) -> &'static str {
        WIRES[self.below as usize]
    }

    /// Address of one end.
    pub const fn address(&self, side: Side) -> Ipv4Addr {
        let at = match side {
            Side::Hub => HUB,
            Side::Node => NODE,
        };
        let [a, b, net, last] = at.octets();
        Ipv4Addr::new(a, b, net + self.below as u8, last)
    }

    /// Name of the namespace of one end.
    pub fn space(&self, side: Side) -> &str {
        match side {
            Side::Hub => &self.spaces[0],
            Side::Node => &self.spaces[1],
        }
    }

    /// A command that runs at one end.
    pub fn command_in(&self, side: Side) -> Command {
        let mut command = Command::new("ip");
        let _same = command.args(["netns", "exec", self.space(side)]);
        command
    }

    /// Time since the link began.
    pub fn now(&self) -> Duration {
        self.shared.began.elapsed()
    }

    /// What was carried since the last reset.
    pub fn counters(&self) -> Carried {
        Carried {
            up: lock(&self.shared.up.shaper).counters(),
            down: lock(&self.shared.down.shaper).counters(),
        }
    }

    /// Notes every packet from now on.
    pub fn begin_trace(&self) {
        lock(&self.shared.up.shaper).begin_trace();
        lock(&self.shared.down.shaper).begin_trace();
    }

    /// What was noted: up, down.
    pub fn end_trace(&self) -> (Vec<Seen>, Vec<Seen>) {
        (
            lock(&self.shared.up.shaper).end_trace(),
            lock(&self.shared.down.shaper).end_trace(),
        )
    }

    /// Counts from nothing.
    pub fn reset(&self) {
        lock(&self.shared.up.shaper).reset();
        lock(&self.shared.down.shaper).reset();
    }

    /// Another line from now on, but for the cuts.
    pub fn set_profile(&self, profile: &Profile) {
        lock(&self.shared.up.shaper).set_way(profile.up);
        lock(&self.shared.down.shaper).set_way(profile.down);
        self.wake();
    }

    /// Cuts that come, as times since the link began.
    pub fn set_cuts(&self, cuts: Vec<Cut>) {
        *lock(&self.shared.cuts) = cuts;
        self.wake();
    }

    /// Cuts the line or joins it; nobody is told.
    pub fn cut(&self, cut: bool) {
        lock(&self.shared.up.shaper).set_cut(cut);
        lock(&self.shared.down.shaper).set_cut(cut);
        self.wake();
    }

    /// Drops UDP from now on, or lets it pass again.
    pub fn block_udp(&self, block: bool) {
        lock(&self.shared.up.shaper).set_block_udp(block);
        lock(&self.shared.down.shaper).set_block_udp(block);
    }

    /// Plugs the cable of one end in or out: its system knows of it and has no route.
    ///
    /// # Errors
    /// The kernel's.
    pub fn plug(&self, side: Side, plugged: bool) -> Result<()> {
        let state = if plugged { "up" } else { "down" };
        ip(&["-n", self.space(side), "link", "set", self.wire(), state]).map(drop)
    }

    fn wake(&self) {
        self.shared.up.wake();
        self.shared.down.wake();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.wake();
        for thread in self.threads.drain(..) {
            let _panicked = thread.join();
        }
        for space in self.spaces.iter().skip(usize::from(self.below)) {
            signals::remove_space(space);
        }
    }
}

impl Lane {
    fn new(shaper: Shaper) -> Result<Self> {
        Ok(Self {
            shaper: Mutex::new(shaper),
            wake: eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?,
        })
    }

    fn wake(&self) {
        let _full = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

/// Carries one direction until the link stops.
fn carry(shared: &Shared, up: bool, from: &SyncDevice, to: &SyncDevice) {
    let lane = if up { &shared.up } else { &shared.down };
    let mut buffer = vec![0; MTU + 200];
    let mut was_cut = false;
    while !shared.stop.load(Ordering::SeqCst) {
        let now = shared.began.elapsed();
        let (cut, change) = scheduled(&lock(&shared.cuts), now);
        let next = {
            let mut shaper = lock(&lane.shaper);
            if cut != was_cut {
                shaper.set_cut(cut);
                was_cut = cut;
            }
            for _packet in 0..BURST {
                let Ok(length) = from.recv(&mut buffer) else {
                    break;
                };
                // What is not IPv4 is the kernel's own talk.
                if buffer.first().is_some_and(|first| first >> 4 == 4) {
                    shaper.push(shared.began.elapsed(), buffer[..length].to_vec());
                }
            }
            let now = shared.began.elapsed();
            while let Some(packet) = shaper.pop(now) {
                // A device that is down takes nothing, as a socket nobody holds.
                let _down = to.send(&packet);
            }
            shaper.next_due()
        };
        let until = [next, change].into_iter().flatten().min();
        wait(from.as_fd(), lane.wake.as_fd(), shared.began, until);
    }
}

/// Waits for a packet, a wake-up, or the time.
fn wait(device: BorrowedFd<'_>, wake: BorrowedFd<'_>, began: Instant, until: Option<Duration>) {
    let now = began.elapsed();
    let wait = until.map_or(LOOK_EVERY, |until| {
        until.saturating_sub(now).min(LOOK_EVERY)
    });
    let timeout = Timespec {
        tv_sec: wait.as_secs() as i64,
        tv_nsec: i64::from(wait.subsec_nanos()),
    };
    let mut fds = [
        PollFd::from_borrowed_fd(device, PollFlags::IN),
        PollFd::from_borrowed_fd(wake, PollFlags::IN),
    ];
    let _interrupted = poll(&mut fds, Some(&timeout));
    let _none = rustix::io::read(wake, &mut [0; 8]);
}

/// Whether the line is cut by now, and when that changes next.
fn scheduled(cuts: &[Cut], now: Duration) -> (bool, Option<Duration>) {
    let cut = cuts.iter().any(|cut| cut.from <= now && now < cut.until);
    let ends = cuts.iter().flat_map(|cut| [cut.from, cut.until]);
    (cut, ends.filter(|at| *at > now).min())
}

/// A namespace in which nothing speaks that was not asked to.
fn make_space(space: &str) -> Result<()> {
    ip(&["netns", "add", space])?;
    signals::note_space(space);
    let quiet = "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6";
    run(Command::new("ip").args(["netns", "exec", space, "sh", "-c", quiet]))?;
    ip(&["-n", space, "link", "set", "lo", "up"]).map(drop)
}

/// Takes away what earlier processes left when they were killed.
fn sweep() {
    let Ok(list) = ip(&["netns", "list"]) else {
        return;
    };
    for name in list.lines().filter_map(|line| line.split(' ').next()) {
        let id = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next())
            .filter(|id| id.parse::<u32>().is_ok());
        if id.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            signals::remove_space(name);
        }
    }
}

fn ip(arguments: &[&str]) -> Result<String> {
    run(Command::new("ip").args(arguments))
}

/// Runs a command to its end and answers what it printed.
fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        bail!("{command:?}: {said}");
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_come_and_go_at_their_times() {
        let s = Duration::from_secs;
        let cuts = [
            Cut {
                from: s(10),
                until: s(13),
            },
            Cut {
                from: s(20),
                until: s(23),
            },
        ];
        assert_eq!(scheduled(&cuts, s(0)), (false, Some(s(10))));
        assert_eq!(scheduled(&cuts, s(10)), (true, Some(s(13))));
        assert_eq!(scheduled(&cuts, s(13)), (false, Some(s(20))));
        assert_eq!(scheduled(&cuts, s(30)), (false, None));
    }
}
