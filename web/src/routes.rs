//! Every URL, one line each: method, address, who may open it, what answers. The router is made
//! from this table and the tests walk it.

use axum::{
    Router,
    extract::DefaultBodyLimit,
    handler::Handler,
    http::Method,
    middleware,
    routing::{MethodRouter, get, post},
};
use cuntong_protocol::role::Role;

use crate::{
    App, assets, board, case,
    desk::Desk,
    files,
    guard::{self, Access},
    home, intake, items, nodes, notices,
    page::{self, Failure},
    paper, queue, sign_in, sticks, sync, today, tray,
};

/// Who logs cases.
pub(crate) const LOGS: Access = Access::Roles(&[Role::Agent, Role::Clerk, Role::CountyClerk]);
/// Who acts on cases.
pub(crate) const WORKS: Access = Access::Roles(page::WORKERS);
/// Who reads cases: everybody who works on them, and those who watch.
pub(crate) const READS: Access = Access::Roles(&[
    Role::Agent,
    Role::Clerk,
    Role::Decider,
    Role::CountyClerk,
    Role::Supervisor,
]);
/// Who writes notices.
pub(crate) const PUBLISHES: Access = Access::Roles(&[Role::Publisher]);

/// Who settles what came back: everybody who writes; the rules ask for the right for the act.
pub(crate) const SETTLES: Access = Access::Roles(&[
    Role::Agent,
    Role::Clerk,
    Role::Decider,
    Role::CountyClerk,
    Role::Publisher,
]);

/// Who carries sticks: everybody who works on cases, and who keeps the machine. What lies on a stick
/// is sealed; nobody reads it by carrying it.
pub(crate) const CARRIES: Access = Access::Roles(&[
    Role::Agent,
    Role::Clerk,
    Role::Decider,
    Role::CountyClerk,
    Role::Administrator,
]);

/// One URL.
pub(crate) struct Route<D> {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) access: Access,
    handler: MethodRouter<App<D>>,
}

fn show<D: Desk, H, T>(path: &str, access: Access, handler: H) -> Route<D>
where
    H: Handler<T, App<D>>,
    T: 'static,
{
    Route {
        method: Method::GET,
        path: path.to_owned(),
        access,
        handler: get(handler),
    }
}

fn take<D: Desk, H, T>(path: &str, access: Access, handler: H) -> Route<D>
where
    H: Handler<T, App<D>>,
    T: 'static,
{
    Route {
        method: Method::POST,
        path: path.to_owned(),
        access,
        handler: post(handler),
    }
}

/// The table.
#[rustfmt::skip]
pub(crate) fn table<D: Desk>() -> Vec<Route<D>> {
    use Access::{Anyone, County, Person};
    let mut table = vec![
        show("/livez",                   Anyone,    home::live),
        show("/readyz",                  Anyone,    home::ready::<D>),
        show("/assets/{version}/{name}", Anyone,    assets::serve),
        show("/login",                   Anyone,    sign_in::show::<D>),
        take("/login",                   Anyone,    sign_in::sign_in::<D>),
        take("/logout",                  Anyone,    sign_in::sign_out::<D>),
        take("/display",                 Anyone,    home::display::<D>),
        show("/board",                   Anyone,    board::show::<D>),
        show("/items",                   Anyone,    items::list::<D>),
        show("/items/{code}",            Anyone,    items::one::<D>),
        show("/",                        Person,    today::show::<D>),
        show("/help",                    Person,    home::help::<D>),
        take("/demo/link",               Person,    home::demo_link::<D>),
        show("/intake",                  LOGS,      intake::show::<D>),
        take("/intake",                  LOGS,      intake::submit::<D>),
        take("/intake/draft",            LOGS,      intake::save_draft::<D>),
        take("/intake/part",             LOGS,      intake::part::<D>),
        show("/queue",                   READS,     queue::queue::<D>),
        show("/search",                  READS,     queue::search::<D>),
        show("/cases/{id}",              READS,     case::show::<D>),
        show("/cases/{id}/receipt",      READS,     paper::receipt::<D>),
        show("/cases/{id}/correction",   READS,     paper::correction::<D>),
        show("/cases/{id}/acceptance",   READS,     paper::acceptance::<D>),
        show("/cases/{id}/decision",     READS,     paper::decision::<D>),
        take("/cases/{id}/files",        WORKS,     files::attach::<D>),
        show("/cases/{id}/files/{act}",  READS,     files::open::<D>),
        show("/cases/{id}/files/{act}/small", READS, files::small::<D>),
        take("/cases/{id}/files/{act}/void", WORKS, files::void::<D>),
        show("/notices",                 Person,    notices::list::<D>),
        show("/notices/new",             PUBLISHES, notices::blank::<D>),
        take("/notices/new",             PUBLISHES, notices::publish::<D>),
        show("/notices/{id}",            Person,    notices::one::<D>),
        take("/notices/{id}/revise",     PUBLISHES, notices::revise::<D>),
        take("/notices/{id}/withdraw",   PUBLISHES, notices::withdraw::<D>),
        show("/sync",                    Person,    sync::show::<D>),
        take("/sync/now",                Person,    sync::now::<D>),
        take("/sync/sticks/take",        CARRIES,   sticks::take::<D>),
        take("/sync/sticks/write",       CARRIES,   sticks::write::<D>),
        take("/sync/rejections/{id}/seen", Person,  tray::seen::<D>),
        show("/sync/rejections/{id}/redo", SETTLES, tray::redo::<D>),
        take("/sync/rejections/{id}/drop", SETTLES, tray::give_up::<D>),
        show("/nodes",                   County,    nodes::show::<D>),
    ];
    table.extend(case::act::Form::ALL.map(|form| {
        let path = format!("/cases/{{id}}/{}", form.word());
        take(&path, WORKS, move |app, visit, id| case::perform::<D>(app, visit, id, form))
    }));
    table
}

/// The router of the table.
pub(crate) fn router<D: Desk>(app: App<D>) -> Router {
    let mut router = Router::new();
    for route in table::<D>() {
        let gate = middleware::from_fn_with_state((app.clone(), route.access), guard::gate::<D>);
        tracing::trace!(method = %route.method, path = route.path, "route");
        router = router.route(&route.path, route.handler.route_layer(gate));
    }
    let nowhere = get(|| async { Failure::NotFound }).layer(middleware::from_fn_with_state(
        (app.clone(), Access::Anyone),
        guard::gate::<D>,
    ));
    router
        .fallback_service(nowhere.with_state(app.clone()))
        // The guard counts what it reads itself.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(
            app.clone(),
            guard::host::<D>,
        ))
        .with_state(app)
}
