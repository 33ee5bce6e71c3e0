//! 人员: who works at a site, in which roles, and how they sign in there.

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, phc::PasswordHash},
};

use cuntong_protocol::{
    control::{Credentials, Login, Person, signed::Body},
    id::{PersonId, SiteId},
    role::{Level, Role},
    time::Millis,
};

use super::{COUNTY_WIDE, County, CountyError};
use crate::entropy::Entropy;

/// Characters a password has at least.
pub const PASSWORD_CHARS_MIN: usize = 8;
/// Characters a password has at most; more only cost the hasher time.
pub const PASSWORD_CHARS_MAX: usize = 128;
/// What people choose first.
const COMMON: [&str; 12] = [
    "12345678",
    "123456789",
    "1234567890",
    "11111111",
    "88888888",
    "66666666",
    "00000000",
    "password",
    "qwertyui",
    "abc12345",
    "a1234567",
    "woaini1314",
];

/// What Argon2id costs whoever guesses passwords, and a node at each sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashCost {
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
}

impl HashCost {
    /// For real people: 64 MiB, three passes; some 140 ms.
    pub const FULL: Self = Self {
        memory_kib: 64 * 1024,
        passes: 3,
        lanes: 1,
    };
    /// For tests and sample counties only, where a thousand sign-ins must not take minutes.
    pub const SAMPLE: Self = Self {
        memory_kib: 64,
        passes: 1,
        lanes: 1,
    };
}

/// A person to be entered.
#[derive(Clone)]
pub struct NewPerson {
    pub site: SiteId,
    pub name: String,
    /// Unique in the county, whatever its case.
    pub login: String,
    pub roles: Vec<Role>,
    pub password: String,
    /// Last moment of a temporary post.
    pub until: Option<Millis>,
}

/// Why a person was not entered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PersonError {
    #[error("至少要有一个岗位")]
    NoRole,
    #[error("{}设不了“{}”岗位", .1.zh(), .0.zh())]
    RoleDoesNotFit(Role, Level),
    #[error("登录名已被占用")]
    LoginTaken,
    #[error("没有这个登录名")]
    NoSuchLogin,
    #[error("登录名为 2 至 64 个汉字、字母、数字或 . _ - @")]
    BadLogin,
    #[error("口令为 {PASSWORD_CHARS_MIN} 至 {PASSWORD_CHARS_MAX} 个字符")]
    PasswordLength,
    #[error("口令太常见,请换一个")]
    PasswordGuessed,
    #[error("口令摘要失败:{0}")]
    Hashing(String),
}

impl County {
    /// Enters a person and the login for their site.
    pub fn add_person(
        &mut self,
        person: NewPerson,
        entropy: &mut impl Entropy,
        now: Millis,
    ) -> Result<PersonId, CountyError> {
        let level = self
            .trust
            .places()
            .site(person.site)
            .map(|place| place.level)
            .ok_or_else(|| CountyError::NoSuchPlace(person.site.to_string()))?;
        check_roles(&person.roles, level)?;
        check_login(&person.login)?;
        check_password(&person.password, &person.login)?;
        if self.login(&person.login).is_some() {
            return Err(PersonError::LoginTaken.into());
        }
        let id = PersonId(entropy.bytes());
        let mut directory = self.trust.directory().clone();
        directory.people.push(Person {
            id,
            name: person.name,
            site: person.site,
            roles: person.roles,
            until: person.until,
        });
        let directory = Body::Directory(directory);
        directory.check()?;
        let phc = hash(&person.password, self.cost, entropy)?;
        // Logins first: one of a person nobody knows lets nobody in, and the next entry of the
        // same login takes its place.
        let mut logins = self.logins_of_known(person.site);
        logins.push(Login {
            person: id,
            login: person.login,
            phc,
            version: 1,
        });
        self.say(person.site, &Body::Credentials(Credentials { logins }), now)?;
        self.say(COUNTY_WIDE, &directory, now)?;
        Ok(id)
    }

