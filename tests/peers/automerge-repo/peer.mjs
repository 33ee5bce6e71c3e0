// automerge-repo as a hub and a node: one document a case, and one that lists the others.
import { next as Automerge } from "@automerge/automerge"
import { Repo, interpretAsDocumentId } from "@automerge/automerge-repo"
import { NodeFSStorageAdapter } from "@automerge/automerge-repo-storage-nodefs"
import { WebSocketClientAdapter, WebSocketServerAdapter } from "@automerge/automerge-repo-network-websocket"
import { spawn } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import { once } from "node:events"
import { mkdirSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { WebSocketServer } from "ws"
import { address, commandLine, groups, lines, records, say, untilTold, withHub } from "../workload.mjs"

const PEER = fileURLToPath(new URL("./peer", import.meta.url))
/** The document that lists the others; both ends are configured with its id. */
const INDEX = "00000000000000000000000000000001"
/** How many documents are held at once where a repo can be dropped for a new one. */
const HELD = 1000
/** How many documents are loaded side by side; between the groups, messages are answered. */
const LOADED = 100
/** How often the hub asks whether the node is there, in ms: one that is busy loading answers late. */
const KEEP_ALIVE = 60_000

const bytesOf = hex => new Uint8Array(Buffer.from(hex, "hex"))
const documentId = hex => interpretAsDocumentId(bytesOf(hex))
const actorOf = side => createHash("sha256").update(side).digest("hex").slice(0, 32)

function openOffline(folder) {
  mkdirSync(folder, { recursive: true })
  return new Repo({ storage: new NodeFSStorageAdapter(folder), network: [] })
}

/** Values are short and replaced whole, so they are atomic strings, not texts edited by letter. */
function assign(target, set) {
  for (const [field, value] of Object.entries(set)) target[field] = new Automerge.ImmutableString(value)
}

/** A case with its history: each step a change by the actor of its side. */
function history(steps) {
  let doc = Automerge.init({ actor: actorOf(steps[0].by) })
  for (const { by, set } of steps) {
    if (Automerge.getActorId(doc) !== actorOf(by)) doc = Automerge.clone(doc, { actor: actorOf(by) })
    doc = Automerge.change(doc, draft => assign(draft, set))
  }
  return Automerge.save(doc)
}

function put(repo, hex, bytes) {
  const handle = repo.import(bytes, { docId: documentId(hex) })
  handle.doneLoading()
}

/** Writes the workload's documents, and the index, into the store of every folder. */
async function fill(work, folders) {
  const listed = []
  for await (const group of groups(records(work, "initial.jsonl"), HELD)) {
    const saved = group.map(({ id, steps }) => [id, history(steps)])
    for (const folder of folders) {
      const repo = openOffline(folder)
      for (const [id, bytes] of saved) put(repo, id, bytes)
      await repo.flush()
    }
    for (const { id } of group) listed.push(bytesOf(id))
  }
  const index = Automerge.change(Automerge.init({ actor: actorOf("hub") }), draft => {
    draft.cases = listed
  })
  for (const folder of folders) {
    const repo = openOffline(folder)
    put(repo, INDEX, Automerge.save(index))
    await repo.flush()
  }
}

async function apply(work, name, folder) {
  const fresh = []
  for await (const group of groups(records(work, name), HELD)) {
    const repo = openOffline(folder)
    for (const { id, new: isNew, set } of group) {
      if (isNew) {
        put(repo, id, Automerge.save(Automerge.change(Automerge.init(), draft => assign(draft, set))))
        fresh.push(bytesOf(id))
      } else {
        const handle = await repo.find(documentId(id))
        handle.change(draft => assign(draft, set))
      }
    }
    await repo.flush()
  }
  if (fresh.length === 0) return
  const repo = openOffline(folder)
  const index = await repo.find(documentId(INDEX))
  index.change(draft => {
    for (const id of fresh) draft.cases.push(id)
  })
  await repo.flush()
}

async function serve(folder, listen) {
  mkdirSync(folder, { recursive: true })
  const server = new WebSocketServer({ ...address(listen), perMessageDeflate: { threshold: 0 } })
  const repo = new Repo({
    peerId: "hub",
    storage: new NodeFSStorageAdapter(folder),
    network: [new WebSocketServerAdapter(server, KEEP_ALIVE)],
    // A server shares what it is asked for and announces nothing.
    sharePolicy: async () => false,
  })
  await new Promise(resolve => server.once("listening", resolve))
  await untilTold()
  for (const client of server.clients) client.terminate()
  await repo.flush(ready(repo))
}

const ready = repo =>
  Object.values(repo.handles)
    .filter(handle => handle.isReady())
    .map(handle => handle.documentId)

/** Synchronises until it is done: a connection that broke is begun anew by a new repo. */
async function sync(folder, connect) {
  mkdirSync(folder, { recursive: true })
  while (!(await session(folder, connect)));
}

/**
 * Follows every document of the index until the hub has said of each that its heads are ours.
 * False if the connection broke before: it is then begun anew, under another peer id as by
 * default, since the hub remembers what it waits for from this one.
 */
async function session(folder, connect) {
  const adapter = new WebSocketClientAdapter(`ws://${connect}`)
  const peerId = `n${randomBytes(4).toString("hex")}`
  const repo = new Repo({ peerId, storage: new NodeFSStorageAdapter(folder), network: [] })
  const connected = new Promise(resolve => adapter.once("peer-candidate", resolve))
  const open = new Set()
  let finish
  const finished = new Promise(resolve => (finish = resolve))
  adapter.once("peer-disconnected", () => finish(false))

  const equal = handle => {
    const hub = repo.getStorageIdOfPeer("hub")
    const theirs = hub && handle.isReady() && handle.getSyncInfo(hub)?.lastHeads
    return theirs && [...theirs].sort().join() === [...handle.heads()].sort().join()
  }
  const look = (id, handle) => {
    if (equal(handle)) open.delete(id)
    else open.add(id)
    if (open.size === 0) finish(true)
  }
  const followed = new Set()
  const follow = async id => {
    if (followed.has(id)) return
    followed.add(id)
    open.add(id)
    const handle = await repo.find(id, { allowableStates: ["ready", "requesting", "unavailable"] })
    // The handle tells of new heads just before it is ready, so it is looked at a turn later.
    for (const event of ["remote-heads", "heads-changed"])
      handle.on(event, () => setImmediate(look, id, handle))
    look(id, handle)
    return handle
  }
  const followListed = async doc => {
    const ids = doc.cases.map(bytes => interpretAsDocumentId(bytes))
    for await (const group of groups(ids, LOADED)) await Promise.all(group.map(follow))
  }

  const indexId = documentId(INDEX)
  open.add("the list itself")
  // What is here is loaded before the hub is called: while thousands of documents are read, the
  // connection would hardly be served, and the hub give it up.
  const known = (await repo.storageSubsystem.loadDoc(indexId)) !== null
  if (known) await followListed((await repo.find(indexId)).doc())
  repo.networkSubsystem.addNetworkAdapter(adapter)
  // Asked for before the hub is there, a document that is not here counts as nowhere to be had.
  await connected
  const index = await follow(indexId)
  const followAll = async () => {
    if (!index.isReady()) return
    await followListed(index.doc())
    open.delete("the list itself")
    look(indexId, index)
  }
  index.on("heads-changed", () => setImmediate(followAll))
  await followAll()
  const whole = await finished
  if (whole) await repo.flush(ready(repo))
  adapter.disconnect()
  return whole
}

async function read(folder, ids) {
  for await (const group of groups(lines(ids), HELD)) {
    const repo = openOffline(folder)
    for (const id of group) {
      const handle = await repo.find(documentId(id)).catch(() => undefined)
      const state = handle && Object.fromEntries(Object.entries(handle.doc()).map(([k, v]) => [k, String(v)]))
      await say({ id, state: state ?? null })
    }
  }
}

/**
 * Both ends know each other's state only if they have met: they do, over the loopback, in processes
 * of their own, since one that has made thousands of documents spends its time collecting them.
 */
const meet = (hub, node) =>
  withHub(PEER, hub, async listen => {
    const child = spawn(PEER, ["sync", "--node", node, "--connect", listen], {
      stdio: ["ignore", "ignore", "inherit"],
    })
    const [code] = await once(child, "exit")
    if (code !== 0) throw new Error("the two ends did not meet")
  })

const { verb, options } = commandLine()
switch (verb) {
  case "prepare":
    await fill(options.work, [options.hub, options.node])
    await meet(options.hub, options.node)
    break
  case "prepare-empty":
    await fill(options.work, [options.hub])
    mkdirSync(options.node, { recursive: true })
    break
  case "apply":
    await apply(options.work, "up.jsonl", options.node)
    await apply(options.work, "down.jsonl", options.hub)
    break
  case "serve":
    await serve(options.hub, options.listen)
    break
  case "sync":
    await sync(options.node, options.connect)
    await say({ ok: true })
    break
  case "read":
    await read(options.dir, options.ids)
    break
  default:
    process.stderr.write(`unknown verb: ${verb}\n`)
    process.exit(2)
}
process.exit(0)