    /// Gives a login a new password; it reaches the site's nodes like any document.
    pub fn set_password(
        &mut self,
        login: &str,
        password: &str,
        entropy: &mut impl Entropy,
        now: Millis,
    ) -> Result<PersonId, CountyError> {
        let (site, person) = self.login(login).ok_or(PersonError::NoSuchLogin)?;
        check_password(password, login)?;
        let phc = hash(password, self.cost, entropy)?;
        let mut logins = self.logins_of_known(site);
        for held in logins.iter_mut().filter(|l| l.person == person) {
            held.phc.clone_from(&phc);
            held.version += 1;
        }
        self.say(site, &Body::Credentials(Credentials { logins }), now)?;
        Ok(person)
    }

    /// Ends a person's time at the desk at `until`: what they do later is not theirs to do.
    pub fn end_person(
        &mut self,
        login: &str,
        until: Millis,
        now: Millis,
    ) -> Result<PersonId, CountyError> {
        let (_site, person) = self.login(login).ok_or(PersonError::NoSuchLogin)?;
        let mut directory = self.trust.directory().clone();
        for held in directory.people.iter_mut().filter(|p| p.id == person) {
            held.until = Some(until);
        }
        self.say(COUNTY_WIDE, &Body::Directory(directory), now)?;
        Ok(person)
    }

    /// The login of a person.
    pub fn login_of(&self, person: &Person) -> Option<&str> {
        let credentials = self.trust.credentials(person.site)?;
        let login = credentials.logins.iter().find(|l| l.person == person.id)?;
        Some(&login.login)
    }

    /// Site and person of a login whose person is known.
    fn login(&self, login: &str) -> Option<(SiteId, PersonId)> {
        let places = &self.trust.places().sites;
        places.iter().find_map(|place| {
            let logins = &self.trust.credentials(place.site)?.logins;
            let held = logins
                .iter()
                .find(|l| l.login.eq_ignore_ascii_case(login))?;
            self.trust.directory().person(held.person)?;
            Some((place.site, held.person))
        })
    }

    fn logins_of_known(&self, site: SiteId) -> Vec<Login> {
        let mut logins = self
            .trust
            .credentials(site)
            .map_or_else(Vec::new, |c| c.logins.clone());
        logins.retain(|l| self.trust.directory().person(l.person).is_some());
        logins
    }
}

fn check_roles(roles: &[Role], level: Level) -> Result<(), PersonError> {
    if roles.is_empty() {
        return Err(PersonError::NoRole);
    }
    let misfit = roles.iter().find(|role| match role {
        Role::Agent => level != Level::Village,
        Role::Clerk => level != Level::Township,
        Role::CountyClerk => level != Level::County,
        Role::Decider => level == Level::Village,
        Role::Publisher | Role::Supervisor | Role::Administrator => false,
    });
    misfit.map_or(Ok(()), |role| {
        Err(PersonError::RoleDoesNotFit(*role, level))
    })
}

fn check_login(login: &str) -> Result<(), PersonError> {
    let good = |c: char| c.is_alphanumeric() || "._-@".contains(c);
    if (2..=64).contains(&login.chars().count()) && login.chars().all(good) {
        Ok(())
    } else {
        Err(PersonError::BadLogin)
    }
}

fn check_password(password: &str, login: &str) -> Result<(), PersonError> {
    if !(PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&password.chars().count()) {
        return Err(PersonError::PasswordLength);
    }
    let lower = password.to_lowercase();
    if COMMON.contains(&lower.as_str()) || lower == login.to_lowercase() {
        return Err(PersonError::PasswordGuessed);
    }
    Ok(())
}

/// Argon2id in PHC form, salted by chance.
pub fn hash(
    password: &str,
    cost: HashCost,
    entropy: &mut impl Entropy,
) -> Result<String, PersonError> {
    let failed = |e: &dyn std::fmt::Display| PersonError::Hashing(e.to_string());
    let params =
        Params::new(cost.memory_kib, cost.passes, cost.lanes, None).map_err(|e| failed(&e))?;
    let salt: [u8; 16] = entropy.bytes();
    let phc: PasswordHash = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map_err(|e| failed(&e))?;
    Ok(phc.to_string())
}
